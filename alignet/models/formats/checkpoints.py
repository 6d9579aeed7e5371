"""Model weights as one self-describing safetensors file.

Tensors are named by their path in the parameter tree
(`backbone/Transformer/encoderblock_0/…`), float32. The header carries the
model's own description, so that a file alone is enough to rebuild it.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import hashlib
import json
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vit import ViT
import flax
import numpy as np
import safetensors
import safetensors.numpy

_HEADER = "alignet"
_LISTED = 12  # Names of each kind in an error's text.


def save(
    path: files.Path,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    meta: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
  """Writes weights and the description of the model.

  Args:
    path: a .safetensors file.
    model: the module; its backbone must be a `ViT`.
    params: its parameter tree.
    meta: anything JSON can hold (training config, input hashes).
    overwrite: replace an existing file.

  Raises:
    OutputExistsError: the file exists.
    AlignetError: another backbone.
  """
  flat = flax.traverse_util.flatten_dict(dict(params), sep="/")
  # safetensors writes an array's memory as it lies: it must lie in C order.
  tensors = {
      k: np.array(v, np.float32, order="C") for k, v in sorted(flat.items())
  }
  header = {
      _HEADER: json.dumps(
          {"model": describe(model), "meta": dict(meta or {})}, sort_keys=True
      )
  }
  with files.atomic_write(path, overwrite=overwrite) as f:
    f.write(safetensors.numpy.save(tensors, metadata=header))


def load(path: files.Path) -> tuple[VisionModel, dict[str, Any]]:
  """Reads a file written by `save`.

  Args:
    path: a .safetensors file.

  Returns:
    The module and its parameter tree, float32 NumPy arrays.

  Raises:
    AlignetError: missing, damaged, or without a description of its model.
  """
  tensors, header = read(path)
  if not is_ours(header):
    raise AlignetError(
        f"{path} does not describe its model; it was not written by alignet:"
        " name the model, as in --model=siglip-b16 --weights=FILE"
    )
  try:
    model = build(_described(header, path)["model"])
  except (ValueError, KeyError, TypeError) as e:
    raise AlignetError(
        f"{path} describes a model that this version of alignet cannot build"
        f" ({e}); use the version that wrote it"
    ) from e
  return model, flax.traverse_util.unflatten_dict(tensors, sep="/")


def meta(path: files.Path) -> dict[str, Any]:
  """What `save` was given as `meta`; no tensor is read.

  Raises:
    AlignetError: missing, damaged, or not written by alignet.
  """
  found = header(path)
  try:
    return _described(found, path)["meta"]
  except KeyError as e:
    raise AlignetError(
        f"{path} does not say what it was made from; it was not written by"
        " alignet"
    ) from e


@dataclasses.dataclass(frozen=True)
class _Description:
  model: json_files.Object
  meta: json_files.Object | None = None


def _described(found: Mapping[str, str], path: files.Path) -> dict[str, Any]:
  """What `save` wrote of the model; KeyError where another program did."""
  what = f"the description of the model in {path}"
  return json_files.parse(found[_HEADER], what, _Description)


def describe(model: VisionModel) -> dict[str, Any]:
  """A module's fields as plain JSON values."""
  if not isinstance(model.backbone, ViT):
    raise AlignetError(
        "only models with a ViT backbone can be saved; found"
        f" {type(model.backbone).__name__}"
    )
  fields = _fields(model)
  fields.pop("backbone")
  backbone = _fields(model.backbone)
  if backbone["dtype"] is not None:
    backbone["dtype"] = np.dtype(backbone["dtype"]).name
  return {**fields, "backbone": backbone}


def build(description: Mapping[str, Any]) -> VisionModel:
  """The module that `describe` described."""
  fields = dict(description)
  backbone = fields.pop("backbone")
  if backbone.get("grid"):
    backbone = {**backbone, "grid": tuple(backbone["grid"])}
  backbone = ViT(**backbone)
  if not isinstance(fields["pixel_range"], str):
    fields["pixel_range"] = tuple(fields["pixel_range"])
  return VisionModel(backbone=backbone, **fields)


