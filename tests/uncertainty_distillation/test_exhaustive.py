"""The divergence over all triplets against their enumeration."""

import itertools

from alignet.errors import AlignetError
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uncertainty_distillation import exhaustive
from uncertainty_distillation import objective
from uncertainty_distillation import vice


def _case(n):
  rng = np.random.default_rng(n)
  return rng.normal(size=(n, 6)), rng.normal(size=(n, 4)) ** 2


def _enumerated(z, human):
  triplets = np.array(list(itertools.combinations(range(len(z)), 3)))
  i, j, k = triplets.T
  pairs = lambda s: jnp.stack([s[i, j], s[i, k], s[j, k]], axis=-1)
  targets = jax.nn.softmax(pairs(human @ human.T))
  return jnp.mean(objective.divergence(pairs(z @ z.T), targets))


# Fewer objects than a block, whole blocks, and a rest.
@pytest.mark.parametrize("n, block", [(3, 4), (7, 16), (12, 4), (13, 4)])
def test_value_and_gradient_are_those_of_all_triplets(n, block):
  with jax.enable_x64():
    z, human = map(jnp.asarray, _case(n))
    got = jax.value_and_grad(exhaustive.divergence)(z, human, block=block)
    expected = jax.value_and_grad(_enumerated)(z, human)
    for a, b in zip(got, expected):
      np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_rank_is_the_place_among_all_triplets():
  triplets = list(itertools.combinations(range(9), 3))
  np.testing.assert_array_equal(
      exhaustive.rank(np.array(triplets), 9), np.arange(len(triplets))
  )


@pytest.mark.parametrize("n, block", [(3, 4), (12, 4), (13, 4)])
def test_given_probabilities(tmp_path, n, block):
  """A memory map in order; some of them zero."""
  triplets = np.array(list(itertools.combinations(range(n), 3)))
  rng = np.random.default_rng(0)
  p = rng.dirichlet(np.ones(3), len(triplets))
  p[::5] = [0, 1, 0]
  np.save(tmp_path / "P.npy", p)
  given = np.load(tmp_path / "P.npy", mmap_mode="r")
  i, j, k = triplets.T

  def enumerated(z):
    s = z @ z.T
    s = jnp.stack([s[i, j], s[i, k], s[j, k]], axis=-1)
    return jnp.mean(objective.divergence(s, p))

  with jax.enable_x64():
    z = jnp.asarray(_case(n)[0])
    of = lambda z: exhaustive.divergence(
        z, lambda t: given[exhaustive.rank(t, n)], block=block
    )
    expected = jax.value_and_grad(enumerated)(z)
    for a, b in zip(jax.value_and_grad(of)(z), expected):
      np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(of(z), expected[0], rtol=1e-11)


def test_a_posterior_predictive_of_all_triplets():
  z, mu = (x.astype(np.float32) for x in _case(20))
  predict = lambda sigma: lambda t: vice.posterior_predictive(
      mu, np.full_like(mu, sigma), t, samples=4
  ).probabilities
  sure = exhaustive.divergence(z, predict(1e-6), block=8)
  np.testing.assert_allclose(sure, exhaustive.divergence(z, mu), rtol=1e-4)
  assert abs(exhaustive.divergence(z, predict(1.0), block=8) - sure) > 0.01


@pytest.mark.parametrize(
    "bad, message",
    [
        (lambda t: np.full((len(t), 2), 0.5), r"expected shape \(4, 3\)"),
        (lambda t: np.where(t == 3, np.nan, 1 / 3), r"triplet \[0, 1, 3\] are"),
        (lambda t: np.full(t.shape, 0.4), r"triplet \[0, 1, 2\].*sum to one"),
    ],
)
def test_what_are_no_probabilities(bad, message):
  with pytest.raises(AlignetError, match=message):
    exhaustive.divergence(np.eye(4, dtype=np.float32), bad)


def test_float32_and_large_logits():
  z, human = (np.asarray(x, np.float32) for x in _case(40))
  np.testing.assert_allclose(
      exhaustive.divergence(z, human), _enumerated(z, human), rtol=1e-5
  )
  value, gradient = jax.value_and_grad(exhaustive.divergence)(100 * z, human)
  assert np.isfinite(value) and np.isfinite(gradient).all()
