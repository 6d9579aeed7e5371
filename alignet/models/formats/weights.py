"""Weights of a ViT in any format that is known here.

- ours: safetensors with a description of the model (`checkpoints`);
- Hugging Face: safetensors with the names of `transformers`, or a folder with
  model.safetensors, or with several files and their index; config.json beside
  them is compared;
- big_vision: npz;
- a SavedModel of TensorFlow, AligNet's released one or ours;
- Orbax: the workdir of a training, or one of its checkpoints; to go on
  training from, as it does not say which model it is (`init_transform`).

Nothing is unpickled.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.models.formats import big_vision
from alignet.models.formats import checkpoints
from alignet.models.formats import huggingface
from alignet.models.formats import huggingface_config
from alignet.models.formats import orbax
from alignet.models.formats import saved_model
from alignet.models.formats import saved_model_config
from alignet.models.formats import shards
from alignet.models.vit import blocks
from alignet.models.vit import zoo
from alignet.models.vit.vision_model import VisionModel
import flax
import jax
import jax.numpy as jnp
from kauldron import kd
import numpy as np

_BACKBONE = "backbone/"
_FINAL = "weights.safetensors"
_HUB_FILE = "model.safetensors"  # As transformers calls it, beside its configs.
# In a folder, the first that is there says what it is.
_FOLDERS = {
    _FINAL: "training",
    saved_model.FILE: "saved_model",
    _HUB_FILE: "safetensors",
    shards.INDEX: "shards",
}
# Fields of `VisionModel` that give the sizes of heads, and a parameter of each.
_HEADS = {
    "triplet_dim": "triplet_head/kernel",
    "num_classes": "class_head/kernel",
    "i1k_classes": "i1k_head/dense/kernel",
}
_HALF = ("float16", "bfloat16")
# In these a file may differ from the model named: they change nothing, beyond
# rounding, on images of the model's size.
_FREE = ("parent", "name", "dropout", "remat", "scan", "dtype", "resampling")


def load(
    path: files.Path,
    variant: zoo.Variant | None = None,
    *,
    allow_half: bool = False,
) -> tuple[VisionModel, dict[str, Any]]:
  """A model and its parameters, from weights of any known format.

  Args:
    path: a file or folder.
    variant: the model. Weights of ours say themselves what they are: theirs is
      the model that is returned, with all its heads, and a variant of another
      backbone or pixel range is an error. That of an npz computes as
      big_vision does. To that of a SavedModel the heads
      that it holds are added, and its positions, pixel range and activation are
      those by which the parameters give what the SavedModel does; see
      `saved_model_config.as_served`.
    allow_half: see `read`.

  Returns:
    The module and its parameter tree, float32 NumPy arrays.

  Raises:
    AlignetError: missing or damaged; of another format, family or size, or not
      of the model that it describes; no variant where one is needed; a
      training's folder; a SavedModel that computes something else.
  """
  path = pathlib.Path(path)
  form = _form(path)
  if form in ("training", "orbax"):
    run = path
    for part in ("default", "ckpt_*", "checkpoints"):
      run = run.parent if run.match(part) else run
    raise AlignetError(
        f"{path} holds no model.safetensors of transformers and no SavedModel,"
        " and the checkpoints of a training do not say which model they are of;"
        " pass"
        f" {run}/weights.safetensors alone, as --model, which `alignet train`"
        " writes when it is done"
    )
  if variant is None and form != "file":
    raise AlignetError(
        f"{path} does not describe its model; name it, one of"
        f" {', '.join(zoo.ZOO)}"
    )
  if variant is None or (
      form == "file" and checkpoints.is_ours(checkpoints.header(path))
  ):
    model, params = checkpoints.load(path)
    if variant is not None:
      _check_same(model, variant, path)
    return model, _check_own(model, params, path, allow_half)
  model = variant.model(**(big_vision.NUMERICS if form == "npz" else {}))
  tensors = read(path, shapes(model), allow_half=allow_half)
  if form == "saved_model":
    model = saved_model_config.with_positions(model, tensors)
  model = model.clone(
      **{
          field: tensors[name].shape[-1]
          for field, name in _HEADS.items()
          if name in tensors and tensors[name].ndim
      }
  )
  expected = shapes(model)
  checkpoints.check_tree(tensors, expected, path)
  kind = huggingface.family({k.removeprefix(_BACKBONE) for k in expected})
  if kind and (form in ("safetensors", "shards") or path.name == _HUB_FILE):
    folder = path if path.is_dir() else path.parent
    huggingface_config.check(folder, model, kind)
  tensors = {name: tensors[name] for name in expected}
  params = flax.traverse_util.unflatten_dict(tensors, sep="/")
  if form == "saved_model":
    model = saved_model_config.as_served(path, model, params)
  return model, params


def read(
    path: files.Path,
    expected: Mapping[str, tuple[int, ...]],
    *,
    allow_half: bool = False,
) -> dict[str, np.ndarray]:
  """Flat parameters with the names of a `VisionModel`, from any format.

  Args:
    path: a file or folder; of a training that ended, the final weights count.
    expected: names and shapes of the model's parameters; where its blocks are
      stacked, so are those that are read. Nothing is compared here but the
      family: `checkpoints.check_tree` does.
    allow_half: convert float16 and bfloat16 to float32, which brings back none
      of the digits that were lost; otherwise they are an error.

  Returns:
    Name to float32 array.

  Raises:
    AlignetError: missing, damaged, pickled, of no known format or family, half
      precision, or values that are no floats.
  """
  path = pathlib.Path(path)
  apart = blocks.unstack(  # Arrays for their shapes: they take no memory.
      {name: np.broadcast_to(0.0, shape) for name, shape in expected.items()}
  )
  own = {
      name.removeprefix(_BACKBONE): value.shape
      for name, value in apart.items()
      if name.startswith(_BACKBONE)
  }
  match _form(path):
    case "orbax":
      tensors = orbax.read(path)
    case "npz":
      tensors = _in_backbone(big_vision.read(path, own))
    case "saved_model":
      tensors = saved_model.read(path, own)
    case "shards":
      tensors = _in_backbone(huggingface.read(shards.read(path), own))
    case form:
      inside = {"training": _FINAL, "safetensors": _HUB_FILE}
      # A training's last checkpoint may lie steps before its final weights.
      tensors, header = checkpoints.read(path / inside.get(form, ""))
      if not checkpoints.is_ours(header):
        tensors = _in_backbone(huggingface.read(tensors, own))
  tensors = {
      name: _float32(value, name, path, allow_half)
      for name, value in blocks.unstack(tensors).items()
  }
  return blocks.stack(tensors) if blocks.are_stacked(expected) else tensors


def meta(path: files.Path) -> dict[str, Any]:
  """What a training kept with its weights; empty for those of others.

  Raises:
    AlignetError: missing or damaged.
  """
  path = pathlib.Path(path)
  if _form(path) != "file" or not checkpoints.is_ours(checkpoints.header(path)):
    return {}
  return checkpoints.meta(path)


def shapes(model: VisionModel) -> dict[str, tuple[int, ...]]:
  """Names and shapes of a model's parameters; nothing is computed.

  Raises:
    AlignetError: the backbone's grid is open.
  """
  vit = model.backbone
  if vit.grid is None:
    raise AlignetError("the ViT's grid is open; set it, (rows, columns)")
  rows, columns = (side * vit.patch_size for side in vit.grid)
  images = jax.ShapeDtypeStruct((1, rows, columns, 3), jnp.uint8)
  with kd.nn.set_train_property(False):
    tree = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
  flat = flax.traverse_util.flatten_dict(tree, sep="/")
  return {name: value.shape for name, value in flat.items()}


def _form(path: pathlib.Path) -> str:
  """What kind of weights a path holds, by its name or by what lies in it."""
  if not path.is_dir():
    return "npz" if path.suffix == ".npz" else "file"
  found = (form for name, form in _FOLDERS.items() if (path / name).is_file())
  return next(found, "orbax")


def _check_same(
    model: VisionModel, variant: zoo.Variant, path: pathlib.Path
) -> None:
  """Fails where a file's own model computes something else than the variant."""
  vit = model.backbone
  # What is left open is what the variant says, if the parameters fit.
  vit = vit.clone(
      mlp_dim=vit.mlp_dim or 4 * vit.width,
      grid=vit.grid or variant.vit().grid,
  )
  pairs = [("pixel_range", model.pixel_range, variant.pixel_range)]
  pairs += [
      (field.name, getattr(vit, field.name), getattr(variant.vit(), field.name))
      for field in dataclasses.fields(vit)
      if field.name not in _FREE
  ]
  differ = [
      f"{name}={own!r} instead of {value!r}"
      for name, own, value in pairs
      if own != value
  ]
  if differ:
    raise AlignetError(
        f"{path} describes its model itself, and that is not {variant.name}:"
        f" {'; '.join(differ)}; pass it alone, as --model={path}"
    )


