"""Feature-reweighted RSA: the fit against nnls, no gain on noise."""

from alignet.errors import AlignetError
from alignet.evals.scores.rdms import rsa_reweighted
import numpy as np
import pytest
from scipy import optimize


def test_fit_is_that_of_the_explicit_predictors():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(9, 5))
  s = rng.normal(size=(9, 9))
  s = s + s.T
  i, j = np.triu_indices(9, k=1)
  predictors = x[i] * x[j]
  predictors -= predictors.mean(axis=0)
  target = s[i, j] - s[i, j].mean()
  penalty = 0.3
  scale = (predictors**2).sum() / 5
  # The ridge as further rows of a plain non-negative least-squares problem.
  rows = np.concatenate([predictors, np.sqrt(penalty * scale) * np.eye(5)])
  wanted, _ = optimize.nnls(rows, np.concatenate([target, np.zeros(5)]))
  (found,) = rsa_reweighted.fit(x, s, (penalty,))
  np.testing.assert_allclose(found, wanted, atol=1e-10)
  assert (wanted > 0).any() and (wanted == 0).any()


def _world(rng, noise):
  x = rng.normal(size=(60, 8))
  weights = np.array([5, 3, 1, 0, 0, 0, 0, 0])
  s = (x * weights) @ x.T + noise * rng.normal(size=(60, 60))
  return x, -(s + s.T) / 2


def test_weights_are_found_on_unseen_stimuli():
  x, human = _world(np.random.default_rng(0), noise=1.0)
  found = rsa_reweighted.cross_validate(
      x, human, rng=np.random.default_rng(1), folds=3
  )
  assert found.reweighted > found.uniform + 0.2
  assert len(found.penalties) == 3 and 0 < found.positive <= 1


def test_nothing_is_gained_on_noise():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(60, 8))
  human = rng.random((60, 60))
  found = rsa_reweighted.cross_validate(
      x, human + human.T, rng=np.random.default_rng(1), folds=3
  )
  assert abs(found.reweighted) < 0.15


def test_too_few_stimuli():
  x, human = _world(np.random.default_rng(0), noise=1.0)
  with pytest.raises(AlignetError, match="30 stimuli for 5 of them, found 20"):
    rsa_reweighted.cross_validate(
        x[:20], human[:20, :20], rng=np.random.default_rng(1)
    )
