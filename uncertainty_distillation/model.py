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
    local: key of the [m, d] standardised images of glocal's local term.
  """

  width: int | None = None
  scale: float = 1e-3
  bias: float = 1e-3

  x: kontext.Key = "batch.x"
  local: kontext.Key | None = None

  @nn.compact
  def __call__(
      self,
      x: Float[Array, "*b 3 d"],
      local: Float[Array, "m d"] | None = None,
  ) -> dict[str, jax.Array]:
    """Returns "similarities": [*b, 3], the dot products [s01, s02, s12].

    With local images also "local": [m, d'], what becomes of them.
    """
    d = x.shape[-1]
    width = self.width or d
    weights = self.param(
        "weights",
        lambda _: self.scale * jax.numpy.eye(d, width),
    )
    bias = self.param("bias", nn.initializers.constant(self.bias), (width,))
    z = x @ weights + bias
    preds = {"similarities": similarity.pair_similarities(z)}
    if local is not None:
      preds["local"] = local @ weights + bias
    return preds


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
    original: key of the [m, p] representations.
    transformed: key of the [m, d'] transformed ones.
  """

  tau: float = 1.0

  original: kontext.Key = "batch.local"
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
