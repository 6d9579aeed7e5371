"""Bootstrap over stimuli of correlations of RDMs (Nili et al. 2014).

Stimuli are drawn with replacement and rows and columns of all matrices follow;
pairs of a stimulus with itself are left out. A pair of two different stimuli
drawn m_i and m_j times thus counts m_i m_j times: ranks and moments are taken
with these weights, which gives what the enlarged matrices would.
"""

import dataclasses

from alignet import progress
from alignet.errors import AlignetError
from alignet.scores import rank_correlation
from alignet.scores import rsa
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class StimulusInterval:
  """Percentile interval of a correlation of two RDMs.

  Attributes:
    low: lower end.
    high: upper end.
    se: standard deviation over resamples.
    resamples: resamples used.
    skipped: resamples left out, because a correlation was undefined in them.
  """

  low: float
  high: float
  se: float
  resamples: int
  skipped: int


def interval(
    model: np.ndarray,
    human: np.ndarray,
    method: rank_correlation.Method = "spearman",
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> StimulusInterval:
  """Interval of the correlation of two RDMs.

  Args:
    model: (n, n).
    human: (n, n), for instance the mean over subjects.
    method: "spearman" or "pearson"; "tau-a" forms the enlarged matrices.
    rng: source of the draws.
    resamples: number of draws, two or more.
    level: coverage of the interval.

  Returns:
    The interval.

  Raises:
    AlignetError: nearly all resamples are undefined.
  """
  draws = _draws([model], human, method, rng, resamples, level)
  return _summarise(draws[:, 0], resamples, level)


def paired_difference(
    model_a: np.ndarray,
    model_b: np.ndarray,
    human: np.ndarray,
    method: rank_correlation.Method = "spearman",
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> StimulusInterval:
  """Interval of correlation(a, human) - correlation(b, human).

  Both are taken in the same resamples.

  Args:
    model_a: (n, n).
    model_b: (n, n), of the same stimuli.
    human: (n, n).
    method: as in `interval`.
    rng: as in `interval`.
    resamples: as in `interval`.
    level: as in `interval`.

  Returns:
    The interval.

  Raises:
    AlignetError: as `interval`.
  """
  draws = _draws([model_a, model_b], human, method, rng, resamples, level)
  return _summarise(draws[:, 0] - draws[:, 1], resamples, level)


def _draws(models, human, method, rng, resamples, level) -> np.ndarray:
  """(usable resamples, models) correlations."""
  if resamples < 2 or not 0 < level < 1:
    raise AlignetError(
        "bootstrap: expected 2 resamples or more and a level between 0 and 1,"
        f" found {resamples} and {level}"
    )
  n = len(human)
  i, j = np.triu_indices(n, k=1)
  vectors = [rsa.upper(m).astype(np.float64) for m in (*models, human)]
  if method == "spearman":
    vectors = [_WeightedRanks(v) for v in vectors]
  found = []
  for _ in progress.bar(range(resamples), desc="bootstrap over stimuli"):
    drawn = np.bincount(rng.integers(n, size=n), minlength=n)
    weights = drawn[i] * drawn[j]
    if method == "tau-a":
      values = [_repeated(v, vectors[-1], weights) for v in vectors[:-1]]
    else:
      weights = weights.astype(np.float64)
      taken = vectors
      if method == "spearman":
        taken = [rank(weights) for rank in vectors]
      values = [_weighted_pearson(v, taken[-1], weights) for v in taken[:-1]]
    if None not in values:
      found.append(values)
  if len(found) < 2:
    raise AlignetError(
        f"bootstrap: {resamples - len(found)} of {resamples} resamples of {n}"
        " stimuli give no correlation; use more resamples or more stimuli"
    )
  return np.array(found)


def _summarise(found, resamples, level) -> StimulusInterval:
  tail = (1 - level) / 2
  low, high = np.quantile(found, [tail, 1 - tail])
  return StimulusInterval(
      low=float(low),
      high=float(high),
      se=float(np.std(found, ddof=1)),
      resamples=len(found),
      skipped=resamples - len(found),
  )


class _WeightedRanks:
  """Mean ranks of values that are repeated `weights` times each.

  Sorted once; a call costs a cumulative sum.
  """

  def __init__(self, values: np.ndarray):
    self._order = np.argsort(values, kind="stable")
    ascending = values[self._order]
    first = np.r_[True, ascending[1:] != ascending[:-1]]
    self._starts = np.flatnonzero(first)
    group = np.empty(len(values), np.intp)
    group[self._order] = np.cumsum(first) - 1
    self._group = group

  def __call__(self, weights: np.ndarray) -> np.ndarray:
    tied = np.add.reduceat(weights[self._order], self._starts)
    ranks = np.cumsum(tied) - tied + (tied + 1) / 2
    return ranks[self._group]


def _repeated(a: np.ndarray, b: np.ndarray, weights: np.ndarray):
  """tau-a of values repeated `weights` times; None where it is undefined."""
  a, b = np.repeat(a, weights), np.repeat(b, weights)
  if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
    return None
  return rank_correlation.correlate(a, b, "tau-a")


def _weighted_pearson(
    a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> float | None:
  """Pearson correlation with weights; None where it is undefined."""
  used = weights > 0
  a, b, weights = a[used], b[used], weights[used]
  if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
    return None
  a = a - np.average(a, weights=weights)
  b = b - np.average(b, weights=weights)
  norm = np.sqrt((weights @ (a * a)) * (weights @ (b * b)))
  return float(weights @ (a * b) / norm)
