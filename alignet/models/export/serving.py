"""What a model computes for those who load it elsewhere.

The signature of the released SavedModels: float images [b, h, w, 3] with values
from 0 to 1, whatever the model's own pixel range, to named outputs.
"""

from collections.abc import Callable, Mapping
import math
from typing import Any

from alignet.errors import AlignetError
from alignet.models.vit.vision_model import VisionModel
import jax
import numpy as np

Outputs = dict[str, jax.Array]

TOLERANCE = 1e-4
"""Largest difference of an output that another program computes, over its
largest value."""


def function(
    model: VisionModel, *, layers: bool = True
) -> Callable[[Mapping[str, Any], jax.Array], Outputs]:
  """The function of parameters and images [b, h, w, 3] in [0, 1].

  Its outputs are float32: `pre_logits` [b, d]; those of the heads that it has,
  `triplet_logits`, `i1k_logits` and, which no released model has,
  `class_logits`; and, with `layers`, `layer_k` [b, n, d], the output of block
  k's self-attention branch at the n patches, as in the released models.

  Args:
    model: a vision model with a ViT.
    layers: whether the layers are among the outputs.
  """

  def serve(params: Mapping[str, Any], images: jax.Array) -> Outputs:
    # The model scales grey values itself; that they are whole is not needed.
    predictions, collections = model.apply(
        {"params": params},
        images * 255,
        mutable=["intermediates"],
        is_training_property=False,
    )
    outputs = {name: getattr(predictions, name) for name in model.outputs}
    if layers:
      found = collections["intermediates"]["backbone"]
      first = model.backbone.pool == "tok"  # The class token is no patch.
      for k in range(model.backbone.depth):
        outputs[f"layer_{k}"] = found[f"attention_{k}"][:, int(first) :]
    return {name: value.astype("float32") for name, value in outputs.items()}

  return serve


def check(
    model: VisionModel,
    params: Mapping[str, Any],
    again: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    *,
    layers: bool = True,
    tolerance: float = TOLERANCE,
) -> tuple[float, str]:
  """Compares a model with what was read back from its file.

  Args:
    model: what was exported.
    params: its parameters.
    again: from images to outputs, as the file computes them.
    layers: as in `function`.
    tolerance: largest difference of an output, over its own largest value; an
      output that is zero everywhere must be zero again.

  Returns:
    The largest difference of any output, and a sentence that says it.

  Raises:
    AlignetError: an output is missing or too different.
  """
  images = np.random.default_rng(0).random((2, *model.size, 3), np.float32)
  wanted = jax.jit(function(model, layers=layers))(params, images)
  found = again(images)
  differences = {}
  for name, value in wanted.items():
    if name not in found:
      raise AlignetError(
          f"the exported model lacks {name}; found {', '.join(found)}"
      )
    value = np.asarray(value)
    difference = float(np.abs(value - found[name]).max())
    scale = float(np.abs(value).max())
    if not math.isfinite(difference) or difference > tolerance * scale:
      raise AlignetError(
          f"the exported model gives other values of {name}: {difference:.2g}"
          f" away, where the largest is {scale:.3g}; nothing was kept"
      )
    differences[name] = difference
  largest = max(differences.values())
  return largest, (
      f"read back after writing, {len(differences)} outputs of two random"
      f" images differ by at most {largest:.2g}, each by at most"
      f" {tolerance:.0e} of its largest value"
  )
