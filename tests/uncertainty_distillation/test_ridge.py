"""The cross-fitted ridge regression against plain linear algebra."""

from alignet.human import judgments
import numpy as np
import pytest
from uncertainty_distillation import ridge


def _solve(x, y, weight, penalty):
  """Weighted ridge with an unpenalised intercept, by the normal equations."""
  size = weight.sum()
  mx, my = weight @ x / size, weight @ y / size
  a, b = x - mx, y - my
  gram = (a * weight[:, None]).T @ a
  ridge_term = penalty * np.trace(gram) / size * np.eye(x.shape[1])
  w = np.linalg.solve(gram + ridge_term, (a * weight[:, None]).T @ b)
  return w, my - mx @ w


@pytest.mark.parametrize("d", [6, 60])  # fewer and more dimensions than rows
def test_equals_the_normal_equations(d):
  rng = np.random.default_rng(0)
  concepts = rng.permutation(
      np.repeat(np.arange(10), [1, 5, 2, 3] * 2 + [4, 4])
  )
  x = rng.normal(size=(len(concepts), d)).astype(np.float32)
  targets = rng.normal(size=(10, 3))
  folds = judgments.folds(np.arange(10), 5, seed=0)
  penalties = (0.1, 1.0)
  got = ridge.fit(x, concepts, targets, folds, penalties)

  x, y = x.astype(np.float64), targets[concepts]
  weight = 1 / np.bincount(concepts)[concepts]
  predictions = {p: np.empty((len(x), 3)) for p in penalties}
  for fold in folds:
    held = np.isin(concepts, fold)
    for p in penalties:
      w, b = _solve(x[~held], y[~held], weight[~held], p)
      predictions[p][held] = x[held] @ w + b
  error = lambda p: (weight[:, None] * (predictions[p] - y) ** 2).sum()
  best = min(penalties, key=error)
  assert got.penalty == best
  np.testing.assert_allclose(got.predictions, predictions[best], atol=1e-4)
  spread = ((targets - targets.mean(axis=0)) ** 2).sum()
  assert got.error == pytest.approx(error(best) / spread, rel=1e-4)
  w, b = _solve(x, y, weight, best)
  np.testing.assert_allclose(got.weights, w, atol=1e-5)
  np.testing.assert_allclose(got.bias, b, atol=1e-5)
