"""Checks of what scores are given: shape, finiteness, probabilities.

Each returns the array in float64, which keeps exact ties of narrower floats.
"""

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

_TOLERANCE = 1e-3  # of a sum of three probabilities, wide enough for float16


def similarities(values: np.ndarray, what: str = "similarities") -> np.ndarray:
  """(n, 3) finite numbers, at least one row, as float64."""
  values = _three_columns(values, what)
  files.check_finite(values, what)
  return values


def probabilities(
    values: np.ndarray, n: int, what: str = "probabilities"
) -> np.ndarray:
  """(n, 3) non-negative numbers that sum to one a row, as float64."""
  values = similarities(values, what)
  if len(values) != n:
    raise AlignetError(
        f"{what}: expected {n} rows, one a triplet, found {len(values)}"
    )
  _sum_to_one(values, what, "divide each row by its sum")
  return values


def log_probabilities(values: np.ndarray, what: str = "log_p") -> np.ndarray:
  """(n, 3) logarithms of probabilities (-inf for zero), as float64."""
  values = _three_columns(values, what)
  p = np.exp(np.minimum(values, 1))  # no overflow; a log above 0 is refused
  _sum_to_one(p, f"exp({what})", "pass log_probabilities(similarities)")
  return values


def _three_columns(values: np.ndarray, what: str) -> np.ndarray:
  values = files.check_array(values, what, shape=(None, 3))
  if not len(values):
    raise AlignetError(f"{what}: expected at least one row, found none")
  return values.astype(np.float64)


def _sum_to_one(p: np.ndarray, what: str, mend: str) -> None:
  # Written so that a NaN fails.
  good = (p >= 0).all(axis=1) & (abs(p.sum(axis=1) - 1) <= _TOLERANCE)
  if not good.all():
    row = int(np.argmin(good))
    raise AlignetError(
        f"{what}: row {row} is {p[row].tolist()}; expected three probabilities"
        f" that sum to 1: {mend}"
    )
