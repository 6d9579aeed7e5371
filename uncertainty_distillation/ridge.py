"""Ridge regression of features onto concept vectors, honest by cross-fitting.

Every concept weighs the same, however many images it has. The prediction used
for training on judgments is cross-fitted: a concept is predicted by a map that
saw none of its images, so what is learnt from these predictions holds for new
concepts too. All in float64 by blocks of rows; the penalty is chosen by the
error of the cross-fitted predictions.
"""

from collections.abc import Sequence
from typing import NamedTuple

from alignet.errors import AlignetError
from alignet.evals.scores import ties
import numpy as np

PENALTIES = tuple(np.geomspace(1e-3, 1e2, 16).tolist())
"""Multiples of the mean variance a concept contributes."""

_ROWS = 4096


class Ridge(NamedTuple):
  """A fitted map x -> x @ weights + bias and what cross-fitting says of it.

  Attributes:
    weights: (d, k) float64.
    bias: (k,) float64.
    predictions: (n, k) float32, each row by a map that saw nothing of its
      concept.
    penalty: the multiple chosen.
    error: mean squared error of the predictions, over that of the mean target.
  """

  weights: np.ndarray
  bias: np.ndarray
  predictions: np.ndarray
  penalty: float
  error: float


def fit(
    x: np.ndarray,
    concepts: np.ndarray,
    targets: np.ndarray,
    folds: Sequence[np.ndarray],
    penalties: Sequence[float] = PENALTIES,
) -> Ridge:
  """Fits on all concepts, predicts each concept without it.

  Args:
    x: (n, d) features.
    concepts: (n,) integers in [0, m).
    targets: (m, k) vector of each concept.
    folds: disjoint sets of concept numbers that cover all.
    penalties: multiples to choose from.

  Returns:
    The map and the cross-fitted predictions.
  """
  n, m = len(x), len(targets)
  weight = 1 / np.bincount(concepts, minlength=m)[concepts]
  targets = targets.astype(np.float64)
  spread = ((targets - targets.mean(axis=0)) ** 2).sum()
  if not spread:
    raise AlignetError(
        "ridge: expected concepts whose dimensions differ, found equal ones;"
        " give the embedding that was meant"
    )
  dual = n < x.shape[1]
  total = None if dual else _moments(x, concepts, targets, weight)
  rows = [np.flatnonzero(np.isin(concepts, fold)) for fold in folds]

  def solve(without: np.ndarray, penalties: Sequence[float]):
    if dual:
      keep = np.setdiff1d(np.arange(n), without)
      return _solve_dual(
          x[keep], targets[concepts[keep]], weight[keep], penalties
      )
    part = _moments(x[without], concepts[without], targets, weight[without])
    return _solve_primal([t - p for t, p in zip(total, part)], penalties)

  maps = [solve(r, penalties) for r in rows]
  errors = np.zeros(len(penalties))
  for held, fold_maps in zip(rows, maps):
    for i, fold_map in enumerate(fold_maps):
      residual = _apply(x[held], fold_map) - targets[concepts[held]]
      errors[i] += (weight[held] * (residual**2).sum(axis=1)).sum()
  best = int(ties.first_largest(-errors))
  predictions = np.empty((n, targets.shape[1]), np.float32)
  for held, fold_maps in zip(rows, maps):
    predictions[held] = _apply(x[held], fold_maps[best])
  ((weights, bias),) = solve(np.arange(0), [penalties[best]])
  return Ridge(
      weights, bias, predictions, penalties[best], errors[best] / spread
  )


def _apply(x, fitted):
  weights, bias = fitted
  return x @ weights.astype(np.float32) + bias.astype(np.float32)


def _moments(x, concepts, targets, weight):
  """Weighted sums of 1, x, y, x x' and x y'."""
  d, k = x.shape[1], targets.shape[1]
  sums = [np.zeros(()), np.zeros(d), np.zeros(k), np.zeros((d, d))]
  sums.append(np.zeros((d, k)))
  for start in range(0, len(x), _ROWS):
    block = slice(start, start + _ROWS)
    w = weight[block]
    a = np.asarray(x[block], np.float64)
    b = targets[concepts[block]]
    aw = a * w[:, None]
    for total, part in zip(sums, (w.sum(), w @ a, w @ b, aw.T @ a, aw.T @ b)):
      total += part
  return sums


def _solve_primal(moments, penalties):
  size, sx, sy, xx, xy = moments
  mx, my = sx / size, sy / size
  values, vectors = np.linalg.eigh(xx - size * np.outer(mx, mx))
  right = vectors.T @ (xy - size * np.outer(mx, my))
  values = np.maximum(values, 0)
  unit = _unit(values, size)
  out = []
  for penalty in penalties:
    weights = vectors @ (right / (values + penalty * unit)[:, None])
    out.append((weights, my - mx @ weights))
  return out


def _solve_dual(x, y, weight, penalties):
  size = weight.sum()
  x = x.astype(np.float64)
  mx, my = weight @ x / size, weight @ y / size
  root = np.sqrt(weight)[:, None]
  a = (x - mx) * root
  values, vectors = np.linalg.eigh(a @ a.T)
  right = vectors.T @ ((y - my) * root)
  values = np.maximum(values, 0)
  unit = _unit(values, size)
  out = []
  for penalty in penalties:
    dual = vectors @ (right / (values + penalty * unit)[:, None])
    weights = a.T @ dual
    out.append((weights, my - mx @ weights))
  return out


def _unit(values, size):
  """Mean variance of a concept; 1 where the features do not vary at all."""
  return values.sum() / size if values.any() else 1.0
