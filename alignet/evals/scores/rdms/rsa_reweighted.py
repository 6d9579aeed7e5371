"""Feature-reweighted RSA: how much of people is in the features at all.

A model may agree with people badly because its dimensions are weighted badly.
Here each dimension gets a weight w_d >= 0 of its own, fitted to people's
similarities of training stimuli,

  s_ij ~ b + sum_d w_d x_id x_jd,

and is tested on pairs of stimuli that the fit has not seen (Kaniuth & Hebart
2022, NeuroImage 257; Jozwik et al. 2016, Neuropsychologia 83). The fit is a
ridge regression under w >= 0, its penalty chosen inside the training stimuli:
nested cross-validation over stimuli, where pairs that bridge two folds are
dropped. What a network gains here it owes to flexibility; an aligned network
should need less of it.
"""

from collections.abc import Iterator
import dataclasses

from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.io import files
import numpy as np
from scipy import linalg
from scipy import optimize

PENALTIES = tuple(10.0**p for p in range(-4, 4))
"""Ridge penalties tried, in units of the mean squared predictor."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reweighted:
  """Cross-validated agreement with and without weights of one's own.

  Attributes:
    reweighted: mean over folds of the correlation on unseen stimuli.
    uniform: the same with all weights equal, on the same pairs.
    penalties: the penalty chosen in each fold, as in `PENALTIES`.
    positive: mean share of dimensions with a weight above 0.
  """

  reweighted: float
  uniform: float
  penalties: tuple[float, ...]
  positive: float


def cross_validate(
    features: np.ndarray,
    human: np.ndarray,
    *,
    rng: np.random.Generator,
    folds: int = 5,
    penalties: tuple[float, ...] = PENALTIES,
    method: rank_correlation.Method = "spearman",
) -> Reweighted:
  """Nested cross-validation over stimuli.

  Args:
    features: (n, d), one row a stimulus; rows are centred by the training
      stimuli's mean and brought to unit length, so that equal weights give a
      correlation-like cosine.
    human: (n, n) dissimilarities.
    rng: deals the stimuli out to the folds.
    folds: outer and inner folds; a fold needs three stimuli.
    penalties: ridge penalties to choose from.
    method: of the correlation with people.

  Returns:
    The two correlations.

  Raises:
    AlignetError: too few stimuli, NaN, sizes that differ.
  """
  features = files.check_matrix(features, "features")
  x = features.astype(np.float64)
  (human,) = rsa.check(human, len(x))
  if folds < 2 or len(x) < 3 * folds * 2:
    raise AlignetError(
        "feature-reweighted RSA: expected at least 2 folds and"
        f" {6 * folds} stimuli for {folds} of them, found {len(x)}"
    )
  found, uniform, chosen, positive = [], [], [], []
  for train, test in _folds(len(x), folds, rng):
    scores = np.zeros(len(penalties))
    for inner, held in _folds(len(train), folds, rng):
      rows, held = train[inner], train[held]
      a, b = _prepared(x, rows, held)
      weights = fit(a, -human[np.ix_(rows, rows)], penalties)
      for i, w in enumerate(weights):
        scores[i] += _score(b, human[np.ix_(held, held)], w, method)
    best = int(ties.first_largest(scores))
    a, b = _prepared(x, train, test)
    (w,) = fit(a, -human[np.ix_(train, train)], penalties[best : best + 1])
    rest = human[np.ix_(test, test)]
    found.append(_score(b, rest, w, method))
    uniform.append(_score(b, rest, np.ones_like(w), method))
    chosen.append(penalties[best])
    positive.append((w > 0).mean())
  return Reweighted(
      reweighted=float(np.mean(found)),
      uniform=float(np.mean(uniform)),
      penalties=tuple(chosen),
      positive=float(np.mean(positive)),
  )


def fit(
    features: np.ndarray, similarities: np.ndarray, penalties: tuple[float, ...]
) -> list[np.ndarray]:
  """Non-negative ridge weights of the dimensions, one vector a penalty.

  Minimises sum over pairs i < j of (s_ij - b - sum_d w_d x_id x_jd)^2
  + penalty * scale * |w|^2 under w >= 0, b free, where scale is the mean over
  dimensions of the predictors' centred sum of squares.

  Args:
    features: (n, d) float64.
    similarities: (n, n) symmetric; the diagonal is not read.
    penalties: above 0.

  Returns:
    (d,) weights for each penalty.
  """
  n, d = features.shape
  m = n * (n - 1) / 2
  y = rsa.upper(similarities)
  # Sums over pairs without forming the (pairs, d) matrix of predictors.
  gram = features.T @ features
  squares = features**2
  total = (features.sum(axis=0) ** 2 - squares.sum(axis=0)) / 2
  quadratic = (gram**2 - squares.T @ squares) / 2 - np.outer(total, total) / m
  s = similarities - y.mean()
  s = np.where(np.eye(n, dtype=bool), 0, s)
  linear = np.einsum("id,id->d", features, s @ features) / 2
  scale = max(np.trace(quadratic) / d, 1e-12)
  found = []
  for penalty in penalties:
    ridge = quadratic + penalty * scale * np.eye(d)
    factor = linalg.cholesky(ridge, lower=True)
    target = linalg.solve_triangular(factor, linear, lower=True)
    found.append(optimize.nnls(factor.T, target, maxiter=30 * d)[0])
  return found


def _folds(
    n: int, folds: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  fold = rng.permutation(n) % folds
  for f in range(folds):
    yield np.flatnonzero(fold != f), np.flatnonzero(fold == f)


def _prepared(x, train, test) -> tuple[np.ndarray, np.ndarray]:
  mean = x[train].mean(axis=0)
  out = []
  for rows in (train, test):
    centred = x[rows] - mean
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    out.append(centred / np.where(length > 0, length, 1))
  return out[0], out[1]


def _score(x, human, weights, method) -> float:
  """Correlation on the pairs of unseen stimuli; 0 where it is undefined."""
  model = -rsa.upper((x * weights) @ x.T)
  people = rsa.upper(human)
  if np.ptp(model) == 0 or np.ptp(people) == 0:
    return 0.0
  return rank_correlation.correlate(model, people, method)
