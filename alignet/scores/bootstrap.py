"""Bootstrap over concepts for scores of triplets.

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
"""

import dataclasses

from alignet import files
from alignet.errors import AlignetError
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
  """A mean with its uncertainty.

  Attributes:
    mean: mean of the rows, as given.
    se: standard deviation of the mean over resamples.
    low: lower end of the percentile interval.
    high: upper end.
    resamples: resamples used.
    skipped: resamples left out because they contain no triplet at all.
  """

  mean: float
  se: float
  low: float
  high: float
  resamples: int
  skipped: int


def interval(
    values: np.ndarray,
    concepts: np.ndarray,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
  """Percentile interval of a mean over triplets, resampling concepts.

  The draws depend on `rng`, on `resamples` and on which concepts occur only:
  equal generators give the same resamples for every model scored on the same
  triplets.

  Args:
    values: (n,) score of each triplet.
    concepts: (n, 3) integers, the concepts of each triplet.
    rng: source of the draws.
    resamples: number of draws, two or more.
    level: coverage of the interval, between 0 and 1.

  Returns:
    Mean, standard error and interval.

  Raises:
    AlignetError: lengths that differ, NaN, fewer than two usable resamples.
  """
  values = files.check_array(values, "values", shape=(None,))
  files.check_finite(values, "values")
  values = values.astype(np.float64)
  concepts = files.check_array(
      concepts, "concepts", shape=(None, 3), kinds="iu"
  )
  if len(concepts) != len(values) or not len(values):
    raise AlignetError(
        "bootstrap: expected one row of concepts a value and at least one,"
        f" found {len(concepts)} rows and {len(values)} values"
    )
  if resamples < 2 or not 0 < level < 1:
    raise AlignetError(
        "bootstrap: expected 2 resamples or more and a level between 0 and 1,"
        f" found {resamples} and {level}"
    )
  n, factors = _factors(concepts)
  means, skipped = [], 0
  # The multiplicity at n, the place of a repeated concept, stays 1.
  multiplicity = np.ones(n + 1)
  for _ in range(resamples):
    multiplicity[:n] = np.bincount(rng.integers(n, size=n), minlength=n)
    weights = multiplicity.take(factors[0])
    weights *= multiplicity.take(factors[1])
    weights *= multiplicity.take(factors[2])
    total = weights.sum()
    if total:
      means.append(weights @ values / total)
    else:
      skipped += 1
  if len(means) < 2:
    raise AlignetError(
        f"bootstrap: {skipped} of {resamples} resamples of {n} concepts contain"
        " no triplet; use more resamples or more concepts"
    )
  tail = (1 - level) / 2
  low, high = np.quantile(means, [tail, 1 - tail])
  return Interval(
      mean=float(values.mean()),
      se=float(np.std(means, ddof=1)),
      low=float(low),
      high=float(high),
      resamples=len(means),
      skipped=skipped,
  )


def paired_difference(
    values_a: np.ndarray,
    values_b: np.ndarray,
    concepts: np.ndarray,
    *,
    rng: np.random.Generator,
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
      difference, concepts, rng=rng, resamples=resamples, level=level
  )


def _factors(concepts: np.ndarray) -> tuple[int, np.ndarray]:
  """Number n of distinct concepts; (3, rows) their places, n for a repeat."""
  names, places = np.unique(concepts, return_inverse=True)
  n = len(names)
  a, b, c = places.reshape(concepts.shape).T
  return n, np.stack(
      [a, np.where(b == a, n, b), np.where((c == a) | (c == b), n, c)]
  )
