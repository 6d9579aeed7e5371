"""Bootstrap over concepts, and over people, for scores of triplets.

Triplets share concepts, so they are no independent sample: the concepts are.
Each resample draws as many concepts as there are, with replacement, and a
triplet counts as often as the resample contains it: the product of the
multiplicities of its distinct concepts (a concept that a triplet holds twice or
thrice, as within-class triplets do, counts once). The score of a resample is
the weighted mean. This is the bootstrap over stimuli of Nili et al. 2014 (PLOS
Computational Biology 10(4)), written for triplets.

It is conservative, as Owen 2007 shows (The pigeonhole bootstrap, Annals of
Applied Statistics 1(2)): variance that comes from concepts is estimated about
rightly, but variance s^2 that is each triplet's own enters as about 7 s^2 / n
where it should be s^2 / n (a product of three multiplicities has variance
2^3 - 1; 2^2 - 1 with two distinct concepts, 1 with one). Many triplets a
concept make that small; 1,500 triplets of 40 concepts do not.

With participants, people are drawn as well, independently of the concepts, and
a trial counts the product of both multiplicities: the interval then speaks of
other people judging other things.

What is no mean, such as a correlation, is a function of the weights: `draws`.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
import numpy as np
from scipy import stats

FEWEST = 8
"""Of fewer judgments, images or concepts no interval is given: a bootstrap of
few units is far too narrow."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""(n,) how often each row counts -> values, NaN where undefined."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
  """A mean, or another statistic, with its uncertainty.

  Attributes:
    mean: of the rows as given.
    se: standard deviation over resamples.
    low: lower end of the percentile interval.
    high: upper end.
    resamples: resamples used.
    skipped: resamples left out because it is undefined in them; for a mean,
      those that contain no triplet at all.
  """

  mean: float
  se: float
  low: float
  high: float
  resamples: int
  skipped: int


def interval(
    values: np.ndarray, concepts: np.ndarray, **options: Any
) -> Interval:
  """Percentile interval of a mean over triplets, resampling concepts.

  Args:
    values: (n,) score of each triplet.
    concepts: as in `intervals`.
    **options: of `intervals`.

  Returns:
    Mean, standard error and interval.

  Raises:
    AlignetError: as `intervals`.
  """
  values = files.check_array(values, "values", shape=(None,))
  (found,) = intervals(values[:, None], concepts, **options)
  return found


