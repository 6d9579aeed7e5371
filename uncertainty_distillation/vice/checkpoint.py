"""The state of an unfinished training, kept on disk."""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
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

  def restore(self, state: Any) -> tuple[Any, list[int]] | None:
    """The state and the curve that were saved last, if they were.

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
      arrays = files.load_npz(self.path, required=(*names, "curve", "plan"))
      plan = files.parse_json_array(arrays["plan"], f"plan in {self.path}")
      wanted = json.loads(json.dumps(self.plan))
      differ = [
          key
          for key in sorted(plan.keys() | wanted.keys())
          if plan.get(key) != wanted.get(key)
      ]
      if differ:
        raise AlignetError(
            f"{self.path} is the state of another training (other"
            f" {', '.join(differ)})"
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
    found = tree.unflatten([jnp.asarray(arrays[name]) for name in names])
    return found, arrays["curve"].tolist()

  def save(self, state: Any, curve: Sequence[int]) -> None:
    """Replaces the file, whole or not at all."""
    leaves = jax.tree.leaves(state)
    files.save_npz(
        self.path,
        {
            **{f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)},
            "curve": np.asarray(curve, np.int64),
            "plan": files.json_array(self.plan),
        },
        overwrite=True,
    )
