"""Representations of images from a Flax model."""

from collections.abc import Mapping
import functools
from typing import Any

from alignet import files
from alignet import progress
from alignet.errors import AlignetError
from alignet.models.vision_model import VisionModel
import jax
import jax.numpy as jnp
import numpy as np


def extract(
    model: VisionModel,
    params: Mapping[str, Any],
    images: np.ndarray,
    *,
    tap: str = "pre_logits",
    batch_size: int = 256,
) -> np.ndarray:
  """Runs a model over images, batch by batch.

  Args:
    model: the module.
    params: its parameters.
    images: (n, h, w, 3) uint8, possibly a memory map.
    tap: field of `Predictions`: pre_logits, triplet_logits or class_logits.
    batch_size: images on the device at a time; the last batch is padded, so
      that the model is compiled once.

  Returns:
    (n, d) float32.

  Raises:
    AlignetError: no images, another shape or dtype, or a tap that the model
      does not have.
  """
  files.check_array(images, "images", shape=(None, None, None, 3), kinds="u")
  if images.dtype != np.uint8 or not len(images) or batch_size < 1:
    raise AlignetError(
        "expected at least one uint8 image and a positive batch size, found"
        f" {len(images)} of dtype {images.dtype} and {batch_size}"
    )
  batch_size = min(batch_size, len(images))
  parts = []
  starts = range(0, len(images), batch_size)
  for start in progress.bar(starts, desc="extract", unit="batch"):
    batch = np.asarray(images[start : start + batch_size])
    n = len(batch)
    padding = [(0, batch_size - n)] + [(0, 0)] * 3
    batch = jnp.asarray(np.pad(batch, padding))
    features = _forward(model, tap, params, batch)
    if features is None:
      raise AlignetError(
          f"the model has no {tap}; expected pre_logits, or the output of a"
          " head it has"
      )
    parts.append(np.asarray(features, np.float32)[:n])
  return np.concatenate(parts)


# Modules are hashed by value, so that repeated evaluations compile once.
@functools.partial(jax.jit, static_argnames=("model", "tap"))
def _forward(model, tap, params, batch):
  return getattr(model.apply({"params": params}, batch), tap, None)
