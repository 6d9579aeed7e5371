"""AligNet: human-aligned vision models from odd-one-out judgments.

Submodules load on first use, so that `import alignet` stays cheap:

  import alignet
  z = alignet.transforms.load("transform.npz")(features)
"""

import importlib

__version__ = "0.1.0"

_SUBMODULES = (
    "config_files",
    "data",
    "errors",
    "evals",
    "export",
    "files",
    "losses",
    "metrics",
    "models",
    "pipeline",
    "report",
    "representations",
    "sampling",
    "scores",
    "similarity",
    "testing",
    "transforms",
    "triplet_io",
    "triplet_verify",
    "triplets",
)

__all__ = list(("load_model",) + _SUBMODULES)


def __getattr__(name: str):
  if name in _SUBMODULES:
    return importlib.import_module(f"alignet.{name}")
  if name == "load_model":
    home = importlib.import_module("alignet.representations.pretrained")
    return home.load_model
  raise AttributeError(f"module 'alignet' has no attribute {name!r}")


def __dir__():
  return sorted([*globals(), *__all__])
