"""The model card beside exported weights, and what it says was measured."""

from collections.abc import Mapping
import json
from typing import Any

from alignet.models.vision_model import VisionModel
import jax
import numpy as np

UNKNOWN = "not given"


def card(
    *,
    title: str,
    base: str = UNKNOWN,
    data: str = UNKNOWN,
    licence: str = UNKNOWN,
    metrics: Mapping[str, Any] | None = None,
    config: Mapping[str, Any],
    parity: str,
    usage: str,
) -> str:
  """Markdown of a README.md; what is not known is said so.

  Args:
    title: name of the model.
    base: the model it started from.
    data: what it was trained on.
    licence: of the weights.
    metrics: name to figure.
    config: the model's description, anything JSON can hold.
    parity: the sentence of `parity`.
    usage: lines of code that load it.
  """
  rows = [f"| {name} | {value} |" for name, value in (metrics or {}).items()]
  table = ["| metric | value |", "|---|---|", *rows] if rows else [UNKNOWN]
  return "\n".join(
      [
          f"# {title}",
          "",
          f"- Base model: {base}",
          f"- Data: {data}",
          f"- Licence: {licence}",
          f"- Parity: {parity}",
          "",
          "## Use",
          "",
          "```python",
          usage,
          "```",
          "",
          "## Metrics",
          "",
          *table,
          "",
          "## Configuration",
          "",
          "```json",
          json.dumps(config, indent=2, sort_keys=True),
          "```",
          "",
      ]
  )


def parity(
    model: VisionModel,
    params: Mapping[str, Any],
    again: tuple[VisionModel, Mapping[str, Any]],
    *,
    images: int = 2,
) -> tuple[float, str]:
  """Compares a model with what was read back from its file.

  Args:
    model: what was exported.
    params: its parameters.
    again: model and parameters that were read back.
    images: number of random images.

  Returns:
    The largest difference of pre_logits, and a sentence that says it.
  """
  rows, columns = grid(model)
  p = model.backbone.patch_size
  x = np.random.default_rng(0).integers(
      0, 256, (images, rows * p, columns * p, 3), np.uint8
  )
  wanted, found = (
      np.asarray(_pre_logits(m, w, x), np.float32)
      for m, w in ((model, params), again)
  )
  difference = float(np.abs(wanted - found).max())
  return difference, (
      f"read back after writing, pre_logits of {images} random images differ by"
      f" at most {difference:.2g}, where the largest is"
      f" {np.abs(wanted).max():.3g}"
  )


def grid(model: VisionModel) -> tuple[int, int]:
  """Patches that a few images of the model's own size have; 2 x 2 if open."""
  return model.backbone.grid or (2, 2)


def _pre_logits(model, params, x):
  apply = lambda p, x: model.apply(
      {"params": p}, x, is_training_property=False
  ).pre_logits
  return jax.jit(apply)(params, x)
