"""config.json of `transformers`' vision towers: written, and compared.

Tensors alone do not say how many heads there are, which GELU, which epsilon or
which pixels.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import json_files
from alignet.models.formats.huggingface import Family
from alignet.models.vit import pixels
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vit import ViT
import numpy as np

# What a family's modules compute, whatever config.json says.
_TOKEN = dict(pool="tok", class_position=True)
_FIXED = {
    "siglip": dict(
        pool="map",
        final_norm="before_pool",
        patch_bias=True,
        pre_norm=False,
        layer_scale=None,
    ),
    "clip": dict(_TOKEN, patch_bias=False, pre_norm=True, layer_scale=None),
    "vit": dict(_TOKEN, patch_bias=True, pre_norm=False, layer_scale=None),
    "dinov2": dict(_TOKEN, patch_bias=True, pre_norm=False),
}
# What a config.json leaves out has the value of its class.
_DEFAULTS = {
    "siglip": ("gelu_pytorch_tanh", 1e-6, 16),
    "clip": ("quick_gelu", 1e-5, 32),
    "vit": ("gelu", 1e-12, 16),
    "dinov2": ("gelu", 1e-6, 14),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Tower:
  """What is read of config.json; null is as if left out."""

  num_attention_heads: int | None = None
  hidden_act: str | None = None
  layer_norm_eps: float | None = None
  patch_size: int | list[int] | None = None
  image_size: int | list[int] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Config(_Tower):
  vision_config: _Tower | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Processor:
  """What is read of preprocessor_config.json."""

  do_rescale: bool | None = None
  rescale_factor: float | None = None
  do_normalize: bool | None = None
  image_mean: float | list[float] | None = None
  image_std: float | list[float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Processors(_Processor):
  """What is read of processor_config.json, of newer versions."""

  image_processor: _Processor | None = None


_PROCESSORS = {
    "preprocessor_config.json": _Processor,
    "processor_config.json": _Processors,
}


def defaults(kind: Family) -> dict[str, Any]:
  """Fields of a family's config class that `check` compares."""
  act, epsilon, patch_size = _DEFAULTS[kind]
  return {
      "num_attention_heads": 12,
      "hidden_act": act,
      "layer_norm_eps": epsilon,
      "patch_size": patch_size,
      "image_size": 224,
  }


def check(folder: pathlib.Path, model: VisionModel, kind: Family) -> None:
  """Compares a model with the configs beside its weights, if there are any.

  Of config.json: heads, activation, epsilon, size of patches and images; of
  preprocessor_config.json or processor_config.json: what pixels become.

  Args:
    folder: where the weights are.
    model: what they are to be loaded into.
    kind: its family.

  Raises:
    AlignetError: they describe another model, or cannot be read.
  """
  pairs = []  # Name, expected, found.
  config = _read(folder / "config.json", _Config)
  if config:
    vision = config.get("vision_config", config)
    found = defaults(kind) | _given(vision)
    vit = model.backbone
    wanted = _computed(vit) | {"image_size": vit.grid[0] * vit.patch_size}
    for key in ("patch_size", "image_size"):
      found[key] = _side(found[key])
    side = found["image_size"]
    if isinstance(side, int) and side // vit.patch_size == vit.grid[0]:
      found["image_size"] = wanted["image_size"]  # Pixels that fill no patch.
    pairs += [(name, value, found[name]) for name, value in wanted.items()]
  for name, form in _PROCESSORS.items():
    processor = _read(folder / name, form)
    processor = _given(processor.get("image_processor", processor))
    pairs += _pixels(processor, *pixels.mean_and_std(model.pixel_range))
  differ = [
      f"{name}: expected {wanted!r}, found {found!r}"
      for name, wanted, found in pairs
      if wanted != found
  ]
  if differ:
    raise AlignetError(
        f"the configs in {folder} are of another model than the one named:"
        f" {'; '.join(differ)}; name the model that these weights are of"
    )


def _side(size: int | list[int]) -> int | list[int]:
  """One number of a square's two."""
  equal = isinstance(size, list) and len(size) == 2 and size[0] == size[1]
  return size[0] if equal else size


