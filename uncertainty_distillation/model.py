"""The transform as a Flax module, and its losses, for the Kauldron trainer."""

import dataclasses

from alignet import similarity
from flax import linen as nn
import jax
from jaxtyping import Array
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext
from uncertainty_distillation import objective


class AffineTransform(nn.Module):
  """z = x @ weights + bias, and the similarities of triplets of z.

  Attributes:
    width: d', dimensions of z; None for those of x.
    scale: the weights start as this multiple of the identity (gLocal: 1e-3).
    bias: where the biases start (gLocal: 1e-3).
    x: key of the [*b, 3, d] standardised features.
  """

  width: int | None = None
  scale: float = 1e-3
  bias: float = 1e-3

  x: kontext.Key = "batch.x"

  @nn.compact
  def __call__(self, x: Float[Array, "*b 3 d"]) -> dict[str, jax.Array]:
    """Returns "similarities": [*b, 3], the dot products [s01, s02, s12]."""
    d = x.shape[-1]
    width = self.width or d
    weights = self.param(
        "weights",
        lambda _: self.scale * jax.numpy.eye(d, width),
    )
    bias = self.param("bias", nn.initializers.constant(self.bias), (width,))
    z = x @ weights + bias
    return {"similarities": similarity.pair_similarities(z)}


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
