"""Optimizer parts that Kauldron and optax do not have."""

from collections.abc import Callable, Sequence

import jax
from kauldron import kd
import optax


def decay_to_init(
    *,
    total: float,
    schedule: Callable[[int], float],
    num_steps: int,
    exclude: Sequence[str] = (),
) -> optax.GradientTransformation:
  """Pull towards the initial weights, of the same strength in a run of any length.

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
  """
  rates = jax.vmap(schedule)(jax.numpy.arange(num_steps))
  decay = total / float(rates.sum())
  mask = lambda params: {
      name: jax.tree.map(lambda _: name not in exclude, subtree)
      for name, subtree in params.items()
  }
  return kd.optim.decay_to_init(decay, mask=mask)
