"""Linear classification of frozen representations: a softmax regression.

Features are standardised by the training rows' mean and standard deviation of
each dimension. Minimised is the mean cross-entropy (nats) plus

  penalty / 2 * sum of squared weights,

bias free: scikit-learn's LogisticRegression with C = 1 / (penalty n). L-BFGS on
float32 products over blocks of rows, so that features may be a memory map of
any length.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import warnings

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
import numpy as np
from scipy import optimize
from scipy import special

PENALTIES = (1.0, 0.1, 0.01, 1e-3)
"""Tried by `choose_penalty`, strong ones first: each starts from the last."""

_ROWS = 8192
_CACHE_BYTES = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
  """A fitted classifier.

  Attributes:
    classes: (c,) class numbers, ascending.
    weights: (d, c) float32, for standardised features.
    bias: (c,) float32.
    mean: (d,) float32, subtracted first.
    scale: (d,) float32, divided by then.
    penalty: as fitted.
    converged: whether L-BFGS found the minimum.
  """

  classes: np.ndarray
  weights: np.ndarray
  bias: np.ndarray
  mean: np.ndarray
  scale: np.ndarray
  penalty: float
  converged: bool

  def logits(self, features: np.ndarray) -> np.ndarray:
    """(m, c) float32 of (m, d) finite features."""
    out = np.empty((len(features), len(self.classes)), np.float32)
    for start in range(0, len(features), _ROWS):
      block = slice(start, start + _ROWS)
      x = np.asarray(features[block], np.float32)
      files.check_finite(x, "features", first=start)
      x = (x - self.mean) / self.scale
      out[block] = x @ self.weights + self.bias
    return out

  def predict(
      self, features: np.ndarray, among: np.ndarray | None = None
  ) -> np.ndarray:
    """(m,) class numbers; of equal logits the first class.

    Args:
      features: (m, d), finite.
      among: classes to choose from: the logits of others are masked; None for
        all.
    """
    logits = self.logits(features)
    if among is not None:
      logits[:, ~np.isin(self.classes, among)] = -np.inf
    return self.classes[logits.argmax(axis=1)]


def fit_chosen(
    train: np.ndarray,
    labels: np.ndarray,
    *,
    rng: np.random.Generator,
    penalties: Sequence[float] = PENALTIES,
) -> Probe:
  """Fits all rows with the penalty that `choose_penalty` takes.

  Args:
    train: (n, d) floats.
    labels: (n,) integers.
    rng: draws the rows to choose the penalty on.
    penalties: to choose from; of one it is that.

  Returns:
    The probe.

  Raises:
    AlignetError: as `choose_penalty`.
  """
  penalty = choose_penalty(train, labels, rng=rng, penalties=penalties)
  return _fit(train, labels, penalty=penalty)


def choose_penalty(
    train: np.ndarray,
    labels: np.ndarray,
    *,
    rng: np.random.Generator,
    penalties: Sequence[float] = PENALTIES,
) -> float:
  """The penalty with the best accuracy on a fifth of the rows held out.

  Of equally good ones the strongest. A class keeps at least one row to train
  on.

  Args:
    train: (n, d) floats.
    labels: (n,) integers.
    rng: draws the rows held out.
    penalties: to choose from.

  Returns:
    One of the penalties.

  Raises:
    AlignetError: as `fit`, or no penalties.
  """
  _check(train, labels)
  if not len(penalties):
    raise AlignetError("penalties: expected at least one, found none")
  for penalty in penalties:
    _check_penalty(penalty)
  if len(penalties) == 1:
    return penalties[0]
  held_out = np.zeros(len(labels), bool)
  for one in np.unique(labels):
    rows = rng.permutation(np.flatnonzero(labels == one))
    held_out[rows[: len(rows) // 5]] = True
  if not held_out.any():  # Fewer than five rows in every class.
    return max(penalties)
  rest, held = np.flatnonzero(~held_out), np.flatnonzero(held_out)
  best, chosen, probe = -1.0, max(penalties), None
  x, y = train[rest], labels[rest]
  for penalty in sorted(penalties, reverse=True):
    probe = _fit(x, y, penalty=penalty, start=probe)
    right = (probe.predict(train[held]) == labels[held]).mean()
    if right > best:
      best, chosen = right, penalty
  return chosen


def fit(
    train: np.ndarray,
    labels: np.ndarray,
    *,
    penalty: float,
    start: Probe | None = None,
    iterations: int = 200,
    tolerance: float = 1e-4,
) -> Probe:
  """Fits the softmax regression.

  Args:
    train: (n, d) floats.
    labels: (n,) integers.
    penalty: of the squared weights, above 0.
    start: a probe of the same classes to start from.
    iterations: of L-BFGS at most.
    tolerance: of the gradient's largest component.

  Returns:
    The probe; a warning says where it has not converged.

  Raises:
    AlignetError: lengths that differ, NaN, fewer than two classes, a penalty
      that is not positive.
  """
  _check(train, labels)
  _check_penalty(penalty)
  return _fit(
      train,
      labels,
      penalty=penalty,
      start=start,
      iterations=iterations,
      tolerance=tolerance,
  )


def _fit(
    train: np.ndarray,
    labels: np.ndarray,
    *,
    penalty: float,
    start: Probe | None = None,
    iterations: int = 200,
    tolerance: float = 1e-4,
) -> Probe:
  """`fit` of what was checked: rows are not searched for NaN once more."""
  classes, targets = np.unique(labels, return_inverse=True)
  n, d = train.shape
  c = len(classes)
  mean, scale = _moments(train)
  blocks = _standardised(train, mean, scale)

  def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    parameters = parameters.reshape(d + 1, c).astype(np.float32)
    weights, bias = parameters[:-1], parameters[-1]
    gradient = np.zeros((d + 1, c))
    value = 0.0
    for rows, x in blocks():
      logits = x @ weights + bias
      value += special.logsumexp(logits, axis=1).sum(dtype=np.float64)
      own = np.arange(len(x)), targets[rows]
      value -= logits[own].sum(dtype=np.float64)
      p = special.softmax(logits, axis=1)
      p[own] -= 1
      gradient[:-1] += x.T @ p
      gradient[-1] += p.sum(axis=0)
      bar.update(0)
    gradient /= n
    value = value / n + penalty / 2 * float((weights.astype(float) ** 2).sum())
    gradient[:-1] += penalty * weights
    return value, gradient.ravel()

  first = np.zeros((d + 1, c))
  if start is not None and np.array_equal(start.classes, classes):
    first[:-1], first[-1] = start.weights, start.bias
  with progress.bar(desc=f"linear probe, penalty {penalty:g}") as bar:
    found = optimize.minimize(
        loss,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=lambda _: bar.update(1),
        options={"maxiter": iterations, "gtol": tolerance, "ftol": 1e-9},
    )
  if not found.success:
    warnings.warn(
        f"linear probe, penalty {penalty:g}: not converged after"
        f" {found.nit} iterations ({found.message}); its accuracy may be low",
        stacklevel=3,
    )
  parameters = found.x.reshape(d + 1, c).astype(np.float32)
  return Probe(
      classes=classes,
      weights=parameters[:-1],
      bias=parameters[-1],
      mean=mean,
      scale=scale,
      penalty=float(penalty),
      converged=bool(found.success),
  )


def _moments(train) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation of each dimension, the latter never 0."""
  n = len(train)
  starts = range(0, n, _ROWS)
  mean = sum(
      train[i : i + _ROWS].astype(np.float64).sum(axis=0) for i in starts
  )
  mean = mean / n
  squares = sum(
      ((train[i : i + _ROWS].astype(np.float64) - mean) ** 2).sum(axis=0)
      for i in starts
  )
  scale = np.sqrt(squares / n)
  # A constant dimension stays the constant 0.
  scale = np.where(scale > 1e-7 * (1 + abs(mean)), scale, 1)
  return mean.astype(np.float32), scale.astype(np.float32)


def _standardised(
    train, mean, scale
) -> Callable[[], Iterator[tuple[slice, np.ndarray]]]:
  """Walks over blocks of rows; they are kept where they fit in a GiB."""

  def walk():
    for start in range(0, len(train), _ROWS):
      rows = slice(start, start + _ROWS)
      yield rows, (np.asarray(train[rows], np.float32) - mean) / scale

  if train.shape[0] * train.shape[1] * 4 > _CACHE_BYTES:
    return walk
  kept = list(walk())
  return lambda: iter(kept)


def _check_penalty(penalty: float) -> None:
  if not penalty > 0:
    raise AlignetError(f"penalty: expected a positive number, found {penalty}")


def _check(train, labels) -> None:
  files.check_matrix(train, "train")
  labels = files.check_array(
      labels, "labels of train", shape=(len(train),), kinds="iu"
  )
  if len(np.unique(labels)) < 2:
    raise AlignetError(
        "linear probe: expected training rows of at least two classes, found"
        f" {len(train)} rows of {len(np.unique(labels))}"
    )
