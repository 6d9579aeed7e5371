"""Exports weights: safetensors of ours, or a folder for `transformers`."""

from collections.abc import Mapping
import math
import pathlib
from typing import Any

from alignet import files
from alignet.errors import AlignetError
from alignet.export import card as card_lib
from alignet.export import serving
from alignet.models import checkpoints
from alignet.models import huggingface
from alignet.models import pixels
from alignet.models import weights
from alignet.models.vision_model import VisionModel
import flax
import numpy as np
import safetensors.numpy

_TOLERANCE = 1e-6  # Relative: the same numbers were written.


def to_safetensors(
    out: files.Path,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    overwrite: bool = False,
    **card: Any,
) -> float:
  """Writes a folder: weights.safetensors, of ours, and README.md.

  Args:
    out: the folder.
    model: the module.
    params: its parameters.
    overwrite: replace an existing folder.
    **card: title, base, data, licence, metrics: see `card.card`.

  Returns:
    The largest difference of pre_logits after reading back.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: what was read back is not what was written.
  """
  model = serving.with_grid(model, params)
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    path = folder / "weights.safetensors"
    checkpoints.save(path, model, params)
    return _finish(
        folder,
        model,
        params,
        checkpoints.load(path),
        usage=(
            "import alignet\n"
            'features = alignet.load_model("weights.safetensors")(images)'
        ),
        **card,
    )


def to_huggingface(
    out: files.Path,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    overwrite: bool = False,
    **card: Any,
) -> float:
  """Writes a folder that `transformers` loads; see `to_safetensors`.

  The backbone alone: `transformers` has no place for a triplet head.

  Raises:
    AlignetError: a model that `transformers` does not have.
  """
  model = serving.with_grid(model, params)
  backbone = flax.traverse_util.flatten_dict(dict(params["backbone"]), sep="/")
  tensors = huggingface.write(backbone)
  kind = huggingface.family({k: np.shape(v) for k, v in backbone.items()})
  size = model.image_size or model.backbone.grid[0] * model.backbone.patch_size
  config = huggingface.config(model.backbone, kind, size)
  alone = model.clone(triplet_dim=0, num_classes=0)
  alone_params = {"backbone": params["backbone"]}
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    with files.atomic_write(folder / "model.safetensors") as f:
      f.write(safetensors.numpy.save(tensors, metadata={"format": "pt"}))
    files.write_json(folder / "config.json", config)
    files.write_json(
        folder / "preprocessor_config.json", _preprocessor(model, size)
    )
    expected = weights.shapes(alone)
    again = weights.read(folder, expected)
    checkpoints.check_tree(again, expected, folder)
    again = flax.traverse_util.unflatten_dict(again, sep="/")
    name = config["architectures"][0]
    return _finish(
        folder,
        alone,
        alone_params,
        (alone, again),
        usage=(
            f"from transformers import {name}\n"
            f'model = {name}.from_pretrained("FOLDER")'
        ),
        **card,
    )


def _finish(
    folder: pathlib.Path, model, params, again, *, usage, **card
) -> float:
  """Measures, and writes the card."""
  difference, sentence = card_lib.parity(model, params, again)
  scale = max(
      float(np.abs(v).max())
      for v in flax.traverse_util.flatten_dict(dict(params)).values()
  )
  if not math.isfinite(difference) or difference > _TOLERANCE * max(scale, 1):
    raise AlignetError(
        f"the exported weights give other values: {sentence}; nothing was kept"
    )
  text = card_lib.card(
      config=checkpoints.describe(model),
      parity=sentence,
      usage=usage,
      **card,
  )
  with files.atomic_write(folder / "README.md") as f:
    f.write(text.encode())
  return difference


def _preprocessor(model: VisionModel, size: int) -> dict[str, Any]:
  """preprocessor_config.json: resized straight to the size, then scaled."""
  scale, offset = pixels.affine(model.pixel_range)
  std = np.broadcast_to(1 / (255 * scale.astype(float)), 3)
  mean = np.broadcast_to(-offset.astype(float), 3) * std
  return {
      "image_processor_type": "ViTImageProcessor",
      "do_resize": True,
      "size": {"height": size, "width": size},
      "resample": 3,  # PIL's number of bicubic.
      "do_rescale": True,
      "rescale_factor": 1 / 255,
      "do_normalize": True,
      "image_mean": [round(x, 6) for x in mean.tolist()],
      "image_std": [round(x, 6) for x in std.tolist()],
  }
