import math

from alignet.errors import AlignetError
from alignet.training import optim
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest


def _params():
  return {
      "backbone": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array(3.0)},
      "triplet_head": {"kernel": jnp.array([5.0])},
  }


def _run(steps, *, exclude=(), total=1.5, schedule=None):
  """Share of a deviation from the start that is left after the run."""
  schedule = schedule or optax.warmup_cosine_decay_schedule(
      init_value=0.0,
      peak_value=3e-4,
      warmup_steps=steps // 20,
      decay_steps=steps,
  )
  chain = optax.chain(
      optax.scale_by_adam(),
      optim.decay_to_init(
          total=total, schedule=schedule, num_steps=steps, exclude=exclude
      ),
      optax.scale_by_learning_rate(schedule),
  )
  start = _params()
  state = chain.init(start)
  moved = jax.tree.map(lambda x: x + 1.0, start)
  zeros = jax.tree.map(jnp.zeros_like, start)

  def step(_, carry):
    params, state = carry
    updates, state = chain.update(zeros, state, params)
    return optax.apply_updates(params, updates), state

  moved, _ = jax.lax.fori_loop(0, steps + 1, step, (moved, state))
  return jax.tree.map(lambda x, y: np.asarray(x - y).mean(), moved, start)


@pytest.mark.parametrize("steps", [200, 3000])
def test_the_pull_of_a_whole_run_does_not_depend_on_its_length(steps):
  left = _run(steps)
  # prod(1 - rate x decay), not exactly exp(-1.5): the sum of squares is small.
  for value in jax.tree.leaves(left):
    assert value == pytest.approx(math.exp(-1.5), rel=4 / steps + 1e-4)


def test_total_scales_the_pull():
  left = _run(2000, total=3.0)
  assert left["backbone"]["bias"] == pytest.approx(math.exp(-3), rel=5e-3)


def test_a_constant_rate_will_do():
  left = _run(2000, schedule=lambda step: 1e-3)
  assert left["backbone"]["bias"] == pytest.approx(math.exp(-1.5), rel=5e-3)


def test_an_excluded_head_is_not_pulled():
  left = _run(200, exclude=("triplet_head",))
  assert left["triplet_head"]["kernel"] == 1.0
  assert left["backbone"]["kernel"] == pytest.approx(math.exp(-1.5), rel=0.03)


def test_excluding_what_is_not_there_is_an_error():
  with pytest.raises(AlignetError, match="triplet_haed.*triplet_head"):
    _run(10, exclude=("triplet_haed",), schedule=lambda step: 1e-3)


def test_a_schedule_without_a_rate_is_an_error():
  with pytest.raises(AlignetError, match="sum to 0"):
    optim.decay_to_init(total=1.5, schedule=lambda step: 0.0, num_steps=5)


def _train(optimizer, gradients):
  """Parameters after each gradient."""
  params = {"w": jnp.array([1.0, -2.0])}
  state, seen = optimizer.init(params), []
  for gradient in gradients:
    updates, state = optimizer.update({"w": gradient}, state, params)
    params = optax.apply_updates(params, updates)
    seen.append(params["w"])
  return np.array(seen), state


def test_two_half_batches_are_one_batch():
  halves = jnp.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.5], [-1.0, 2.5]])
  adam = optax.adam(optax.linear_schedule(0.1, 0.01, 2))
  whole, _ = _train(adam, halves.reshape(2, 2, 2).mean(axis=1))
  parts, _ = _train(optim.accumulate(adam, steps=2), halves)
  np.testing.assert_allclose(parts[1::2], whole, rtol=1e-6)
  np.testing.assert_array_equal(parts[0], [1.0, -2.0])
  assert optim.accumulate(adam, steps=1) is adam


def test_moving_average_of_the_weights():
  gradients = jnp.ones((20, 2))
  chain = optax.chain(optax.sgd(0.1), optim.ema(decay=0.75))
  weights, state = _train(chain, gradients)
  plain, _ = _train(optax.sgd(0.1), gradients)
  np.testing.assert_array_equal(weights, plain)
  expected = np.array([1.0, -2.0])
  for i, row in enumerate(weights, start=1):
    decay = min(0.75, (1 + i) / (10 + i))  # Short at first, so no bias.
    expected = decay * expected + (1 - decay) * row
  np.testing.assert_allclose(optim.averaged(state)["w"], expected, rtol=1e-5)
  assert optim.averaged(_train(optim.ema(decay=0.0), gradients)[1]) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.ema(decay=1.0),
        lambda: optim.ema(decay=-0.1),
        lambda: optim.accumulate(optax.sgd(1.0), steps=0),
    ],
)
def test_settings_that_cannot_be(make):
  with pytest.raises(AlignetError, match="expected"):
    make()
