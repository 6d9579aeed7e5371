"""Optimizer parts that Kauldron and optax do not have."""

from collections.abc import Callable, Sequence

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