def intervals(
    values: np.ndarray,
    concepts: np.ndarray,
    *,
    rng: np.random.Generator,
    participants: np.ndarray | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Sequence[Interval]:
  """Intervals of several scores of the same triplets, from the same resamples.

  As `interval` of each column, at little more than the cost of one. A column
  that holds differences of two models gives their paired comparison. The draws
  depend on `rng`, on `resamples` and on which concepts and participants occur
  only: equal generators give the same resamples for every model scored on the
  same triplets.

  Args:
    values: (n, k) k scores of each triplet.
    concepts: (n, 3) integers, the concepts of each triplet.
    rng: source of the draws.
    participants: (n,) integers, who answered; they are drawn too.
    resamples: number of draws, two or more.
    level: coverage of the intervals, between 0 and 1.

  Returns:
    k intervals.

  Raises:
    AlignetError: lengths that differ, NaN, fewer than two usable resamples.
  """
  values = files.check_matrix(values, "values")
  values = np.asarray(values, np.float64)
  concepts = files.check_array(
      concepts, "concepts", shape=(None, 3), kinds="iu"
  )
  if len(concepts) != len(values) or not len(values):
    raise AlignetError(
        "bootstrap: expected one row of concepts a value and at least one,"
        f" found {len(concepts)} rows and {len(values)} values"
    )
  columns = np.ascontiguousarray(values.T)
  found = draws(
      lambda weights: columns @ weights / weights.sum(),
      concepts,
      rng=rng,
      participants=participants,
      resamples=resamples,
  )
  return [
      of_draws(float(column.mean()), of_column, level=level)
      for column, of_column in zip(values.T, found.T)
  ]


def draws(
    statistic: Statistic,
    concepts: np.ndarray,
    *,
    rng: np.random.Generator,
    participants: np.ndarray | None = None,
    resamples: int = 1000,
) -> np.ndarray:
  """Values of a statistic in each resample.

  Args:
    statistic: of n rows, values of any shape; not called where no row counts,
      and the weights it gets are written again.
    concepts: (n, 3), the concepts of each row; rows of fewer repeat one.
    rng: as in `interval`.
    participants: as in `interval`.
    resamples: as in `interval`.

  Returns:
    (resamples, ...) float64, NaN in a resample without any row.

  Raises:
    AlignetError: lengths that differ, fewer than two resamples with rows.
  """
  if participants is not None:
    files.check_array(
        participants, "participants", shape=(len(concepts),), kinds="iu"
    )
  errors.check_least(2, resamples=resamples)
  found = [
      np.asarray(statistic(weights)) if weights.any() else None
      for weights in _weights(concepts, participants, rng, resamples)
  ]
  usable = [values for values in found if values is not None]
  if len(usable) < 2:
    raise AlignetError(
        f"bootstrap: {resamples - len(usable)} of {resamples} resamples of"
        f" {len(np.unique(concepts))} concepts contain no triplet; use more"
        " resamples or more concepts"
    )
  empty = np.full(usable[0].shape, np.nan)
  return np.array([empty if values is None else values for values in found])


def of_draws(
    mean: float, draws: np.ndarray, *, level: float = 0.95
) -> Interval | None:
  """Percentile interval; None where fewer than two draws are defined.

  Args:
    mean: the value of the sample itself.
    draws: (r,) the value of each resample, NaN where it has none.
    level: coverage, between 0 and 1.
  """
  if not 0 < level < 1:
    raise AlignetError(
        f"bootstrap: expected a level between 0 and 1, found {level}"
    )
  defined = draws[np.isfinite(draws)]
  if len(defined) < 2 or not np.isfinite(mean):
    return None
  tail = (1 - level) / 2
  low, high = np.quantile(defined, [tail, 1 - tail])
  return Interval(
      mean=float(mean),
      se=float(np.std(defined, ddof=1)),
      low=float(low),
      high=float(high),
      resamples=len(defined),
      skipped=len(draws) - len(defined),
  )


def score(
    mean: float, draws: np.ndarray | None = None, *, n: int = FEWEST
) -> dict[str, Any]:
  """A score as JSON has it.

  Args:
    mean: NaN where it is undefined.
    draws: as in `of_draws`; None or empty for no interval.
    n: what was drawn from: the number of judgments, or of their concepts where
      these are fewer.

  Returns:
    mean, None where it is undefined; where there is an interval (95 %) also se,
    low and high, and skipped unless it is 0; where there could be none,
    no_interval, the reason. A calibration error may have none: resamples are
    worse calibrated than their sample, so that they may all lie above it.
  """
  out: dict[str, Any] = {"mean": float(mean) if np.isfinite(mean) else None}
  if draws is None or not (found := of_draws(mean, draws)):
    return out
  out |= _ends(mean, found.se, found.low, found.high, n)
  if found.skipped:
    out["skipped"] = found.skipped
  return out


def student_score(
    mean: float, se: float, freedom: float, *, n: int = FEWEST
) -> dict[str, Any]:
  """As `score`, of a mean whose standard error is known: Student's interval.

  Args:
    mean: of the sample.
    se: its standard error; NaN for no interval.
    freedom: degrees of freedom, may be infinite.
    n: as in `score`.
  """
  out = score(mean)
  if out["mean"] is not None and np.isfinite(se):
    half = float(stats.t.ppf(0.975, freedom)) * se
    out |= _ends(mean, se, mean - half, mean + half, n)
  return out


def _ends(mean, se, low, high, n) -> dict[str, Any]:
  if n < FEWEST:
    return {"no_interval": f"{n} are too few to draw from; {FEWEST} are needed"}
  rounding = 1e-9 * max(1, abs(mean))
  if not low - rounding <= mean <= high + rounding:
    return {
        "no_interval": (
            f"resamples are biased: they lie between {low:z.4f} and {high:z.4f}"
        )
    }
  return {"se": se, "low": min(low, mean), "high": max(high, mean)}


def paired_difference(
    values_a: np.ndarray,
    values_b: np.ndarray,
    concepts: np.ndarray,
    *,
    rng: np.random.Generator,
    participants: np.ndarray | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
  """Interval of mean(a) - mean(b), two models scored on the same triplets.

  Both means are taken in the same resample, so that what makes a concept hard
  for both models cancels.

  Args:
    values_a: (n,) scores of one model.
    values_b: (n,) scores of the other, same triplets.
    concepts: (n, 3) integers.
    rng: source of the draws.
    participants: (n,) integers, who answered; they are drawn too.
    resamples: number of draws.
    level: coverage.

  Returns:
    Mean difference, its standard error and interval.

  Raises:
    AlignetError: as `interval`.
  """
  values_a, values_b = np.asarray(values_a), np.asarray(values_b)
  if values_a.shape != values_b.shape:
    raise AlignetError(
        "paired difference: expected scores of the same triplets, found shapes"
        f" {values_a.shape} and {values_b.shape}"
    )
  difference = values_a.astype(np.float64) - values_b.astype(np.float64)
  return interval(
      difference,
      concepts,
      rng=rng,
      participants=participants,
      resamples=resamples,
      level=level,
  )


def _weights(concepts, participants, rng, resamples) -> Iterator[np.ndarray]:
  """How often each resample contains each row; one array, written again."""
  n, factors = _factors(concepts)
  # The multiplicity at n, the place of a repeated concept, stays 1.
  multiplicity = np.ones(n + 1)
  weights, factor = np.empty(len(concepts)), np.empty(len(concepts))
  if participants is not None:
    names, people = np.unique(participants, return_inverse=True)
  for _ in progress.bar(range(resamples), desc="bootstrap", unit="resample"):
    multiplicity[:n] = np.bincount(rng.integers(n, size=n), minlength=n)
    # mode="clip" writes straight to `out`; all places are in range.
    multiplicity.take(factors[0], out=weights, mode="clip")
    for places in factors[1:]:
      weights *= multiplicity.take(places, out=factor, mode="clip")
    if participants is not None:
      drawn = rng.integers(len(names), size=len(names))
      drawn = np.bincount(drawn, minlength=len(names)).astype(np.float64)
      weights *= drawn.take(people, out=factor, mode="clip")
    yield weights


def _factors(concepts: np.ndarray) -> tuple[int, np.ndarray]:
  """Number n of distinct concepts; (3, rows) their places, n for a repeat."""
  names, places = np.unique(concepts, return_inverse=True)
  n = len(names)
  a, b, c = places.reshape(concepts.shape).T
  return n, np.stack(
      [a, np.where(b == a, n, b), np.where((c == a) | (c == b), n, c)]
  )
