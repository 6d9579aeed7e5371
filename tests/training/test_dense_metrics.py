"""Agreement over groups, against loops over all of their triplets."""

import itertools

from alignet.errors import AlignetError
from alignet.training import metrics
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy import stats

_PAIRS = ((0, 1), (0, 2), (1, 2))


def _loop(z, teacher, present, of_triplet):
  """Mean within each ordered pair of groups, then over the pairs."""
  means = []
  for a, b in itertools.permutations(range(len(z)), 2):
    values = []
    for i, j in itertools.combinations(np.flatnonzero(present[a]), 2):
      for k in np.flatnonzero(present[b]):
        rows = ((a, i), (a, j), (b, k))
        s, t = (
            np.array([x[rows[m]] @ x[rows[n]] for m, n in _PAIRS])
            for x in (z, teacher)
        )
        values.append(of_triplet(s, t))
    means.append(np.mean(values))
  return np.mean(means)


@pytest.fixture
def case():
  rng = np.random.default_rng(0)
  present = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
  return rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 2)), present


def _of(metric, z, teacher, present):
  state = metric.get_state(
      embeddings=jnp.asarray(z),
      representations=jnp.asarray(teacher),
      present=jnp.asarray(present),
  )
  return state.finalize().compute()


def test_accuracy(case):
  wanted = _loop(*case, lambda s, t: np.argmax(s) == np.argmax(t))
  assert 0.2 < wanted < 0.8
  assert _of(metrics.DenseAccuracy(), *case) == pytest.approx(wanted)
  z, teacher, present = case
  assert _of(metrics.DenseAccuracy(), teacher, teacher, present) == 1
  tied = _of(metrics.DenseAccuracy(), np.ones_like(z), teacher, present)
  assert tied == pytest.approx(1 / 3)


def test_kl(case):
  def kl(s, t):
    return stats.entropy(special.softmax(t / 0.5), special.softmax(s / 3))

  found = _of(metrics.DenseKL(tau=3.0, target_tau=0.5), *case)
  assert found == pytest.approx(_loop(*case, kl), rel=1e-5)


def test_what_is_not_finite_is_an_error_when_computed(case):
  z, teacher, present = case
  z[0, 0, 0] = np.nan
  with pytest.raises(AlignetError, match="learning rate"):
    _of(metrics.DenseAccuracy(), z, teacher, present)
