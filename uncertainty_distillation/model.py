"""The transform as a Flax module, and its losses, for the Kauldron trainer."""

import dataclasses

from alignet.errors import AlignetError
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from kauldron import kd
from kauldron import kontext
from uncertainty_distillation import objective
from uncertainty_distillation import training_loop
from uncertainty_distillation.data import TeacherData


class AffineTransform(nn.Module):
  """z = x @ weights + bias, and the similarities of triplets of z.

  Attributes:
    data: the representations; they are part of the compiled step, so that
      batches are numbers of objects only.
    width: d', dimensions of z; None for those of x, or of the data's start.
    scale: the weights start as this multiple of the identity (gLocal: 1e-3),
      unless the data names a transform to go on from.
    bias: where the biases start (gLocal: 1e-3).
    triplets: key of the [b, 3] object numbers.
    local: key of the [m, d] standardised images of glocal's local term.
  """

  data: TeacherData
  width: int | None = None
  scale: float = 1e-3
  bias: float = 1e-3

  triplets: kontext.Key = "batch.triplets"
  local: kontext.Key | None = None

  @nn.compact
  def __call__(
      self,
      triplets: Int[Array, "b 3"],
      local: Float[Array, "m d"] | None = None,
  ) -> dict[str, jax.Array]:
    """Returns "similarities": [b, 3], the dot products [s01, s02, s12].

    With local images also "local": [m, d'], what becomes of them.
    """
    objects = self.data.objects
    d = objects.x.shape[1]
    start = self.data.start_params or self._start(d, self.width or d)
    found = start["weights"].shape[1]
    if self.width not in (None, found):
      raise AlignetError(
          f"start: expected a transform to model.width={self.width} dimensions,"
          f" found {found}"
      )
    params = {
        name: self.param(name, lambda _, value=value: jnp.asarray(value))
        for name, value in start.items()
    }
    images = training_loop.draw_images(
        self.make_rng("default"),
        objects.first,
        objects.count,
        objects.views(4),
    )
    preds = {
        "similarities": objective.similarities(
            params, objects.x, images, triplets
        )
    }
    if local is not None:
      preds["local"] = local @ params["weights"] + params["bias"]
    return preds

  def _start(self, d: int, width: int) -> dict[str, jax.Array]:
    if not self.scale and not self.bias:
      raise AlignetError(
          "model.scale and model.bias: with both zero all similarities and"
          " their gradient are zero, and training would never leave it;"
          " expected a scale such as 1e-3"
      )
    return {
        "weights": self.scale * jnp.eye(d, width),
        "bias": jnp.full(width, self.bias),
    }


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

  kind: objective.Regulariser = "identity"

  weights: kontext.Key = "params.weights"

  def get_values(self, weights: Float[Array, "d k"]) -> Float[Array, ""]:
    return objective.regulariser(weights, self.kind)
