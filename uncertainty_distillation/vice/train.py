"""VICE's training: everything on the device, compiled once, resumable.

A step draws a minibatch of triplets and one sample of the embedding; both
depend on the seed and the step only. After every `check` steps the dimensions
in use are counted and, where a checkpoint is kept, the state is written. The
same bytes result however often training was killed and begun again, on a CPU;
on a GPU XLA adds in no fixed order, unless it is told to
(XLA_FLAGS=--xla_gpu_deterministic_ops=true).
"""

from collections.abc import Sequence
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
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice.checkpoint import Checkpoint
from uncertainty_distillation.vice.config import Config

_NOT_YET = 1 << 30
_ADAM = optax.scale_by_adam()
_START = 0.1  # Of mu, its scale, and of sigma.
_OUTSIDE = ("window", "alpha", "min_objects", "validation", "samples", "seed")


class Result(NamedTuple):
  """What training ends with.

  Attributes:
    mu: (n, width) float32.
    sigma: (n, width) float32.
    curve: dimensions that would be kept, at each check.
    stable: whether their number was stable before `steps` ran out.
  """

  mu: np.ndarray
  sigma: np.ndarray
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
  state, curve = (params, _ADAM.init(params)), []
  if checkpoint and (found := checkpoint.restore(state)):
    state, curve = found
  data = (
      jnp.asarray(judgments.triplets, jnp.int32),
      jnp.asarray(judgments.probabilities, jnp.float32),
  )
  key = jax.random.key(config.seed)
  # What does not enter a step is no reason to compile it again.
  compiled = dataclasses.replace(
      config,
      steps=config.check * max(config.anneal, 1),
      **{name: getattr(Config, name) for name in _OUTSIDE},
  )
  bar = progress.bar(
      desc="vice", total=config.steps + config.decay, unit="step"
  )
  with bar:
    bar.update(len(curve) * config.check)
    while True:
      step = len(curve) * config.check
      decay_from, stable = when_to_decay(curve, config)
      if decay_from is not None and step >= decay_from + config.decay:
        break
      begin = _NOT_YET if decay_from is None else decay_from
      state, losses = _chunk(state, step, begin, key, data, compiled)
      _check(np.asarray(losses), step)
      curve.append(int(count(*posterior(state[0]), config).sum()))
      if checkpoint:
        checkpoint.save(state, curve)
      bar.set_postfix(dimensions=curve[-1], refresh=False)
      bar.update(config.check)
  return Result(*posterior(state[0]), curve, stable)


def initial(n: int, config: Config) -> objective.Params:
  """Small positive means, which differ so that dimensions do."""
  rng = np.random.default_rng([config.seed, 0x76696365])
  mu = _START * np.abs(rng.standard_normal((n, config.width), np.float32))
  return {
      "mu": jnp.asarray(mu),
      "log_sigma": jnp.full(mu.shape, np.log(_START), jnp.float32),
  }


def when_to_decay(
    curve: Sequence[int], config: Config
) -> tuple[int | None, bool]:
  """The step from which the learning rate falls, and if it is a stable one.

  Args:
    curve: dimensions that would be kept after `check`, 2 `check`, ... steps.
    config: says what is stable.

  Returns:
    The end of the first window of equal numbers, other than none or all of the
    dimensions, that lies after `anneal`; else `steps` when these are done, and
    None before. True in the first case.
  """
  checks = config.steps // config.check
  for i in range(config.window, min(len(curve), checks)):
    inside = curve[i - config.window : i + 1]
    annealed = (i - config.window + 1) * config.check >= config.anneal
    if annealed and len(set(inside)) == 1 and 0 < inside[0] < config.width:
      return (i + 1) * config.check, True
  return (config.steps if len(curve) >= checks else None), False


def count(mu: np.ndarray, sigma: np.ndarray, config: Config) -> np.ndarray:
  """(k,) bool: which dimensions have more than `min_objects` objects."""
  objects = objective.objects_per_dimension(mu, sigma, alpha=config.alpha)
  return objects > config.min_objects


def posterior(params: objective.Params) -> tuple[np.ndarray, np.ndarray]:
  """mu and sigma, (n, width) float32."""
  return np.asarray(params["mu"]), np.exp(np.asarray(params["log_sigma"]))


def _check(losses: np.ndarray, step: int) -> None:
  good = np.isfinite(losses)
  if not good.all():
    i = int(np.argmin(good))
    raise AlignetError(
        f"the loss became {losses[i]} at step {step + i}; lower the learning"
        " rate (--learning_rate)"
    )


@functools.partial(jax.jit, static_argnames=("config",))
def _chunk(state, start, decay_from, key, data, config):
  """`check` steps; returns the state and the losses."""
  triplets, targets = data

  def step(state, number):
    params, moments = state
    noise_key, row_key = jax.random.split(jax.random.fold_in(key, number))
    rows = jax.random.randint(row_key, (config.batch,), 0, len(triplets))
    value, gradient = jax.value_and_grad(objective.loss)(
        params,
        jax.random.normal(noise_key, params["mu"].shape),
        triplets[rows],
        targets[rows],
        n=len(triplets),
        weight=_weight(number, config),
        config=config,
    )
    left = 1 - (number - decay_from) / max(config.decay, 1)
    rate = config.learning_rate * jnp.clip(left, 0, 1)
    updates, moments = _ADAM.update(gradient, moments)
    params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
    return (params, moments), value

  return jax.lax.scan(step, state, start + jnp.arange(config.check))


def _weight(number, config):
  """Of the divergence: from `anneal_from` to 1, geometrically."""
  left = jnp.clip(1 - number / max(config.anneal, 1), 0, 1)
  return config.anneal_from**left
