from alignet.errors import AlignetError
from alignet.training import metrics
from alignet.training import optim
import jax.numpy as jnp
import numpy as np
import optax
import pytest


def _optimizer(exclude=(), accumulate=1):
  chain = optax.chain(
      optax.scale_by_adam(),
      optim.decay_to_init(
          total=1.0, schedule=lambda _: 0.1, num_steps=5, exclude=exclude
      ),
      optim.ema(decay=0.9),
  )
  return optim.accumulate(chain, steps=accumulate)


def _drift(params, opt_state):
  state = metrics.Drift().get_state(params=params, opt_state=opt_state)
  return float(state.finalize().compute())


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("exclude", [(), ("head",)])
def test_relative_distance(exclude, accumulate):
  rng = np.random.default_rng(0)
  draw = lambda: {
      "body": {"a": jnp.asarray(rng.normal(size=(4, 3)))},
      "head": {"b": jnp.asarray(rng.normal(size=5))},
  }
  start, now = draw(), draw()
  state = _optimizer(exclude, accumulate).init(start)
  flat = lambda p: np.concatenate(
      [np.ravel(p["body"]["a"])] + [p["head"]["b"]] * (not exclude)
  )
  wanted = np.linalg.norm(flat(now) - flat(start)) / np.linalg.norm(flat(start))
  assert _drift(now, state) == pytest.approx(wanted, rel=1e-5)
  assert _drift(start, state) == 0


def test_without_an_anchor():
  params = {"a": jnp.ones(3)}
  with pytest.raises(AlignetError, match="decay_to_init"):
    _drift(params, optax.adam(1e-3).init(params))
