"""The transform as a Flax module, and its losses, for the Kauldron trainer."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from kauldron import kd
from kauldron import kontext
import optax
from uncertainty_distillation import objective
from uncertainty_distillation import training_loop
from uncertainty_distillation.config import Regulariser
from uncertainty_distillation.data import TeacherData


class AffineTransform(nn.Module):
  """z = x @ weights + bias, and the similarities of triplets of z.

  It starts where `alignet teach` starts, and draws the same images of concepts
  at each step.

  Attributes:
    data: the representations; they are part of the compiled step, so that
      batches are numbers of objects only.
    triplets: key of the [b, 3] object numbers.
    number: key of the [b] numbers of the step, all equal.
    local: key of the [m, d] standardised images of glocal's local term.
  """

  data: TeacherData

  triplets: kontext.Key = "batch.triplets"
  number: kontext.Key = "batch.number"
  local: kontext.Key = "batch.local"

  @nn.compact
  def __call__(
      self,
      triplets: Int[Array, "b 3"],
      number: Int[Array, "b"],
      local: Float[Array, "m d"],
  ) -> dict[str, jax.Array]:
    """What becomes of triplets and local images.

    Returns:
      "similarities": [b, 3], the dot products [s01, s02, s12]; "local": [m,
      d'].
    """
    with jax.ensure_compile_time_eval():  # Where no batch was drawn before.
      prepared = self.data.prepared
    objects, config = prepared.objects, prepared.config
    params = {
        name: self.param(name, lambda _, value=value: value)
        for name, value in prepared.start.items()
    }
    key, _ = training_loop.draw(jax.random.key(config.seed), number[0], 0, 1)
    images = training_loop.draw_images(
        key, objects.first, objects.count, objects.views(4)
    )
    return {
        "similarities": objective.similarities(
            params, objects.x, images, triplets
        ),
        "local": local @ params["weights"] + params["bias"],
    }


def optimizer(data: TeacherData) -> optax.GradientTransformation:
  """That of `alignet teach`, which changes nothing after its last step."""
  going_on = lambda count: (count < data.prepared.steps).astype(jnp.float32)
  return optax.chain(
      data.config.optimisation.optimizer(), optax.scale_by_schedule(going_on)
  )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class TripletKL(kd.losses.Loss):
  """KL(pi || softmax(similarities)) in nats, averaged over triplets.

  Attributes:
    similarities: key of the [*b, 3] similarities.
    targets: key of the [*b, 3] human probabilities.
  """

  similarities: kontext.Key = "preds.similarities"
  targets: kontext.Key = "batch.targets"

  def get_values(
      self, similarities: Float[Array, "*b 3"], targets: Float[Array, "*b 3"]
  ) -> Float[Array, "*b"]:
    return objective.divergence(similarities, targets)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Locality(kd.losses.Loss):
  """glocal's local term; alpha is its `weight`, 1 - alpha that of the KL.

  Attributes:
    tau: temperature.
    original: key of the [m, p] representations, not standardised.
    transformed: key of the [m, d'] transformed ones.
  """

  tau: float = 1.0

  original: kontext.Key = "batch.original"
  transformed: kontext.Key = "preds.local"

  def get_values(
      self, original: Float[Array, "m p"], transformed: Float[Array, "m k"]
  ) -> Float[Array, ""]:
    return objective.locality(original, transformed, self.tau)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Regulariser(kd.losses.Loss):
  """What keeps the transform simple; lambda is the loss's `weight`.

  Attributes:
    kind: "identity" or "l2", see `objective.regulariser`.
    weights: key of the [d, d'] weights.
  """

  kind: Regulariser = "identity"

  weights: kontext.Key = "params.weights"

  def get_values(self, weights: Float[Array, "d k"]) -> Float[Array, ""]:
    return objective.regulariser(weights, self.kind)
