"""Published vision models by name: architecture, pixels, where weights are.

Numbers of parameters are those of the representation alone, computed from the
architecture by the tests and compared with what stands here; a comment says
where it is published, and what a published number counts besides. What has
been checked of each model is in docs/models.md.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

from alignet.errors import AlignetError
from alignet.models.formats import big_vision
from alignet.models.vit import pixels

Format = Literal["huggingface", "big_vision"]

_TI = dict(width=192, depth=12, num_heads=3, mlp_dim=768)
_S = dict(width=384, depth=12, num_heads=6, mlp_dim=1536)
_B = dict(width=768, depth=12, num_heads=12, mlp_dim=3072)
_SO400M = dict(width=1152, depth=27, num_heads=16, mlp_dim=4304)

_SIGLIP = dict(pool="map", activation="gelu_tanh", norm_epsilon=1e-6)
_CLIP = dict(
    pool="tok",
    class_position=True,
    patch_bias=False,
    pre_norm=True,
    activation="quick_gelu",
    norm_epsilon=1e-5,
)
# As transformers computes: the exact GELU, norms with an epsilon of 1e-12. The
# npz of the ViTs are run as they were trained, see `big_vision.NUMERICS`.
_VIT = dict(
    pool="tok", class_position=True, activation="gelu", norm_epsilon=1e-12
)
_DINOV2 = dict(
    pool="tok",
    class_position=True,
    activation="gelu",
    norm_epsilon=1e-6,
    layer_scale=1.0,
)
_CAPPA = dict(pool="gap", **big_vision.NUMERICS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
  """A published model.

  Attributes:
    name: what it is called here.
    fields: of the `ViT`, without patch size and grid.
    parameters: number, of the representation.
    patch_size: pixels.
    image_size: side in pixels of the images that its position embedding is
      made for; other sizes resample it.
    pixel_range: what its network expects; see `alignet.models.vit.pixels`.
    resize: what its authors do before: informative. alignet resizes straight
      to the size with OpenCV cubic, as AligNet's authors do.
    served: side in pixels of the images that features are extracted from, by
      its authors and here, unless another is asked for; None for image_size.
    format: of the weights that are published.
    hub: repository on the Hugging Face hub, or None.
    licence: of the published weights, as their page states it.
  """

  name: str
  fields: Mapping[str, Any]
  parameters: int
  patch_size: int = 16
  image_size: int = 224
  pixel_range: pixels.PixelRange = (-1.0, 1.0)
  resize: str = "bilinear, straight to the size"
  served: int | None = None
  format: Format = "huggingface"
  hub: str | None = None
  licence: str = "not known to alignet"

  @property
  def architecture(self) -> dict[str, Any]:
    """All fields of the `ViT`, as configs write them."""
    side = self.image_size // self.patch_size
    own = {"patch_size": self.patch_size, "grid": (side, side)}
    return own | dict(self.fields)

  # Configs read architectures, and load before jax and Flax do.
  # pylint: disable=g-import-not-at-top

  def vit(self, **fields: Any):
    """The `ViT`; `fields` override, such as dtype, remat, scan."""
    from alignet.models.vit.vit import ViT

    return ViT(**(self.architecture | fields))

  def model(self, *, triplet_dim: int = 0, **fields: Any):
    """The `VisionModel` with its pixel range; `fields` are of the ViT."""
    from alignet.models.vit.vision_model import VisionModel

    return VisionModel(
        backbone=self.vit(**fields),
        pixel_range=self.pixel_range,
        triplet_dim=triplet_dim,
        image_size=self.served or self.image_size,
    )


ZOO: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        # The teacher of AligNet. 428 M: the vision tower of the hub's config
        # (transformers' SiglipVisionModel has 428,225,600).
        Variant(
            name="so400m-siglip-webli384",
            fields={**_SO400M, **_SIGLIP},
            patch_size=14,
            image_size=384,  # 27 patches of 14; the last 6 pixels are unused.
            parameters=428_225_600,
            hub="google/siglip-so400m-patch14-384",
            licence="Apache-2.0",
        ),
        # transformers' SiglipVisionModel: 92,884,224.
        Variant(
            name="siglip-b16",
            fields={**_B, **_SIGLIP},
            resize="bicubic, straight to the size",
            parameters=92_884_224,
            hub="google/siglip-base-patch16-224",
            licence="Apache-2.0",
        ),
        # The fixed-resolution release has SigLIP's architecture.
        Variant(
            name="siglip2-b16",
            fields={**_B, **_SIGLIP},
            parameters=92_884_224,
            hub="google/siglip2-base-patch16-224",
            licence="Apache-2.0",
        ),
        # transformers' ViTModel without pooler: 85,798,656.
        Variant(
            name="dinov1-b16",
            fields={**_VIT, **_B},
            pixel_range="imagenet",
            resize="bicubic, short side 256, centre 224",
            parameters=85_798_656,
            hub="facebook/dino-vitb16",
            licence="Apache-2.0",
        ),
        # transformers' Dinov2Model: 86,580,480, with a mask token of 768. Its
        # last training was at 518; its authors evaluate it, and transformers'
        # preprocessing gives it, images of 224.
        Variant(
            name="dinov2-b14",
            fields={**_DINOV2, **_B},
            patch_size=14,
            image_size=518,
            pixel_range="imagenet",
            resize="bicubic, short side 256, centre 224",
            parameters=86_579_712,
            served=224,
            hub="facebook/dinov2-base",
            licence="Apache-2.0",
        ),
        # Encoder of big_vision's models/proj/cappa: no class token, the mean
        # of the tokens. No number is published; this is the architecture's.
        Variant(
            name="cappa-b16",
            fields={**_B, **_CAPPA},
            parameters=85_797_120,
            format="big_vision",
        ),
        # With a head of 1,000 classes, 769,000 parameters: 86,567,656.
        Variant(
            name="vit-b16",
            fields={**_VIT, **_B},
            parameters=85_798_656,
            hub="google/vit-base-patch16-224",
            licence="Apache-2.0",
        ),
        # With a head of 1,000 classes, 769,000 parameters: 88,224,232.
        Variant(
            name="vit-b32",
            fields={**_VIT, **_B},
            patch_size=32,
            parameters=87_455_232,
            hub="google/vit-base-patch32-224-in21k",
            licence="Apache-2.0",
        ),
        # With a head of 1,000 classes, 385,000 parameters: 22,050,664.
        Variant(
            name="vit-s16",
            fields={**_VIT, **_S},
            parameters=21_665_664,
            hub="WinKawaks/vit-small-patch16-224",
            licence="Apache-2.0",
        ),
        # With a head of 1,000 classes, 193,000 parameters: 5,717,416.
        Variant(
            name="vit-ti16",
            fields={**_VIT, **_TI},
            parameters=5_524_416,
            hub="WinKawaks/vit-tiny-patch16-224",
            licence="Apache-2.0",
        ),
        # With a projection of 768 x 512: 86,192,640.
        Variant(
            name="clip-b16",
            fields={**_B, **_CLIP},
            pixel_range="clip",
            resize="bicubic, short side 224, centre 224",
            parameters=85_799_424,
            hub="openai/clip-vit-base-patch16",
            licence="MIT",
        ),
        # With a projection of 768 x 512: 87,849,216.
        Variant(
            name="clip-b32",
            fields={**_B, **_CLIP},
            patch_size=32,
            pixel_range="clip",
            resize="bicubic, short side 224, centre 224",
            parameters=87_456_000,
            hub="openai/clip-vit-base-patch32",
            licence="MIT",
        ),
        # AligNet's control without pre-training: no weights. That it has
        # SigLIP-B's architecture is assumed, not published.
        Variant(
            name="scratch-b16",
            fields={**_B, **_SIGLIP},
            pixel_range=(0.0, 1.0),
            resize="cubic, straight to the size",
            parameters=92_884_224,
            format="big_vision",
        ),
    )
}
"""Name to model. The pixel range is that of the published base model."""


def find(name: str) -> Variant:
  """The model of a name; another one is an error that lists them."""
  if name not in ZOO:
    raise AlignetError(
        f"expected the name of a model, one of {', '.join(ZOO)}; found {name!r}"
    )
  return ZOO[name]