def is_ours(header: Mapping[str, str]) -> bool:
  """Whether `save` wrote a file, by its header."""
  return _HEADER in header


def check_tree(
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[int, ...]],
    path: files.Path,
    *,
    may_lack: tuple[str, ...] = (),
    may_exceed: tuple[str, ...] = (),
) -> None:
  """Compares names and shapes; one error lists what does not fit.

  Args:
    tensors: name, `module/…/kernel`, to array: what the file holds.
    expected: name to shape: what the model has.
    path: the file, for the message.
    may_lack: top-level modules that the file need not hold.
    may_exceed: top-level modules that the model need not have.

  Raises:
    AlignetError: a name too few or too many, or another shape.
  """
  top = lambda name: name.split("/")[0]
  missing = [k for k in expected if k not in tensors and top(k) not in may_lack]
  unexpected = [
      k for k in tensors if k not in expected and top(k) not in may_exceed
  ]
  shapes = [
      f"{k}: model {tuple(expected[k])}, file {tensors[k].shape}"
      for k in expected
      if k in tensors and tensors[k].shape != tuple(expected[k])
  ]
  problems = [
      f"{title} {len(names)} ({_listed(names)})"
      for title, names in (
          ("missing", missing),
          ("unexpected", unexpected),
          ("of another shape", shapes),
      )
      if names
  ]
  if problems:
    raise AlignetError(
        f"{path} does not fit the model: {'; '.join(problems)}; choose weights"
        " of this architecture or change the model in the config"
    )


def _listed(names: list[str]) -> str:
  rest = len(names) - _LISTED
  more = f" and {rest} more" if rest > 0 else ""
  return ", ".join(names[:_LISTED]) + more


def read(path: files.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
  """Tensors and header of any safetensors file.

  Raises:
    AlignetError: missing, truncated, or of another format.
  """
  with _opened(path) as f:
    return {k: f.get_tensor(k) for k in f.keys()}, f.metadata() or {}


def header(path: files.Path) -> dict[str, str]:
  """Header of any safetensors file; no tensor is read.

  Raises:
    AlignetError: missing, truncated, or of another format.
  """
  with _opened(path) as f:
    return f.metadata() or {}


def sha256(params: Mapping[str, Any]) -> str:
  """Hexadecimal sha256 of parameters: names, shapes, dtypes and values."""
  digest = hashlib.sha256()
  flat = flax.traverse_util.flatten_dict(dict(params), sep="/")
  for name, value in sorted(flat.items()):
    value = np.asarray(value, order="C")
    digest.update(f"{name} {value.shape} {value.dtype}\n".encode())
    digest.update(value)
  return digest.hexdigest()


@contextlib.contextmanager
def _opened(path: files.Path) -> Iterator[Any]:
  _check_no_pickle(path)
  try:
    with safetensors.safe_open(path, framework="numpy") as f:
      yield f
  except FileNotFoundError as e:
    raise AlignetError(f"{str(path)!r} does not exist") from e
  except (OSError, safetensors.SafetensorError) as e:
    raise AlignetError(
        f"{path} cannot be read as safetensors: it is truncated or of another"
        f" format ({e})"
    ) from e


def _check_no_pickle(path: files.Path) -> None:
  """PyTorch's formats are pickles, whatever the file is called.

  Safetensors begin with the length of their header, whose lowest bytes may be
  any, and then the header, a JSON object.
  """
  try:
    with open(path, "rb") as f:
      start = f.read(9)
  except OSError:
    return  # Told below.
  magic = (b"PK", *(b"\x80" + bytes([i]) for i in range(2, 6)))
  if start.startswith(magic) and start[8:] != b"{":
    raise AlignetError(
        f"{path} is no safetensors file but a pickle or a zip archive, as"
        " PyTorch writes, which can run any code when it is read; get the"
        " safetensors of the same model"
    )


def _fields(module) -> dict[str, Any]:
  return {
      f.name: getattr(module, f.name)
      for f in dataclasses.fields(module)
      if f.name not in ("parent", "name")
  }