def _pixels(processor, mean, std) -> list[tuple[str, Any, Any]]:
  """What a processor makes of 0 to 255, as mean and deviation of 0 to 1."""
  normalises = processor.get("do_normalize", True)
  given = ("image_mean", "image_std", "do_normalize", "do_rescale")
  if not any(key in processor for key in (*given, "rescale_factor")) or (
      normalises and "image_mean" not in processor
  ):
    return []  # Its class's own, which we do not know.
  rescales = processor.get("do_rescale", True)
  factor = processor.get("rescale_factor", 1 / 255) if rescales else 1.0
  shown = {"image_mean": 0.0, "image_std": 1.0}  # Where nothing is normalised.
  if normalises:
    shown = {key: processor.get(key, np.nan) for key in shown}
  with np.errstate(all="ignore"):
    found = [np.array(value) / (255 * factor) for value in shown.values()]
  return [
      (key, wanted.round(4).tolist(), value.round(4).tolist())
      for key, wanted, value in zip(shown, (mean, std), found)
      if value.shape not in ((), (3,))
      or not np.allclose(value, wanted, atol=1e-4)
  ]


def make(vit: ViT, kind: Family, size: int) -> dict[str, Any]:
  """The config.json from which `transformers` builds the same model.

  Args:
    vit: the architecture.
    kind: its family.
    size: side in pixels of the images that it is served. Where it is another
      than the grid's, `image_size` is the grid's: what positions are made for.

  Raises:
    AlignetError: `transformers` would compute something else.
  """
  differ = [
      f"{name}={getattr(vit, name)!r}, where it has {value!r}"
      for name, value in _FIXED[kind].items()
      if getattr(vit, name) != value
  ]
  mlp_dim = vit.mlp_dim or 4 * vit.width
  if kind == "dinov2" and mlp_dim % vit.width:
    differ.append(
        f"mlp_dim={mlp_dim}, where it has a multiple of the width {vit.width}"
    )
  rows, columns = vit.grid or (0, 0)
  fits = size // vit.patch_size == rows
  if not fits and vit.resampling != "bicubic":
    differ.append(
        f"resampling={vit.resampling!r} to images of {size} pixels, where it"
        " has 'bicubic'"
    )
  if differ:
    raise AlignetError(
        f"transformers' {kind} computes something else: this model has"
        f" {'; '.join(differ)}; export it with --to=safetensors"
    )
  if not rows or rows != columns:
    raise AlignetError(
        "transformers' models have a square grid of positions, found"
        f" {vit.grid}; set the ViT's grid, or export with --to=safetensors"
    )
  common = {
      **_computed(vit),
      "hidden_size": vit.width,
      "num_hidden_layers": vit.depth,
      "image_size": size if fits else rows * vit.patch_size,
      "num_channels": 3,
      "torch_dtype": "float32",
  }
  if kind == "dinov2":
    return {
        **common,
        "architectures": ["Dinov2Model"],
        "model_type": "dinov2",
        "mlp_ratio": mlp_dim // vit.width,
        "layerscale_value": vit.layer_scale,
        "use_mask_token": False,
    }
  architecture, model_type = {
      "siglip": ("SiglipVisionModel", "siglip_vision_model"),
      "clip": ("CLIPVisionModel", "clip_vision_model"),
      "vit": ("ViTModel", "vit"),
  }[kind]
  return {
      **common,
      "architectures": [architecture],
      "model_type": model_type,
      "intermediate_size": mlp_dim,
  }


def _computed(vit: ViT) -> dict[str, Any]:
  """What a config says that tensors do not."""
  act = {"gelu_tanh": "gelu_pytorch_tanh"}.get(vit.activation, vit.activation)
  return {
      "num_attention_heads": vit.num_heads,
      "hidden_act": act,
      "layer_norm_eps": vit.norm_epsilon,
      "patch_size": vit.patch_size,
  }


def _read(path: pathlib.Path, form: Any) -> dict[str, Any]:
  """The object in a file, without what is null; empty where there is none."""
  return _given(json_files.read(path, form)) if path.is_file() else {}


def _given(found: Mapping[str, Any]) -> dict[str, Any]:
  return {key: value for key, value in found.items() if value is not None}
