"""The transform that a Kauldron training ends with."""

import dataclasses
import pathlib
from typing import ClassVar

from alignet import transforms
from alignet.training import result
from kauldron import kd
from uncertainty_distillation import fit
from uncertainty_distillation.data import TeacherData


class TransformResult(result.Result):
  """Writes `{workdir}/transform.npz`, as `alignet teach` does.

  Attributes:
    data: what the training is of.
  """

  data: TeacherData

  file_name: ClassVar[str] = "transform.npz"

  def updates(self) -> int:
    """As many as were chosen."""
    return self.data.prepared.steps

  def done(self, state: kd.train.TrainState) -> bool:
    """Whether all updates are made; more change nothing."""
    return int(state.step) >= self.updates()

  def write(self, state: kd.train.TrainState, path: pathlib.Path) -> None:
    """Writes the transform, with its report."""
    transform = fit.finish(self.data.prepared, state.params)
    meta = {**transform.meta, **self.data.inputs.provenance()}
    transforms.save(path, dataclasses.replace(transform, meta=meta))
