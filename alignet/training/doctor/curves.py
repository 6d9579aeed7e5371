"""Runs the ten steps of the recipe, right or with one mistake, and overfits."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

from alignet.training import optim
from alignet.training.doctor import fixture
from alignet.triplets import similarity
import jax
import jax.numpy as jnp
import numpy as np
import optax

PEAK = 3e-3
TAU = 100.0
DECAY = 1.5
"""Sum over the steps of rate x decay, as in the released recipe."""

OVERFIT_RATE = 3e-3
OVERFIT_BATCH = 100
OVERFIT_EPOCHS = 30

RATES = tuple(
    float(optax.warmup_cosine_decay_schedule(0.0, PEAK, 2, fixture.STEPS)(i))
    for i in range(fixture.STEPS)
)
"""Warm-up and cosine, at this length: the rate of each step."""


def schedule(step: Any, offset: int = 0) -> jax.Array:
  """The rate of a step; the last one after the end."""
  rates = jnp.asarray(RATES)
  return rates[jnp.minimum(step + offset, len(RATES) - 1)]


def recipe(
    rates: Callable[[Any], jax.Array] = schedule,
    *,
    decay: Callable[[], optax.GradientTransformation] | None = None,
    adam: optax.GradientTransformation | None = None,
) -> optax.GradientTransformation:
  """Adam, pull to the start, rate: the order of upstream."""
  pull = decay or (
      lambda: optim.decay_to_init(
          total=DECAY, schedule=schedule, num_steps=len(RATES)
      )
  )
  return optax.chain(
      adam or optax.scale_by_adam(), pull(), optax.scale_by_learning_rate(rates)
  )


def jsd(z: jax.Array, s: jax.Array) -> jax.Array:
  """[b] the released loss of embeddings [b, 3, d] and similarities [b, 3]."""
  return similarity.js_divergence(
      similarity.log_choice_probabilities(s),
      similarity.log_choice_probabilities(
          similarity.pair_similarities(z) / TAU
      ),
  )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Port:
  """What a training does; the defaults are right, a mistake changes one.

  Attributes:
    loss: embeddings and similarities to one number a triplet.
    reduce: those to the loss.
    optimizer: makes the updates.
    images: applied to uint8 images [b, 3, h, w, 3].
    model: fields of the vision model that differ.
    backbone: fields of the backbone that differ.
    params: applied to the weights in each forward pass.
    trained: top-level modules that get gradients and updates.
  """

  loss: Callable[[Any, Any], Any] = jsd
  reduce: Callable[[Any], Any] = jnp.mean
  optimizer: Callable[[], optax.GradientTransformation] = recipe
  images: Callable[[Any], Any] = lambda x: x
  model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  backbone: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  params: Callable[[Any], Any] = lambda x: x
  trained: tuple[str, ...] = ("backbone", "triplet_head")


def run(port: Port | None = None) -> dict[str, list[float]]:
  """{"losses", "gradient_norms"}: ten numbers each, before each update.

  The norm is Euclidean, over all parameters that are trained, of the gradient
  of the mean loss alone: no decay, no clipping.
  """
  model, params, data = fixture.load()
  found, _ = train(
      port or Port(), model, params, fixture.batches(data)[: fixture.STEPS]
  )
  return found


def overfit() -> list[float]:
  """Mean loss of each of 30 passes over the 1,000 triplets; no pull."""
  model, params, data = fixture.load()
  port = Port(optimizer=lambda: optax.adam(OVERFIT_RATE))
  epoch = fixture.batches(data, OVERFIT_BATCH)
  found, _ = train(port, model, params, epoch * OVERFIT_EPOCHS)
  losses = np.reshape(found["losses"], (OVERFIT_EPOCHS, -1))
  return [float(x) for x in losses.mean(axis=1)]


def train(port: Port, model, params, batches):
  """Curves and final parameters of a training on batches of one size."""
  model = model.clone(
      backbone=model.backbone.clone(**port.backbone), **port.model
  )
  optimizer = port.optimizer()
  fixed = {k: v for k, v in params.items() if k not in port.trained}
  free = jax.tree.map(jnp.asarray, {k: params[k] for k in port.trained})

  def loss(free, images, s):
    tree = port.params({**fixed, **free})
    z = model.apply({"params": tree}, port.images(images)).triplet_logits
    return port.reduce(port.loss(z, s))

  def step(carry, batch):
    free, state = carry
    value, gradient = jax.value_and_grad(loss)(free, *batch)
    updates, state = optimizer.update(gradient, state, free)
    norm = optax.global_norm(gradient)
    return (optax.apply_updates(free, updates), state), (value, norm)

  stacked = tuple(jnp.asarray(np.stack(x)) for x in zip(*batches, strict=True))
  with jax.default_matmul_precision("highest"):
    (free, _), (losses, norms) = jax.jit(
        lambda carry, batches: jax.lax.scan(step, carry, batches)
    )((free, optimizer.init(free)), stacked)
  curves = {
      "losses": np.asarray(losses, float).tolist(),
      "gradient_norms": np.asarray(norms, float).tolist(),
  }
  return curves, {**fixed, **free}
