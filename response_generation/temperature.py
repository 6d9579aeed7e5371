"""One temperature that gives raw similarities the entropy of aligned ones.

Raw dot products are so large that their softmax is nearly one-hot; a student
trained on them differs from an aligned one by the sharpness of its targets
alone. Dividing them by the temperature T at which the mean entropy of
softmax(s / T) equals that of the aligned targets leaves only what the targets
say: the control `untransformed-matched`.
"""

from collections.abc import Callable
import math

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import npz_stream
from alignet.io import parallel
from alignet.triplets import similarity
import numpy as np
from scipy import optimize

TOLERANCE = 1e-8
"""Largest difference of mean entropies, in nats, before rounding to float32."""

_ROWS = 65536
_FARTHEST = 200.0  # |log T| where the search for a bracket ends.


def mean_entropy(similarities: np.ndarray, temperature: float = 1.0) -> float:
  """Mean over rows of the entropy of softmax(s / T), in float64.

  It does not depend on the order of the three in a row, to the last bit: it is
  the same before and after a file puts them into canonical order.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    temperature: T > 0.

  Returns:
    Nats, from 0 to log 3.
  """

  def entropy(start: int) -> float:
    s = np.asarray(similarities[start : start + _ROWS], np.float64)
    s = np.sort(s, axis=1)
    # The differences are divided, which cannot turn infinity into NaN.
    s = (s - s[:, -1:]) / temperature
    log_p = similarity.log_choice_probabilities(s)
    return float(np.sum(similarity.entropy(log_p)))

  # Summed in order, so that the number of threads is of no consequence.
  total = sum(parallel.ordered_map(entropy, range(0, len(similarities), _ROWS)))
  return total / len(similarities)


def match(similarities: np.ndarray, target: float) -> float:
  """The temperature at which the mean entropy of softmax(s / T) is `target`.

  The mean entropy rises with T, from the share of ties to log 3.

  Args:
    similarities: (n, 3) finite [s01, s02, s12].
    target: nats.

  Returns:
    T, rounded to nine digits so that the last digit of `exp` on one processor
    or another does not show; the mean entropy is within `TOLERANCE`.

  Raises:
    AlignetError: no temperature reaches the target.
  """
  lowest, highest = _limit_at_zero(similarities), math.log(3)
  if not lowest < target < highest:
    raise AlignetError(
        f"entropy matching: no temperature gives a mean entropy of {target:.9f}"
        f" nats; with these similarities it lies between {lowest:.9f} and"
        f" {highest:.9f}"
    )

  def excess(log_t):
    return mean_entropy(similarities, math.exp(log_t)) - target

  low = high = math.log(_mean(similarities, lambda s: np.ptp(s, axis=1)))
  while excess(low) > 0 and low > -_FARTHEST:
    low -= 1.0
  while excess(high) < 0 and high < _FARTHEST:
    high += 1.0
  if low < high and excess(low) * excess(high) < 0:
    low = optimize.brentq(excess, low, high, xtol=1e-13, rtol=1e-13)
  temperature = float(f"{math.exp(low):.9g}")
  found = mean_entropy(similarities, temperature)
  if abs(found - target) > TOLERANCE:
    raise AlignetError(
        f"entropy matching: expected a temperature with a mean entropy of"
        f" {target:.9f} nats, came no nearer than {found:.9f} at {temperature}"
    )
  return temperature


def _limit_at_zero(similarities: np.ndarray) -> float:
  """Mean entropy as T goes to 0: log 2 or log 3 where the largest are tied."""

  def log_ties(s: np.ndarray) -> np.ndarray:
    return np.log((s == s.max(axis=1, keepdims=True)).sum(axis=1))

  return _mean(similarities, log_ties)


def _mean(
    similarities: np.ndarray, function: Callable[[np.ndarray], np.ndarray]
) -> float:
  """Mean of a function of rows, a block at a time, in float64."""
  total = 0.0
  for start in range(0, len(similarities), _ROWS):
    block = np.asarray(similarities[start : start + _ROWS])
    total += float(np.sum(function(block), dtype=np.float64))
  return total / len(similarities)


def target_entropy(path: files.Path) -> float:
  """Mean entropy of softmax(similarities) of an AligNet npz, in nats."""
  s = npz_stream.mapped(path, "similarities")
  if s is None:
    with files.open_npz(path, required=("similarities",)) as archive:
      s = files.read_member(archive, "similarities", path)
  what = f"similarities in {path}"
  s = files.check_array(s, what, shape=(None, 3), kinds="f")
  if not len(s):
    raise AlignetError(f"{what}: expected at least one row, found none")
  files.check_finite(s, what)
  return mean_entropy(s)
