"""Scores of choice probabilities: likelihood, Brier, calibration, temperature.

A model says that pair c is judged the most similar one with probability
p_c = softmax(s / T)_c, s = [s01, s02, s12]. Functions take the logarithms of
these probabilities, log_p (n, 3), and compare them with the human choice, which
stands in column 0 (odd one last), or with human choice probabilities pi (n, 3).
Natural logarithms, nats; one number a row, whose mean is the score. A model
that gives probabilities itself passes their logarithms.
"""

import dataclasses
from typing import Literal

from alignet.errors import AlignetError
from alignet.evals.scores.choices import calibration
from alignet.io import files
from alignet.triplets import checks
from alignet.triplets import similarity
import numpy as np
from scipy import optimize


def log_probabilities(
    similarities: np.ndarray, temperature: float | np.ndarray = 1.0
) -> np.ndarray:
  """log softmax(s / T) in float64.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    temperature: T > 0, one number, or (n,) one a row.

  Returns:
    (n, 3) float64.

  Raises:
    AlignetError: another shape, NaN, or a temperature that is not positive.
  """
  similarities = checks.similarities(similarities)
  temperature = np.asarray(temperature, np.float64)
  if temperature.shape not in ((), (len(similarities),)):
    raise AlignetError(
        f"temperature: expected one number or {len(similarities)}, found shape"
        f" {temperature.shape}"
    )
  if not (np.isfinite(temperature) & (temperature > 0)).all():
    raise AlignetError(
        "temperature: expected a positive number, found"
        f" {temperature.min()} to {temperature.max()}"
    )
  # The differences are scaled, not the values: no overflow for any scale.
  s = similarities - similarities.max(axis=1, keepdims=True)
  return similarity.log_choice_probabilities(s / temperature[..., None])


def nll(log_p: np.ndarray) -> np.ndarray:
  """Negative log likelihood of the choice in column 0, (n,) in nats."""
  return -checks.log_probabilities(log_p)[:, 0]


