"""Optimizer parts that Kauldron and optax do not have."""

from collections.abc import Callable, Sequence
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
import jax
import jax.numpy as jnp
from kauldron import kd
import optax


def decay_to_init(
    *,
    total: float,
    schedule: Callable[[int], float],
    num_steps: int,
    exclude: Sequence[str] = (),
) -> optax.GradientTransformation:
  """Pull towards the initial weights, as strong in a run of any length.

  The released recipe has decay 1.0 under a schedule whose rates sum to 1.5, so
  that without gradients a deviation would shrink by exp(-1.5) over the run. A
  shorter run keeps that sum, not the decay. Put it after Adam's scaling and
  before the learning rate.

  Args:
    total: sum over the run of learning rate x decay (1.5 in the recipe).
    schedule: step to learning rate.
    num_steps: steps of the run.
    exclude: top-level modules left free, such as a head that starts at random.

  Returns:
    The transformation, decoupled from the gradient as weight decay in AdamW.

  Raises:
    AlignetError: the rates sum to zero; on `init`, an excluded module that the
      model does not have.
  """
  rates = float(jax.vmap(schedule)(jnp.arange(num_steps)).sum())
  if rates <= 0:
    raise AlignetError(
        f"decay_to_init: the learning rates of {num_steps} steps sum to"
        f" {rates:g}; expected more than 0: raise the peak or num_train_steps"
    )

  def mask(params):
    if unknown := [name for name in exclude if name not in params]:
      raise AlignetError(
          f"decay_to_init excludes {', '.join(unknown)}, but the model's"
          f" modules are {', '.join(params)}"
      )
    return {name: name not in exclude for name in params}

  return kd.optim.decay_to_init(total / rates, mask=mask)


def accumulate(
    optimizer: optax.GradientTransformation, *, steps: int
) -> optax.GradientTransformation:
  """One update from the mean gradient of several steps' batches.

  For a batch that does not fit: half of `batch_size` with 2 `steps` gives the
  same updates, at twice the number of training steps. Not so where images of a
  batch meet each other (the dense losses): parts of it have fewer pairs.

  Args:
    optimizer: what makes the updates; its schedules count updates.
    steps: batches an update; 1 changes nothing.

  Raises:
    AlignetError: fewer than one step.
  """
  errors.check_least(1, steps=steps)
  if steps == 1:
    return optimizer
  return optax.MultiSteps(optimizer, steps).gradient_transformation()


def ema(*, decay: float) -> optax.GradientTransformation:
  """Keeps an exponential moving average of the weights; put it last.

  Args:
    decay: such as 0.9999; 0 keeps none.

  Returns:
    A transformation that leaves the updates alone. `alignet train` writes the
    average beside the weights, `averaged` finds it in the optimizer's state.

  Raises:
    AlignetError: a decay that is negative, or 1 and more.
  """
  if not 0 <= decay < 1:
    raise AlignetError(f"ema: expected a decay from 0 to 1, found {decay}")
  return kd.optim.ema_params(decay=decay) if decay else optax.identity()


def averaged(opt_state: Any) -> Any | None:
  """The average that `ema` keeps, or None where the optimizer keeps none."""
  is_ema = lambda x: hasattr(x, "ema_params")
  for leaf in jax.tree.leaves(opt_state, is_leaf=is_ema):
    if is_ema(leaf):
      return leaf.ema_params
  return None


def initial(opt_state: Any) -> Any | None:
  """The initial weights that `decay_to_init` keeps, or None where none are.

  Modules that it excludes have no leaves.
  """
  is_anchor = lambda x: hasattr(x, "init_params")
  for leaf in jax.tree.leaves(opt_state, is_leaf=is_anchor):
    if is_anchor(leaf):
      return leaf.init_params
  return None
