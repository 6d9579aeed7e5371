"""What the reference curves start from: weights, images and triplets by NumPy.

Everything is drawn from one seed without jax, stored as it was drawn, and read
back by all who compare: a port needs the two files, not this module.
"""

from typing import Any

from alignet.models import VisionModel
from alignet.models import ViT
from alignet.models.formats import checkpoints
from alignet.models.formats import weights
from alignet.training.doctor.check import FOLDER
from alignet.triplets.layout import PAIRS
import flax
import numpy as np

SIDE = 8
IMAGES = 120
TRIPLETS = 1000
BATCH = 64
STEPS = 10


def model() -> VisionModel:
  """SigLIP's architecture with one block of width 16, and the triplet head."""
  backbone = ViT(
      patch_size=4,
      width=16,
      depth=1,
      num_heads=2,
      mlp_dim=32,
      pool="map",
      grid=(2, 2),
  )
  return VisionModel(backbone=backbone, pixel_range=(0.0, 1.0), triplet_dim=8)


def draw_weights(seed: int = 0) -> dict[str, Any]:
  """Parameter tree of `model`; no bias is 0 and no scale 1."""
  rng = np.random.default_rng([seed, 0])
  out = {}
  for name, shape in sorted(weights.shapes(model()).items()):
    value = rng.normal(size=shape)
    leaf = name.split("/")[-1]
    if leaf == "kernel":
      # Of attention's output the last axis alone is what comes out.
      fan = np.prod(shape[:1] if "head" in name else shape[:-1])
      value *= _HEAD if "triplet_head" in name else fan**-0.5
    elif leaf == "scale":
      value = 1 + 0.1 * value
    elif leaf == "bias":
      value *= 0.1
    out[name] = value.astype(np.float32)
  return flax.traverse_util.unflatten_dict(out, sep="/")


# Similarities of about 100, tau: neither uniform nor certain choices.
_HEAD = 4.0


def draw_data(seed: int = 0) -> dict[str, np.ndarray]:
  """Images of 20 kinds and triplets of them with a teacher's similarities.

  Returns:
    images uint8 (120, 8, 8, 3); triplets int32 (1000, 3), the odd one last;
    similarities float32 (1000, 3) from 0 to 5, in the order s01, s02, s12.
  """
  rng = np.random.default_rng([seed, 1])
  kinds = rng.integers(0, 20, IMAGES)
  embedding = rng.normal(size=(20, 6))
  paint = rng.normal(size=(6, SIDE * SIDE * 3))
  noise = rng.normal(size=(IMAGES, SIDE * SIDE * 3))
  pixels = 128 + 25 * (embedding[kinds] @ paint) + 15 * noise
  images = pixels.clip(0, 255).round().reshape(-1, SIDE, SIDE, 3)
  own = embedding[kinds] + 0.2 * rng.normal(size=(IMAGES, 6))
  own /= np.linalg.norm(own, axis=1, keepdims=True)
  triplets, similarities = [], []
  while len(triplets) < TRIPLETS:
    row = rng.permutation(IMAGES)[:3]
    s = np.array([2.5 + 2.5 * own[row[a]] @ own[row[b]] for a, b in PAIRS])
    odd = 2 - int(np.argmax(s))  # The image that the nearest pair leaves out.
    row = [*(x for i, x in enumerate(row) if i != odd), row[odd]]
    triplets.append(row)
    similarities.append(
        [2.5 + 2.5 * own[row[a]] @ own[row[b]] for a, b in PAIRS]
    )
  return {
      "images": images.astype(np.uint8),
      "triplets": np.array(triplets, np.int32),
      "similarities": np.array(similarities, np.float32),
  }


def load() -> tuple[VisionModel, dict[str, Any], dict[str, np.ndarray]]:
  """Model, parameters and data as shipped."""
  loaded, params = checkpoints.load(FOLDER / "weights.safetensors")
  with np.load(FOLDER / "data.npz", allow_pickle=False) as f:
    return loaded, params, dict(f)


def batches(
    data: dict[str, np.ndarray], size: int = BATCH
) -> list[tuple[np.ndarray, np.ndarray]]:
  """(images (size, 3, 8, 8, 3), similarities (size, 3)), rows in file order."""
  out = []
  for i in range(len(data["triplets"]) // size):
    rows = slice(i * size, (i + 1) * size)
    out.append(
        (data["images"][data["triplets"][rows]], data["similarities"][rows])
    )
  return out
