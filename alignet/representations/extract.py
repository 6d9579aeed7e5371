"""Representations of images from a Flax model."""

from collections.abc import Mapping
from typing import Any

from alignet import progress
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
  """
  batch_size = min(batch_size, len(images))

  @jax.jit
  def forward(params, batch):
    return getattr(model.apply({"params": params}, batch), tap)

  parts = []
  starts = range(0, len(images), batch_size)
  for start in progress.bar(starts, desc="extract", unit="batch"):
    batch = np.asarray(images[start : start + batch_size])
    n = len(batch)
    padding = [(0, batch_size - n)] + [(0, 0)] * 3
    batch = jnp.asarray(np.pad(batch, padding))
    parts.append(np.asarray(forward(params, batch), np.float32)[:n])
  return np.concatenate(parts)
