"""A backbone with the heads AligNet trains: triplet embedding and classes."""

from collections.abc import Mapping
import math
from typing import Any

from alignet.errors import AlignetError
from alignet.models.vit import pixels
from flax import linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import UInt8
from kauldron import kontext


@flax.struct.dataclass
class Predictions:
  """What a model says of a batch of images.

  Attributes:
    pre_logits: [*b, width] pooled representation in the backbone's dtype; the
      tap of all evaluations.
    triplet_logits: [*b, triplet_dim] float32, or None without that head.
    class_logits: [*b, num_classes] float32, or None without that head.
    i1k_logits: [*b, i1k_classes] float32, or None without that readout.
  """

  pre_logits: Float[Array, "*b d"]
  triplet_logits: Float[Array, "*b t"] | None = None
  class_logits: Float[Array, "*b c"] | None = None
  i1k_logits: Float[Array, "*b k"] | None = None


class VisionModel(nn.Module):
  """Images of any leading shape -> pre_logits, triplet and class logits.

  A triplet is a leading axis of 3: [b, 3, h, w, c] uint8 images give
  [b, 3, d]. So do {"images": [u, h, w, c], "rows": [b, 3]}, where an image that
  several triplets share is encoded once.

  Attributes:
    backbone: module from [b, h, w, c] images to [b, d] representations.
    pixel_range: values that 0 and 255 become, or "imagenet" or "clip" for
      those mean and standard deviation: part of the model's contract.
    triplet_dim: size of the triplet embedding (1024 in the released recipe);
      0 for no such head.
    num_classes: size of the class head, which trains the backbone too; 0 for
      none.
    i1k_classes: classes (1000 of ImageNet in the released models) that are read
      out of pre_logits by a layer norm and a dense layer, whose gradient stops
      there: it tells what the representation knows and does not change it; 0
      for no such readout.
    image_size: side in pixels of the images that it is served, where that is
      not its grid's: a record for those who resize, any size is taken.
    images: kontext key of the uint8 images, or of such a dict.
  """

  backbone: nn.Module
  pixel_range: pixels.PixelRange = (0.0, 1.0)
  triplet_dim: int = 0
  num_classes: int = 0
  i1k_classes: int = 0
  image_size: int | None = None

  images: kontext.Key = "batch.images"

  @property
  def outputs(self) -> list[str]:
    """Fields of `Predictions` that this model fills."""
    sizes = {
        "pre_logits": True,
        "triplet_logits": self.triplet_dim,
        "class_logits": self.num_classes,
        "i1k_logits": self.i1k_classes,
    }
    return [name for name, size in sizes.items() if size]

  @property
  def size(self) -> tuple[int, int]:
    """Height and width in pixels of the images that it is served.

    Without an `image_size`, the backbone must be a `ViT` whose grid is stated.
    """
    if self.image_size:
      return self.image_size, self.image_size
    rows, columns = self.backbone.grid
    return rows * self.backbone.patch_size, columns * self.backbone.patch_size

  @nn.compact
  def __call__(
      self, images: UInt8[Array, "*b h w c"] | Mapping[str, Array]
  ) -> Predictions:
    rows = None
    if isinstance(images, Mapping):
      images, rows = images["images"], images["rows"]
    *batch, height, width, channels = images.shape
    scale, offset = pixels.affine(self.pixel_range)
    x = images.reshape(-1, height, width, channels).astype(jnp.float32)
    x = x * scale + offset
    x = self.backbone(x)
    pre_logits = x.reshape(*batch, x.shape[-1])
    triplet_logits = class_logits = i1k_logits = None
    if self.triplet_dim:
      triplet_logits = nn.Dense(self.triplet_dim, name="triplet_head")(
          pre_logits
      )
    if self.num_classes:
      class_logits = nn.Dense(self.num_classes, name="class_head")(pre_logits)
    if self.i1k_classes:
      i1k_logits = Readout(self.i1k_classes, name="i1k_head")(pre_logits)
    predictions = Predictions(
        pre_logits=pre_logits,
        triplet_logits=triplet_logits,
        class_logits=class_logits,
        i1k_logits=i1k_logits,
    )
    if rows is None:
      return predictions
    return jax.tree.map(lambda x: x[rows], predictions)


def with_grid(model: VisionModel, params: Mapping[str, Any]) -> VisionModel:
  """A model of a `ViT` with its grid stated, a square one where it was open.

  Raises:
    AlignetError: it was open, and the positions are no square.
  """
  vit = model.backbone
  if vit.grid is not None:
    return model
  extra = vit.pool == "tok" and vit.class_position
  n = params["backbone"]["pos_embedding"].shape[1] - extra
  side = math.isqrt(n)
  if side * side != n:
    raise AlignetError(
        f"{n} positions are no square grid; set the grid of the ViT"
    )
  return model.clone(backbone=vit.clone(grid=(side, side)))


class Readout(nn.Module):
  """Classes from features that it leaves as they are: norm, dense, no gradient.

  Attributes:
    num_classes: their number.
  """

  num_classes: int

  @nn.compact
  def __call__(self, features: Float[Array, "*b d"]) -> Float[Array, "*b k"]:
    x = jax.lax.stop_gradient(features)
    # Float32 whatever the backbone computes in, as the other heads.
    x = nn.LayerNorm(epsilon=1e-6, dtype=jnp.float32, name="norm")(x)
    return nn.Dense(self.num_classes, name="dense")(x)
