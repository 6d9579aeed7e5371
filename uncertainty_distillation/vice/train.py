"""VICE's training: everything on the device, compiled once, resumable.

A step draws a minibatch of triplets and one sample of the embedding; both
depend on the seed and the step only. After every `check` steps the dimensions
in use are counted, which decides when the learning rate falls; the optimizer
does both, so that every trainer makes the same updates. The same bytes result
however often training was killed and begun again, on a CPU; on a GPU XLA adds
in no fixed order, unless it is told to
(XLA_FLAGS=--xla_gpu_deterministic_ops=true).
"""

import dataclasses
import functools
from typing import NamedTuple

from alignet.errors import AlignetError
from alignet.human.judgments import Judgments
from alignet.io import progress
import jax
import jax.numpy as jnp
import numpy as np
import optax
from uncertainty_distillation import training_loop
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice.checkpoint import Checkpoint
from uncertainty_distillation.vice.config import Config

_NOT_YET = 1 << 30
_ADAM = optax.scale_by_adam()
_START = 0.1  # Of mu, its scale, and of sigma.


class State(NamedTuple):
  """The optimizer's.

  Attributes:
    adam: Adam's moments.
    number: [] int32 updates so far.
    curve: [checks] int32: dimensions that would be kept, at each check.
    decay_from: [] int32 update from which the learning rate falls.
    stable: [] whether the number of dimensions was stable before `steps`.
  """

  adam: optax.ScaleByAdamState
  number: jax.Array
  curve: jax.Array
  decay_from: jax.Array
  stable: jax.Array

  def done(self, config: Config) -> bool:
    """Whether more updates change nothing."""
    return bool(self.number >= self.decay_from + config.decay)


class Result(NamedTuple):
  """What training ends with.

  Attributes:
    params: of the posterior of all dimensions.
    curve: dimensions that would be kept, at each check.
    stable: whether their number was stable before `steps` ran out.
  """

  params: objective.Params
  curve: list[int]
  stable: bool


