"""Confidence in the pair chosen against how often people agree with it."""

import dataclasses

from alignet.evals.scores.choices import odd_one_out
from alignet.triplets import checks
import numpy as np

BINS = 15

_ROUNDING = 1e-9


def top_label(
    log_p: np.ndarray, probabilities: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """Confidence and outcome of each row.

  Args:
    log_p: (n, 3) log probabilities.
    probabilities: (n, 3) human probabilities; None for the choice in column 0.

  Returns:
    (n,) float64 probability that the model gives to the pair it chooses; (n,)
    float64 agreement of people with that pair: `odd_one_out.accuracy`, or
    `odd_one_out.expected` with probabilities.

  Raises:
    AlignetError: shapes, NaN.
  """
  p = np.exp(checks.log_probabilities(log_p))
  if probabilities is None:
    outcome = odd_one_out.accuracy(p)
  else:
    outcome = odd_one_out.expected(p, probabilities)
  return p.max(axis=1), outcome


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Error:
  """Expected calibration error as a function of the rows' weights.

  That of `probabilistic.calibration_curve` with bins of equal width; make it
  with `error`. A percentile interval of it lies a little high: a resample is
  worse calibrated than its sample.

  Attributes:
    bins: (n,) number of each row's bin.
    gaps: (n,) confidence minus outcome.
  """

  bins: np.ndarray
  gaps: np.ndarray

  def __len__(self) -> int:
    return len(self.gaps)

  def __getitem__(self, rows: np.ndarray) -> "Error":
    """That of some of the rows."""
    return Error(bins=self.bins[rows], gaps=self.gaps[rows])

  def __call__(self, weights: np.ndarray) -> float:
    """Mean of |confidence - outcome| over bins, weighted by their rows."""
    gaps = np.bincount(self.bins, self.gaps * weights)
    return float(abs(gaps).sum() / weights.sum())


def error(log_p: np.ndarray, probabilities: np.ndarray | None = None) -> Error:
  """The calibration error of rows; arguments as in `top_label`."""
  confidence, outcome = top_label(log_p, probabilities)
  return Error(bins=of_width(confidence, BINS), gaps=confidence - outcome)


def of_width(confidence: np.ndarray, bins: int) -> np.ndarray:
  """(n,) number of the bin (lower, upper] of equal width over 0 to 1.

  A confidence that is an edge but for rounding, such as 1/3 of a model that
  sees no difference, belongs to the bin below.
  """
  inner = np.linspace(0, 1, bins + 1)[1:-1] + _ROUNDING
  return np.searchsorted(inner, confidence, side="left")
