"""Reference curves: does a port of the training compute what we compute?

`reference.json`, `weights.safetensors` and `data.npz` in this folder hold fixed
small weights, ten fixed batches, and the loss and gradient norm of each step of
the released recipe, also as they come out after typical mistakes. `check`
compares a port's numbers with them and needs NumPy alone; `run` (`alignet
doctor`) computes them with this installation and needs jax.
"""

import importlib

from alignet.doctor.checking import FOLDER
from alignet.doctor.checking import Verdict
from alignet.doctor.checking import check
from alignet.doctor.checking import check_overfit
from alignet.doctor.checking import reference

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
    return importlib.import_module(f"alignet.doctor.{name}")
  raise AttributeError(f"module 'alignet.doctor' has no attribute {name!r}")
