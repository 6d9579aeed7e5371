"""AligNet: human-aligned vision models from odd-one-out judgments.

What is exported here loads on first use, so that `import alignet` stays cheap:

  import alignet
  z = alignet.transforms.load("transform.npz")(features)
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "similarity": "alignet.triplets.similarity",
    "transforms": "alignet.transforms",
}
_NAMES = {
    "Suite": "alignet.evals.suite",
    "evaluate": "alignet.evals.suite",
    "load_model": "alignet.representations.pretrained",
}

__all__ = list(_MODULES | _NAMES)


def __getattr__(name: str):
  if name in _MODULES:
    return importlib.import_module(_MODULES[name])
  if name in _NAMES:
    return getattr(importlib.import_module(_NAMES[name]), name)
  raise AttributeError(f"module 'alignet' has no attribute {name!r}")


def __dir__():
  return sorted([*globals(), *__all__])
