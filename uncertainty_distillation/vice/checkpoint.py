"""The state of an unfinished training, kept on disk."""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
  """Where the state of a training is kept until it is done.

  Attributes:
    folder: holds one npz, replaced at every check; made by the first.
    plan: JSON-serialisable: what the result depends on.
    overwrite: discard the state of another plan; otherwise it is an error.
  """

  folder: pathlib.Path
  plan: Mapping[str, Any]
  overwrite: bool = False

  @property
  def path(self) -> pathlib.Path:
    """The npz."""
    return self.folder / "state.npz"

  def restore(self, state: Any) -> Any | None:
    """The state that was saved last, if one was.

    Args:
      state: one of the same structure.

    Raises:
      AlignetError: the file cannot be read, or is of another plan.
    """
    if not self.path.exists():
      return None
    leaves, tree = jax.tree.flatten(state)
    names = [f"leaf{i}" for i in range(len(leaves))]
    try:
      arrays = files.load_npz(self.path, required=("plan",))
      plan = json_files.parse_array(arrays["plan"], f"plan in {self.path}")
      if differ := json_files.differing(plan, self.plan):
        raise AlignetError(
            f"{self.path} is the state of another training (other"
            f" {', '.join(differ)})"
        )
      if arrays.keys() != {*names, "plan"}:
        raise AlignetError(
            f"{self.path} is the state of an earlier version of alignet"
        )
      for name, leaf in zip(names, leaves):
        files.check_array(
            arrays[name], f"{name} in {self.path}", shape=leaf.shape
        )
    except AlignetError as e:
      if self.overwrite:
        return None
      raise AlignetError(
          f"{e}; run the command that it belongs to, or pass --overwrite"
          " (overwrite=True) to discard it"
      ) from e
    return tree.unflatten([jnp.asarray(arrays[name]) for name in names])

  def save(self, state: Any) -> None:
    """Replaces the file, whole or not at all."""
    leaves = jax.tree.leaves(state)
    files.save_npz(
        self.path,
        {
            **{f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)},
            "plan": json_files.array(self.plan),
        },
        overwrite=True,
    )
