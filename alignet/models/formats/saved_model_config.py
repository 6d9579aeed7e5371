"""The model in a SavedModel: what its parameters leave open.

Grid and class token follow from the number of positions; activation, epsilon
and pixels from what `serving_default` gives.
"""

from collections.abc import Mapping
import math
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.models.formats import big_vision
from alignet.models.formats import saved_model
from alignet.models.vit.vision_model import VisionModel
import jax
import numpy as np

# Pixels of AligNet's own students, whatever those of the model they start from.
_RELEASED_RANGE = (0.0, 1.0)
# Largest difference of an output, over its largest value.
_TOLERANCE = 1e-4


def with_positions(
    model: VisionModel, tensors: Mapping[str, np.ndarray]
) -> VisionModel:
  """The model with the grid that a SavedModel has positions for, if square.

  That of the released models is of the images that they were post-trained on,
  and a class token has a position of its own or none.

  Args:
    model: the one that was named.
    tensors: what `saved_model.read` returns.
  """
  vit = model.backbone
  positions = tensors.get("backbone/pos_embedding")
  for extra in (True, False) if vit.pool == "tok" else (False,):
    n = 0 if positions is None else positions.shape[1] - extra
    side = math.isqrt(max(n, 0))
    if side and side * side == n:
      found = vit.clone(
          grid=(side, side),
          class_position=extra if vit.pool == "tok" else vit.class_position,
      )
      if found.grid != vit.grid:
        model = model.clone(image_size=None)
      return model.clone(backbone=found)
  return model


def as_served(
    path: files.Path, model: VisionModel, params: Mapping[str, Any]
) -> VisionModel:
  """The model that computes what the SavedModel does.

  A tree says neither activation nor epsilon nor pixel range. So both are run on
  two random images: with the model's own pixel range and with that of the
  released students, each computing as the model named does and as big_vision.

  Args:
    path: the folder of a SavedModel.
    model: with the parameters of that SavedModel.
    params: those.

  Returns:
    The one that is nearest; of several, the one most like the model named. Its
    size is that of the images that the SavedModel takes.

  Raises:
    AlignetError: the SavedModel cannot be run, or gives other values than each.
  """
  served = saved_model.open(path)
  outputs = [name for name in model.outputs if name in served.outputs]
  if saved_model.OUTPUT not in outputs:
    raise AlignetError(
        f"{path}: expected the output {saved_model.OUTPUT}, to compare with,"
        f" found {', '.join(served.outputs)}"
    )
  n, *sides = served.shape
  size = [fixed or side for fixed, side in zip(sides, model.size)]
  images = np.random.default_rng(0).random((n or 2, *size, 3), np.float32)
  wanted = served(images)
  if size[0] == size[1]:
    model = model.clone(image_size=size[0])
  vit = model.backbone
  candidates = (
      model.clone(backbone=backbone, pixel_range=pixel_range)
      for backbone in (vit, vit.clone(**big_vision.NUMERICS))
      for pixel_range in (model.pixel_range, _RELEASED_RANGE)
  )
  differences = {}
  for candidate in dict.fromkeys(candidates):
    found = _apply(candidate, params, images * 255)
    differences[candidate] = max(
        np.abs(getattr(found, name) - wanted[name]).max()
        / max(np.abs(wanted[name]).max(), np.finfo(np.float32).tiny)
        for name in outputs
    )
  best = min(differences, key=differences.get)
  if differences[best] <= _TOLERANCE:
    return best
  texts = [
      f"{difference:.2g} with pixels in {candidate.pixel_range} and"
      f" {candidate.backbone.activation}"
      for candidate, difference in differences.items()
  ]
  raise AlignetError(
      f"{path} computes something else than the model named, with the same"
      f" parameters: its outputs differ by {', '.join(texts)}, of their largest"
      " value; name the model that it is, or extract with it as it is,"
      f" --model=saved_model:{path}"
  )


def _apply(model, params, images):
  def apply(params, images):
    return model.apply({"params": params}, images, is_training_property=False)

  return jax.device_get(jax.jit(apply)(params, images))
