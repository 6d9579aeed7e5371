"""Weights of a ViT in any format that is known here.

- ours: safetensors with a description of the model (`checkpoints`);
- Hugging Face: safetensors with the names of `transformers`, or a folder with
  model.safetensors;
- big_vision: npz;
- Orbax: the workdir of a training, or one of its checkpoints; to go on
  training from, as it does not say which model it is (`InitFromWeights`).

Nothing is unpickled.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet import files
from alignet.errors import AlignetError
from alignet.models import big_vision
from alignet.models import checkpoints
from alignet.models import huggingface
from alignet.models import zoo
from alignet.models.vision_model import VisionModel
import flax
import jax
import jax.numpy as jnp
from kauldron import kd
import numpy as np

_BACKBONE = "backbone/"
_FINAL = "weights.safetensors"
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
      backbone or pixel range is an error.
    allow_half: see `read`.

  Returns:
    The module and its parameter tree, float32 NumPy arrays.

  Raises:
    AlignetError: missing or damaged; of another format, family or size; no
      variant where one is needed; a training's folder.
  """
  path = pathlib.Path(path)
  if path.is_dir() and not (path / "model.safetensors").exists():
    run = path
    for part in ("default", "ckpt_*", "checkpoints"):
      run = run.parent if run.match(part) else run
    raise AlignetError(
        f"{path} holds no model.safetensors of transformers, and the"
        " checkpoints of a training do not say which model they are of; pass"
        f" {run}/weights.safetensors alone, as --model, which `alignet train`"
        " writes when it is done"
    )
  other = path.is_dir() or path.suffix == ".npz"
  if variant is None and other:
    raise AlignetError(
        f"{path} does not describe its model; name it, one of"
        f" {', '.join(zoo.ZOO)}"
    )
  if variant is None or (
      not other and checkpoints.is_ours(checkpoints.header(path))
  ):
    model, params = checkpoints.load(path)
    if variant is not None:
      _check_same(model, variant, path)
    return model, params
  model = variant.model()
  expected = shapes(model)
  tensors = read(path, expected, allow_half=allow_half)
  checkpoints.check_tree(
      tensors, expected, path, may_exceed=("triplet_head", "class_head")
  )
  tensors = {name: tensors[name] for name in expected}
  return model, flax.traverse_util.unflatten_dict(tensors, sep="/")


def read(
    path: files.Path,
    expected: Mapping[str, tuple[int, ...]],
    *,
    allow_half: bool = False,
) -> dict[str, np.ndarray]:
  """Flat parameters with the names of a `VisionModel`, from any format.

  Args:
    path: a file or folder; of a training that ended, the final weights count.
    expected: names and shapes of the model's parameters. Nothing is compared
      here but the family: `checkpoints.check_tree` does.
    allow_half: convert float16 and bfloat16 to float32, which brings back none
      of the digits that were lost; otherwise they are an error.

  Returns:
    Name to float32 array.

  Raises:
    AlignetError: missing, damaged, pickled, of no known format or family, half
      precision, or values that are no floats.
  """
  path = pathlib.Path(path)
  own = {
      name.removeprefix(_BACKBONE): shape
      for name, shape in expected.items()
      if name.startswith(_BACKBONE)
  }
  if (path / _FINAL).is_file():
    path = (
        path / _FINAL
    )  # A training's last checkpoint may lie steps before it.
  if path.is_dir() and not (path / "model.safetensors").exists():
    tensors = _read_orbax(path)
  elif path.suffix == ".npz":
    tensors = _in_backbone(big_vision.read(path, own))
  else:
    file = path / "model.safetensors" if path.is_dir() else path
    tensors, header = checkpoints.read(file)
    if not checkpoints.is_ours(header):
      tensors = _in_backbone(huggingface.read(tensors, own))
  return {
      name: _float32(value, name, path, allow_half)
      for name, value in tensors.items()
  }


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitFromWeights(kd.ckpts.InitTransform):
  """Starts training from weights of any known format.

  Runs before the optimizer is made, so `decay_to_init` pulls towards these
  weights.

  Attributes:
    path: a file, or the folder of a checkpoint; see `alignet.models.weights`.
    new: top-level modules that the file need not hold and that keep their
      random start.
    unused: top-level modules of the file that the model need not have.
    allow_half: accept float16 and bfloat16; they are converted.
  """

  path: str
  new: tuple[str, ...] = ("triplet_head",)
  unused: tuple[str, ...] = ("class_head",)
  allow_half: bool = False

  def transform(self, state):
    flat = flax.traverse_util.flatten_dict(dict(state.params), sep="/")
    expected = {k: np.shape(v) for k, v in flat.items()}
    tensors = read(self.path, expected, allow_half=self.allow_half)
    checkpoints.check_tree(
        tensors,
        expected,
        self.path,
        may_lack=self.new,
        may_exceed=self.unused,
    )
    loaded = {
        k: jax.device_put(tensors[k].astype(v.dtype), v.sharding)
        if k in tensors
        else v
        for k, v in flat.items()
    }
    params = flax.traverse_util.unflatten_dict(loaded, sep="/")
    return state.replace(params=params)


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


def _read_orbax(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Flat parameters of a training's last checkpoint."""
  import orbax.checkpoint as ocp  # pylint: disable=g-import-not-at-top

  folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
  steps = [
      (int(p.name.removeprefix("ckpt_")), p)
      for p in folder.glob("ckpt_*")
      if p.name.removeprefix("ckpt_").isdigit()
  ]
  step = max(steps)[1] if steps else folder
  if (step / "default").is_dir():
    step = step / "default"
  checkpointer = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
  try:
    metadata = checkpointer.metadata(step.absolute()).item_metadata
    if metadata is None:
      raise ValueError("no checkpoint")
    # The parameters alone: the optimizer's state is twice as large.
    wanted = {"params": metadata.tree["params"]}
    # Without a sharding of its own each array goes to one device.
    args = ocp.args.PyTreeRestore(
        item=wanted,
        restore_args=jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
        ),
        partial_restore=True,
    )
    params = checkpointer.restore(step.absolute(), args=args)["params"]
  except (ValueError, OSError, KeyError) as e:
    reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
    raise AlignetError(
        f"{path} holds no checkpoint of a training: expected ckpt_N folders, a"
        f" single one of them, or a model.safetensors ({reason})"
    ) from e
  return flax.traverse_util.flatten_dict(params, sep="/")
