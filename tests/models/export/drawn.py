"""Models for the exports, small and of full width, every parameter drawn."""

import dataclasses

from alignet.models.formats import checkpoints
from alignet.models.formats import weights
from alignet.models.vit import zoo
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vit import ViT
import flax
import numpy as np


def params(model):
  """Parameters such that no bias is zero and nothing saturates."""
  rng = np.random.default_rng(0)

  def draw(name, shape):
    values = rng.normal(size=shape).astype(np.float32)
    if name.endswith("kernel"):
      return values * np.float32(model.backbone.width**-0.5)
    if name.endswith("scale"):
      return np.float32(0.7) + np.float32(0.2) * values
    return np.float32(0.3) * values

  flat = {k: draw(k, shape) for k, shape in weights.shapes(model).items()}
  return flax.traverse_util.unflatten_dict(flat, sep="/")


def full_width():
  """SigLIP-B's first two blocks, with the heads of the released models."""
  variant = zoo.find("siglip-b16")
  variant = dataclasses.replace(variant, fields={**variant.fields, "depth": 2})
  return variant.model(triplet_dim=1024).clone(i1k_classes=1000)


def trained(path):
  """Writes weights of ours as a training with all its options leaves them."""
  vit = ViT(
      patch_size=4,
      width=12,
      depth=2,
      num_heads=3,
      grid=(2, 2),
      scan=True,
      remat=True,
      dropout=0.1,
  )
  # Two pixels fill no patch.
  model = VisionModel(backbone=vit, triplet_dim=5, image_size=10)
  checkpoints.save(path, model, params(model))
  return path


def grey(model, n=5):
  """uint8 images of the size that a model is served."""
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (n, *model.size, 3), np.uint8)


def assert_near(found, wanted):
  """Within 1e-4 of the largest value."""
  assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