def train(
    judgments: Judgments, config: Config, checkpoint: Checkpoint | None = None
) -> Result:
  """Minimises the objective until the number of dimensions is stable.

  Args:
    judgments: what to learn from.
    config: how.
    checkpoint: where to go on from and to keep the state.

  Returns:
    The posterior of all dimensions, and how their number went.

  Raises:
    AlignetError: the loss became NaN or infinite, a checkpoint that cannot be
      used.
  """
  params = initial(judgments.n_concepts, config)
  state = params, optimizer(config).init(params)
  if checkpoint and (found := checkpoint.restore(state)):
    state = found
  data = (
      jnp.asarray(judgments.triplets, jnp.int32),
      jnp.asarray(judgments.probabilities, jnp.float32),
  )
  key = jax.random.key(config.seed)
  # What does not enter a step is no reason to compile it again.
  compiled = dataclasses.replace(
      config, validation=Config.validation, samples=Config.samples, seed=0
  )
  bar = progress.bar(
      desc="vice", total=config.steps + config.decay, unit="step"
  )
  with bar:
    bar.update(int(state[1].number))
    while not state[1].done(config):
      step = int(state[1].number)
      state, losses = _chunk(state, key, data, compiled)
      _check(np.asarray(losses), step)
      if checkpoint:
        checkpoint.save(state)
      dimensions = int(state[1].curve[step // config.check])
      bar.set_postfix(dimensions=dimensions, refresh=False)
      bar.update(config.check)
  return result(*state, config)


def result(params: objective.Params, state: State, config: Config) -> Result:
  """What a training ends with, whose parameters and optimizer these are."""
  done = int(state.number) // config.check
  return Result(
      params, np.asarray(state.curve)[:done].tolist(), bool(state.stable)
  )


def initial(n: int, config: Config) -> objective.Params:
  """Small positive means, which differ so that dimensions do."""
  rng = np.random.default_rng([config.seed, 0x76696365])
  mu = _START * np.abs(rng.standard_normal((n, config.width), np.float32))
  return {
      "mu": jnp.asarray(mu),
      "log_sigma": jnp.full(mu.shape, np.log(_START), jnp.float32),
  }


def optimizer(config: Config) -> optax.GradientTransformation:
  """Adam, whose rate falls to zero once the dimensions in use are stable."""

  def init(params):
    # At least a window, of which the first one is a slice.
    checks = (config.steps + config.decay) // config.check
    return State(
        _ADAM.init(params),
        number=jnp.zeros((), jnp.int32),
        curve=jnp.zeros(max(checks, config.window + 1), jnp.int32),
        decay_from=jnp.asarray(_NOT_YET, jnp.int32),
        stable=jnp.asarray(False),
    )

  def update(gradient, state, params):
    updates, adam = _ADAM.update(gradient, state.adam)
    past = state.number - state.decay_from
    left = jnp.clip(1 - past / max(config.decay, 1), 0, 1)
    rate = config.learning_rate * jnp.where(past >= config.decay, 0, left)
    updates = jax.tree.map(lambda u: -rate * u, updates)
    state = state._replace(adam=adam, number=state.number + 1)
    return updates, jax.lax.cond(
        state.number % config.check == 0,
        lambda: check(state, count(optax.apply_updates(params, updates))),
        lambda: state,
    )

  def count(params):
    objects = objective.objects_per_dimension(params, alpha=config.alpha)
    return (objects > config.min_objects).sum(dtype=jnp.int32)

  check = functools.partial(after_check, config=config)
  return optax.GradientTransformation(init, update)


def after_check(state: State, dimensions: jax.Array, config: Config) -> State:
  """The state with one more number of dimensions that would be kept.

  The learning rate falls from the end of the first window of equal numbers,
  other than none or all of the dimensions, that lies after `anneal`; else from
  `steps` on.
  """
  i = state.number // config.check - 1
  curve = state.curve.at[i].set(dimensions)
  first = i - config.window
  inside = jax.lax.dynamic_slice_in_dim(curve, first, config.window + 1)
  stable = (
      (first >= 0)
      & ((first + 1) * config.check >= config.anneal)
      & (inside == dimensions).all()
      & (0 < dimensions)
      & (dimensions < config.width)
  )
  begins = (stable | (state.number >= config.steps)) & (
      state.decay_from == _NOT_YET
  )
  return state._replace(
      curve=curve,
      decay_from=jnp.where(begins, state.number, state.decay_from),
      stable=jnp.where(begins, stable, state.stable),
  )


def _check(losses: np.ndarray, step: int) -> None:
  good = np.isfinite(losses)
  if not good.all():
    i = int(np.argmin(good))
    raise AlignetError(
        f"the loss became {losses[i]} at step {step + i}; lower the learning"
        " rate (--learning_rate)"
    )


@functools.partial(jax.jit, static_argnames=("config",))
def _chunk(state, key, data, config):
  """`check` steps; returns the state and the losses."""
  triplets, targets = data

  def step(state, _):
    params, moments = state
    number = moments.number
    noise_key, rows = training_loop.draw(
        key, number, config.batch, len(triplets)
    )
    value, gradient = jax.value_and_grad(objective.loss)(
        params,
        jax.random.normal(noise_key, params["mu"].shape),
        triplets[rows],
        targets[rows],
        n=len(triplets),
        weight=weight(number, config),
        config=config,
    )
    updates, moments = optimizer(config).update(gradient, moments, params)
    return (optax.apply_updates(params, updates), moments), value

  return jax.lax.scan(step, state, length=config.check)


def weight(number: jax.Array, config: Config) -> jax.Array:
  """Of the divergence: from `anneal_from` to 1, geometrically."""
  left = jnp.clip(1 - number / max(config.anneal, 1), 0, 1)
  return config.anneal_from**left
