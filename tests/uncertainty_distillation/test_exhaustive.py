"""The divergence over all triplets against their enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uncertainty_distillation import exhaustive
from uncertainty_distillation import objective


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


def test_float32_and_large_logits():
  z, human = (np.asarray(x, np.float32) for x in _case(40))
  np.testing.assert_allclose(
      exhaustive.divergence(z, human), _enumerated(z, human), rtol=1e-5
  )
  value, gradient = jax.value_and_grad(exhaustive.divergence)(100 * z, human)
  assert np.isfinite(value) and np.isfinite(gradient).all()
