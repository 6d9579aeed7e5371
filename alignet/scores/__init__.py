"""Scores: how well similarities agree with human judgments, and how surely.

Pure functions on NumPy arrays. Scores of triplets are returned a row, so that
the caller can average them, or resample them with `bootstrap`. Submodules load
on first use.
"""

import importlib

_SUBMODULES = (
    "bootstrap",
    "calibration",
    "ceilings",
    "choice_scores",
    "cka",
    "few_shot",
    "hierarchy",
    "knn",
    "linear_probe",
    "odd_one_out",
    "pairs",
    "probabilistic",
    "rank_correlation",
    "response_times",
    "retrieval",
    "rsa",
    "rsa_bootstrap",
    "rsa_partial",
    "rsa_reliability",
    "rsa_reweighted",
    "summary",
    "triplet_rsa",
)

__all__ = list(_SUBMODULES)


def __getattr__(name: str):
  if name in _SUBMODULES:
    return importlib.import_module(f"alignet.scores.{name}")
  raise AttributeError(f"module 'alignet.scores' has no attribute {name!r}")


def __dir__():
  return sorted([*globals(), *_SUBMODULES])
