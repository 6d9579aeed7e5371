"""A backbone with the heads AligNet trains: triplet embedding and classes."""

from alignet.models import pixels
from flax import linen as nn
import flax.struct
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
  """

  pre_logits: Float[Array, "*b d"]
  triplet_logits: Float[Array, "*b t"] | None = None
  class_logits: Float[Array, "*b c"] | None = None


class VisionModel(nn.Module):
  """Images of any leading shape -> pre_logits, triplet and class logits.

  A triplet is a leading axis of 3: [b, 3, h, w, c] uint8 images give
  [b, 3, d].

  Attributes:
    backbone: module from [b, h, w, c] images to [b, d] representations.
    pixel_range: values that 0 and 255 become, or "imagenet" or "clip" for
      those mean and standard deviation: part of the model's contract.
    triplet_dim: size of the triplet embedding (1024 in the released recipe);
      0 for no such head.
    num_classes: size of the class head; 0 for none.
    image_size: side in pixels of the images it was made for, where that is not
      its grid's: only a record for those who resize, any size is taken.
    images: kontext key of the uint8 images.
  """

  backbone: nn.Module
  pixel_range: pixels.PixelRange = (0.0, 1.0)
  triplet_dim: int = 0
  num_classes: int = 0
  image_size: int | None = None

  images: kontext.Key = "batch.images"

  @nn.compact
  def __call__(self, images: UInt8[Array, "*b h w c"]) -> Predictions:
    *batch, height, width, channels = images.shape
    scale, offset = pixels.affine(self.pixel_range)
    x = images.reshape(-1, height, width, channels).astype(jnp.float32)
    x = x * scale + offset
    x = self.backbone(x)
    pre_logits = x.reshape(*batch, x.shape[-1])
    triplet_logits = class_logits = None
    if self.triplet_dim:
      triplet_logits = nn.Dense(self.triplet_dim, name="triplet_head")(
          pre_logits
      )
    if self.num_classes:
      class_logits = nn.Dense(self.num_classes, name="class_head")(pre_logits)
    return Predictions(
        pre_logits=pre_logits,
        triplet_logits=triplet_logits,
        class_logits=class_logits,
    )
