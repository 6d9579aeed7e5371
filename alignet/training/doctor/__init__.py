"""Reference curves: does a port of the training compute what we compute?

`reference.json`, `weights.safetensors` and `data.npz` in this folder hold fixed
small weights, ten fixed batches, and the loss and gradient norm of each step of
the released recipe, also as they come out after typical mistakes. `check`
compares a port's numbers with them and needs NumPy alone; `run` (`alignet
doctor`) computes them with this installation and needs jax.
"""

import importlib

from alignet.training.doctor.check import FOLDER
from alignet.training.doctor.check import Verdict
from alignet.training.doctor.check import check
from alignet.training.doctor.check import check_overfit
from alignet.training.doctor.check import reference

__all__ = [
    "FOLDER",
    "Verdict",
    "check",
    "check_overfit",
    "curves",
    "fixture",
    "mistakes",
    "reference",
]


def __getattr__(name: str):
  if name in ("curves", "fixture", "mistakes"):
    return importlib.import_module(f"alignet.training.doctor.{name}")
  raise AttributeError(
      f"module 'alignet.training.doctor' has no attribute {name!r}"
  )
