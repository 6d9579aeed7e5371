"""Checkpoints that are known to be whole, and one more when time runs out."""

import dataclasses
import functools
import pathlib
import shutil
import sys
from typing import Any

from alignet.io import files
from alignet.io import interrupts
from alignet.io import json_files
from alignet.training import provenance
import jax
from kauldron import kd

FOLDER = "checkpoints"
DIGESTS = "checkpoints.json"
"""In a workdir: number of each checkpoint's step to the sha256 of its files."""


@dataclasses.dataclass(frozen=True, eq=True, kw_only=True)
class Checkpointer(kd.ckpts.Checkpointer):
  """Kauldron's, that keeps a digest of each checkpoint, and compares it.

  A checkpoint that is damaged is named and removed before a training resumes,
  from the last one that is whole. One without a digest, of a training that was
  killed at that moment or of an earlier version, is taken as it is.

  Attributes:
    on_sigterm: seconds that a last checkpoint may take after SIGTERM, which a
      scheduler sends before it kills; 0 for none. At most 8.
  """

  on_sigterm: float = 8.0

  _trainer: list[kd.train.Trainer] = dataclasses.field(
      default_factory=list, init=False, repr=False, compare=False
  )

  def update_from_root_cfg(self, root_cfg: kd.train.Trainer) -> "Checkpointer":
    """Takes the trainer's fields, as all of Kauldron's parts do."""
    found = super().update_from_root_cfg(root_cfg)
    found._trainer[:] = [root_cfg]
    return found

  def restore(
      self, state: Any, *, noop_if_missing: bool = False, **options: Any
  ) -> Any:
    """See `kd.ckpts.Checkpointer.restore`; first, a training's workdir."""
    if noop_if_missing and self._trainer:  # As a training begins, no other.
      provenance.begin(self._trainer[0])
    return super().restore(state, noop_if_missing=noop_if_missing, **options)

  @property
  def latest_step(self) -> int | None:
    assert self._damaged_removed
    return super().latest_step

  def should_save(self, step: int) -> bool:
    self._note()
    return interrupts.asked() or super().should_save(step)

  def save(self, state: Any, *, step: int, **options: Any) -> bool:
    """See `kd.ckpts.Checkpointer.save`.

    Raises:
      interrupts.Ended: SIGTERM came; this was the last checkpoint.
    """
    if not interrupts.asked():
      return super().save(state, step=step, **options)
    self.wait_until_finished()
    if step not in self.all_steps:
      super().save(state, step=step, **options | {"force": True})
      self.wait_until_finished()
    raise interrupts.Ended

  def wait_until_finished(self) -> None:
    super().wait_until_finished()
    self._note()

  def _path(self, step: int | str) -> pathlib.Path:
    return pathlib.Path(self.workdir) / FOLDER / f"ckpt_{step}"

  @property
  def _steps(self) -> list[int]:
    """Steps of which there is a checkpoint, by its name, which comes last."""
    found = self._path("*").parent.glob(self._path("*").name)
    names = [path.name.removeprefix("ckpt_") for path in found]
    return sorted(int(name) for name in names if name.isdecimal())

  def _note(self) -> None:
    """Notes the digests of checkpoints that have been written meanwhile."""
    if jax.process_index() or not self._path(0).parent.exists():
      return
    steps = self._steps
    known = self._known
    if known.keys() == {str(step) for step in steps}:
      return
    noted = {
        str(step): known.get(str(step)) or files.fresh_digest(self._path(step))
        for step in steps
    }
    path = pathlib.Path(self.workdir) / DIGESTS
    json_files.write(path, noted, overwrite=True)
    known.clear()
    known.update(noted)

  @functools.cached_property
  def _known(self) -> dict[str, str]:
    path = pathlib.Path(self.workdir) / DIGESTS
    return dict(json_files.read(path, dict[str, str])) if path.exists() else {}

  @functools.cached_property  # Once, before anything is restored or written.
  def _damaged_removed(self) -> bool:
    steps = [] if jax.process_index() else self._steps
    for step in reversed(steps):
      wanted = self._known.get(str(step))
      if wanted is None or files.fresh_digest(self._path(step)) == wanted:
        break
      print(
          f"{self._path(step)} is damaged and was removed: it is not what was"
          " written; the training resumes from the one before, or begins again",
          file=sys.stderr,
      )
      shutil.rmtree(self._path(step))
    return True