def _check_own(
    model: VisionModel,
    params: Mapping[str, Any],
    path: pathlib.Path,
    allow_half: bool,
) -> dict[str, Any]:
  """The float32 parameters of a file that describes its model, compared."""
  flat = flax.traverse_util.flatten_dict(params, sep="/")
  flat = {k: _float32(v, k, path, allow_half) for k, v in flat.items()}
  vit = model.backbone
  if vit.grid is None:  # Any grid of as many patches has the same shapes.
    positions = flat.get(_BACKBONE + "pos_embedding", np.zeros((1, 1, 0)))
    n = positions.shape[1] - (vit.pool == "tok" and vit.class_position)
    model = model.clone(backbone=vit.clone(grid=(1, max(n, 1))))
  checkpoints.check_tree(flat, shapes(model), path)
  return flax.traverse_util.unflatten_dict(flat, sep="/")


def _in_backbone(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  return {_BACKBONE + name: value for name, value in tensors.items()}


def _float32(value, name, path, allow_half) -> np.ndarray:
  kind = "bfloat16" if value.dtype.str == "|V2" else value.dtype.name
  if kind in _HALF:
    if not allow_half:
      raise AlignetError(
          f"{path} is in half precision ({name} is {kind}) and models here are"
          " float32; get the float32 file, or say allow_half=True"
          " (--allow_half) to convert what it has"
      )
    return value.view(jnp.dtype(kind)).astype(np.float32)
  if kind not in ("float32", "float64"):
    raise AlignetError(f"{name} in {path}: expected floats, found {kind}")
  return np.asarray(value, np.float32)
