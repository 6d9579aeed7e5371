"""Exports weights: safetensors of ours, or a folder for `transformers`."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.models.export import serving
from alignet.models.export.folder import Written
from alignet.models.formats import checkpoints
from alignet.models.formats import huggingface
from alignet.models.formats import huggingface_config
from alignet.models.formats import weights
from alignet.models.vit import pixels
from alignet.models.vit.vision_model import VisionModel
import flax
import jax
import numpy as np
import safetensors.numpy

_TOLERANCE = 1e-6  # Relative: the same numbers were written.


def write_safetensors(
    folder: pathlib.Path,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    meta: Mapping[str, Any] | None = None,
) -> Written:
  """Writes weights.safetensors, of ours: see `folder.Writer`.

  Its header keeps `meta`, what the training noted.
  """
  path = folder / "weights.safetensors"
  checkpoints.save(path, model, params, meta=meta)
  usage = (
      "import alignet\n"
      'features = alignet.load_model("weights.safetensors")(images)'
  )
  model_again, params_again = checkpoints.load(path)
  serve = jax.jit(serving.function(model_again, layers=False))
  difference, sentence = serving.check(
      model,
      params,
      lambda images: serve(params_again, images),
      layers=False,
      tolerance=_TOLERANCE,
  )
  return Written(model, difference, sentence, usage)


def write_huggingface(
    folder: pathlib.Path, model: VisionModel, params: Mapping[str, Any]
) -> Written:
  """Writes what `transformers` loads: see `folder.Writer`.

  The backbone alone: `transformers` has no place for a triplet head.

  Raises:
    AlignetError: a model that `transformers` does not have, or would compute
      differently; tensors that are others when they are read back.
  """
  backbone = flax.traverse_util.flatten_dict(dict(params["backbone"]), sep="/")
  tensors = huggingface.write(backbone)
  kind = huggingface.family(backbone)
  size = model.size[0]
  config = huggingface_config.make(model.backbone, kind, size)
  with files.atomic_write(folder / "model.safetensors") as f:
    f.write(safetensors.numpy.save(tensors, metadata={"format": "pt"}))
  json_files.write(folder / "config.json", config)
  json_files.write(
      folder / "preprocessor_config.json", _preprocessor(model, size)
  )
  alone = model.clone(triplet_dim=0, num_classes=0, i1k_classes=0)
  expected = weights.shapes(alone)
  again = weights.read(folder, expected)
  checkpoints.check_tree(again, expected, folder)
  difference = np.max(
      [np.abs(again[f"backbone/{k}"] - v).max() for k, v in backbone.items()]
  )
  if difference != 0:  # Also where it is NaN.
    raise AlignetError(
        "the tensors that were read back have other values than the model's:"
        f" {difference:.2g} away; nothing was kept"
    )
  name = config["architectures"][0]
  usage = (
      f"from transformers import {name}\n"
      f'model = {name}.from_pretrained("FOLDER")'
  )
  if config["image_size"] != size:
    usage += (
        f"\n# images of {size} pixels meet positions made for"
        f" {config['image_size']}"
    )
    if kind != "dinov2":  # Which resamples them unasked.
      usage += ": model(images, interpolate_pos_encoding=True)"
  sentence = (
      f"{len(tensors)} tensors were read back after writing, and are the"
      " model's; transformers was not run on them"
  )
  return Written(alone, float(difference), sentence, usage)


def _preprocessor(model: VisionModel, size: int) -> dict[str, Any]:
  """preprocessor_config.json: resized straight to the size, then scaled."""
  mean, std = pixels.mean_and_std(model.pixel_range)
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
