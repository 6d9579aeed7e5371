import math

from alignet.errors import AlignetError
from alignet.models.formats import weights
from alignet.models.vit import pixels
from alignet.models.vit import zoo
import pytest


@pytest.mark.parametrize("name", zoo.ZOO)
def test_parameters_are_as_many_as_published(name):
  variant = zoo.find(name)
  shapes = weights.shapes(variant.model())
  assert sum(map(math.prod, shapes.values())) == variant.parameters
  assert variant.name == name
  pixels.affine(variant.pixel_range)


# Published number, and what it counts besides: a classifier, a projection, a
# mask token. What transformers builds is counted in tests/parity.
_PUBLISHED = {
    "so400m-siglip-webli384": (428_225_600, 0),
    "siglip-b16": (92_884_224, 0),
    "siglip2-b16": (92_884_224, 0),
    "dinov1-b16": (85_798_656, 0),
    "dinov2-b14": (86_580_480, 768),
    "vit-b16": (86_567_656, 768 * 1000 + 1000),
    "vit-b32": (88_224_232, 768 * 1000 + 1000),
    "vit-s16": (22_050_664, 384 * 1000 + 1000),
    "vit-ti16": (5_717_416, 192 * 1000 + 1000),
    "clip-b16": (86_192_640, 768 * 512),
    "clip-b32": (87_849_216, 768 * 512),
}


def test_published_numbers():
  for name, (published, besides) in _PUBLISHED.items():
    assert zoo.find(name).parameters + besides == published, name
  # Nobody says how many CapPa's encoder has, or AligNet's Scratch-B.
  assert zoo.ZOO.keys() - _PUBLISHED.keys() == {"cappa-b16", "scratch-b16"}
  scratch = zoo.find("scratch-b16").parameters
  assert scratch == zoo.find("siglip-b16").parameters


def test_the_teacher():
  vit = zoo.find("so400m-siglip-webli384").vit()
  assert vit.grid == (27, 27) and vit.grid[0] * vit.grid[1] == 729
  assert (vit.width, vit.depth, vit.num_heads) == (1152, 27, 16)
  assert vit.mlp_dim == 4304 and vit.pool == "map"


def test_the_size_that_is_served():
  for name, side, grid in (
      ("so400m-siglip-webli384", 384, (27, 27)),
      ("siglip-b16", 224, (14, 14)),
      ("dinov2-b14", 224, (37, 37)),  # Positions for 518 are resampled.
  ):
    model = zoo.find(name).model()
    assert model.size == (side, side) and model.backbone.grid == grid


def test_unknown_names_are_told_the_known():
  with pytest.raises(AlignetError, match="so400m-siglip-webli384.*found 'x'"):
    zoo.find("x")