def cross_entropy(log_p: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
  """-sum_c pi_c log p_c, (n,) in nats; pi (n, 3) are human probabilities."""
  log_p = checks.log_probabilities(log_p)
  return similarity.cross_entropy(_log(probabilities, len(log_p)), log_p)


def kl_divergence(log_p: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
  """KL(pi || p) = cross-entropy - entropy of pi, (n,) in nats."""
  log_p = checks.log_probabilities(log_p)
  return similarity.kl_divergence(_log(probabilities, len(log_p)), log_p)


def entropy(log_p: np.ndarray) -> np.ndarray:
  """Entropy of the model's probabilities, (n,) in nats, 0 to log 3."""
  return similarity.entropy(checks.log_probabilities(log_p))


def certainty(similarities: np.ndarray, temperature: float = 1.0) -> np.ndarray:
  """log 3 minus the entropy of softmax(s / T): what to rank, not the entropy.

  Where T is large the entropy is rounded to log 3, and its ranks are those of
  rounding errors. This difference keeps nine digits however small it is, and
  does not depend on the order of the three.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    temperature: T > 0.

  Returns:
    (n,) float64 in nats, 0 (all pairs equally likely) to log 3.

  Raises:
    AlignetError: as `log_probabilities`.
  """
  s = np.sort(checks.similarities(similarities), axis=1)
  log_p = log_probabilities(s, temperature)
  # Near uniform, with logits t of mean 0 and x = exp(t) - 1 - t by its series:
  # p = (1 + t + x) / (3 + sum(x)), certainty = sum(p t) - log(mean(exp(t))).
  t = np.clip((s - s.mean(axis=1, keepdims=True)) / temperature, -1, 1)
  x = t**2 * (1 / 2 + t / 6 + t**2 / 24 + t**3 / 120)
  mean = x.mean(axis=1)
  near = (t * (t + x)).mean(axis=1) / (1 + mean) - np.log1p(mean)
  far = np.log(3) - similarity.entropy(log_p)
  return np.where(abs(t).max(axis=1) < 1e-3, near, far)


def brier(
    log_p: np.ndarray, probabilities: np.ndarray | None = None
) -> np.ndarray:
  """Brier score, sum over the three classes of (p_c - t_c)^2; 0 to 2.

  Args:
    log_p: (n, 3) log probabilities.
    probabilities: (n, 3) targets t; None for the choice, t = (1, 0, 0).

  Returns:
    (n,) float64.
  """
  log_p = checks.log_probabilities(log_p)
  target = _targets(probabilities, len(log_p))
  return ((np.exp(log_p) - target) ** 2).sum(axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationCurve:
  """Top-label reliability: the bins that hold at least one row, ascending.

  Attributes:
    confidence: (b,) mean probability the model gave to the pair it chose.
    outcome: (b,) mean agreement of people with that pair.
    count: (b,) number of rows.
    binning: "width" or "mass", how the bins were made.
  """

  confidence: np.ndarray
  outcome: np.ndarray
  count: np.ndarray
  binning: str

  @property
  def expected_calibration_error(self) -> float:
    """Mean of |confidence - outcome| over bins, weighted by their rows."""
    gap = abs(self.confidence - self.outcome)
    return float(np.average(gap, weights=self.count))


def calibration_curve(
    log_p: np.ndarray,
    probabilities: np.ndarray | None = None,
    *,
    bins: int = calibration.BINS,
    binning: Literal["width", "mass"] = "width",
) -> CalibrationCurve:
  """Confidence in the pair chosen against how often people agree with it.

  The expected calibration error of equal-width bins is that of Guo et al. 2017
  (On calibration of modern neural networks, equation 3).

  Args:
    log_p: (n, 3) log probabilities.
    probabilities: (n, 3) human probabilities, the outcome is then the mean of
      `odd_one_out.expected`; None for choices, `odd_one_out.accuracy`.
    bins: number of bins, before empty ones are dropped.
    binning: "width": (lower, upper] bins of equal width over 0 to 1; "mass":
      bins between quantiles of the confidence, about n / bins rows each (equal
      confidences share a bin).

  Returns:
    The curve.

  Raises:
    AlignetError: shapes, NaN, fewer than one bin, another binning.
  """
  if bins < 1 or binning not in ("width", "mass"):
    raise AlignetError(
        "calibration: expected at least one bin and binning 'width' or 'mass',"
        f" found {bins} and {binning!r}"
    )
  confidence, outcome = calibration.top_label(log_p, probabilities)
  if binning == "width":
    index = calibration.of_width(confidence, bins)
  else:
    inner = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    index = np.searchsorted(inner, confidence, side="left")
  count = np.bincount(index, minlength=bins)
  full = count > 0
  return CalibrationCurve(
      confidence=np.bincount(index, confidence, bins)[full] / count[full],
      outcome=np.bincount(index, outcome, bins)[full] / count[full],
      count=count[full],
      binning=binning,
  )


def fit_temperature(
    similarities: np.ndarray, probabilities: np.ndarray | None = None
) -> float:
  """The temperature T that minimises the mean NLL or cross-entropy.

  The loss of softmax(s / T) is convex in 1/T, so the sign of its derivative
  tells the side of the minimum: Brent's root finder runs on log T between
  bounds that follow the scale of the similarities. Fit on training rows, apply
  to others.

  Two cases have no minimum. Similarities that are no better than chance would
  want T = infinity: T is the upper bound, a million times the largest
  difference within a row. Similarities that are right in every row would want
  T = 0: T is the largest one whose loss is within log((n + 2) / (n + 1)) of
  the limit, because n right choices support no more confidence than that (rule
  of succession).

  Args:
    similarities: (n, 3) [s01, s02, s12].
    probabilities: (n, 3) targets, minimising the cross-entropy; None for the
      choice in column 0, minimising the NLL.

  Returns:
    T > 0; 1 when the three similarities are equal in every row.

  Raises:
    AlignetError: shapes, NaN, or no probabilities.
  """
  s = checks.similarities(similarities)
  target = _targets(probabilities, len(s))
  s = s - s.max(axis=1, keepdims=True)
  scale = -s.min()
  if scale == 0:
    return 1.0
  s = s / scale
  # A thousandth of the smallest difference: every softmax is one-hot there.
  low = max(np.log(-s[s < 0].max()) - np.log(1e3), -600.0)
  high = np.log(1e6)

  def loss(log_t):
    log_p = similarity.log_choice_probabilities(s * np.exp(-log_t))
    return -(target * log_p).sum(axis=1).mean()

  def slope(log_t):  # derivative by 1/T, times a positive constant
    p = similarity.choice_probabilities(s * np.exp(-log_t))
    return ((p - target) * s).sum(axis=1).mean()

  if slope(high) >= 0:
    log_t = high
  elif slope(low) > 0:
    log_t = optimize.brentq(slope, low, high)
  else:
    wanted = loss(low) + np.log1p(1 / (len(s) + 1))
    if loss(high) <= wanted:
      log_t = high
    else:
      log_t = optimize.brentq(lambda t: loss(t) - wanted, low, high)
  return float(np.exp(log_t) * scale)


def cross_fitted_temperatures(
    similarities: np.ndarray,
    probabilities: np.ndarray | None = None,
    *,
    rng: np.random.Generator,
    folds: int = 2,
) -> np.ndarray:
  """A temperature a row, fitted on the rows of the other folds.

  For data without a training split: no row sees a temperature that was fitted
  on it.

  Args:
    similarities: (n, 3) [s01, s02, s12], n >= folds.
    probabilities: (n, 3) targets, or None for the choice in column 0.
    rng: deals the rows out to the folds at random.
    folds: number of folds, 2 or more.

  Returns:
    (n,) float64 temperatures, `folds` different ones.

  Raises:
    AlignetError: fewer rows than folds, shapes, NaN.
  """
  similarities = checks.similarities(similarities)
  n = len(similarities)
  if folds < 2 or n < folds:
    raise AlignetError(
        "cross-fitting: expected at least 2 folds and as many rows, found"
        f" {folds} folds and {n} row{'s' * (n != 1)}"
    )
  target = _targets(probabilities, n)
  fold = rng.permutation(n) % folds
  temperatures = np.empty(n)
  for f in range(folds):
    rest = fold != f
    temperatures[~rest] = fit_temperature(similarities[rest], target[rest])
  return temperatures


def group_temperatures(
    similarities: np.ndarray,
    groups: np.ndarray,
    probabilities: np.ndarray | None = None,
    *,
    rng: np.random.Generator,
    folds: int = 2,
    minimum: int = 20,
) -> np.ndarray:
  """A temperature a row, fitted on other rows of the same group.

  With people as groups: how decided each person is (a temperature of their
  own), which a model cannot know but a likelihood can allow for. Groups with
  fewer than `minimum` rows share the temperature of all rows together, cross-
  fitted as in `cross_fitted_temperatures`.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    groups: (n,) integers, such as participants.
    probabilities: (n, 3) targets, or None for the choice in column 0.
    rng: deals the rows out to the folds at random.
    folds: number of folds, 2 or more.
    minimum: rows of a group that has its own, at least as many as folds.

  Returns:
    (n,) float64 temperatures.

  Raises:
    AlignetError: as `cross_fitted_temperatures`; lengths that differ.
  """
  similarities = checks.similarities(similarities)
  groups = files.check_array(
      groups, "groups", shape=(len(similarities),), kinds="iu"
  )
  temperatures = cross_fitted_temperatures(
      similarities, probabilities, rng=rng, folds=folds
  )
  order = np.argsort(groups, kind="stable")
  _, starts = np.unique(groups[order], return_index=True)
  for rows in np.split(order, starts[1:]):
    if len(rows) >= max(minimum, folds):
      temperatures[rows] = cross_fitted_temperatures(
          similarities[rows],
          None if probabilities is None else probabilities[rows],
          rng=rng,
          folds=folds,
      )
  return temperatures


def _targets(probabilities: np.ndarray | None, n: int) -> np.ndarray:
  if probabilities is None:
    return np.broadcast_to([1.0, 0.0, 0.0], (n, 3))
  return checks.probabilities(probabilities, n)


def _log(probabilities: np.ndarray, n: int) -> np.ndarray:
  with np.errstate(divide="ignore"):
    return np.log(checks.probabilities(probabilities, n))
