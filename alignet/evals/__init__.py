"""Evaluations: of stored representations, and along Kauldron trainings.

Submodules load on first use: `hierarchy`, `levels`, `rdms`, `stored`,
`usefulness` need neither jax nor Kauldron; `change`, `in_training` and `trials`
do.
"""

import importlib

_SUBMODULES = (
    "change",
    "hierarchy",
    "in_training",
    "levels",
    "rdms",
    "stored",
    "trials",
    "usefulness",
)
_NAMES = {
    "ChangeEvaluator": "change",
    "ClassesEvaluator": "in_training",
    "LevelsEvaluator": "in_training",
    "RdmEvaluator": "in_training",
    "TrialsEvaluator": "trials",
    "agreement": "trials",
}

__all__ = list(_SUBMODULES) + list(_NAMES)


def __getattr__(name: str):
  if name in _SUBMODULES:
    return importlib.import_module(f"alignet.evals.{name}")
  if name in _NAMES:
    module = importlib.import_module(f"alignet.evals.{_NAMES[name]}")
    return getattr(module, name)
  raise AttributeError(f"module 'alignet.evals' has no attribute {name!r}")


def __dir__():
  return sorted([*globals(), *__all__])
