"""Names and layouts of `transformers`' vision towers, in both directions.

Four families of names cover all models here: `siglip` (SigLIP, and SigLIP 2 of
fixed resolution), `clip`, `vit` (ViT, DINO) and `dinov2`. Their linear layers
hold (out, in) matrices, ours (in, out); their heads are flat, ours an axis.
"""

from collections.abc import Collection, Iterator, Mapping
import math
from typing import Any, Literal, NamedTuple

from alignet.errors import AlignetError
import numpy as np

Family = Literal["siglip", "clip", "vit", "dinov2"]
Shapes = Mapping[str, tuple[int, ...]]

_CLIP_BLOCK = {
    "LayerNorm_0": "layer_norm1",
    "LayerNorm_1": "layer_norm2",
    "MultiHeadDotProductAttention_0/query": "self_attn.q_proj",
    "MultiHeadDotProductAttention_0/key": "self_attn.k_proj",
    "MultiHeadDotProductAttention_0/value": "self_attn.v_proj",
    "MultiHeadDotProductAttention_0/out": "self_attn.out_proj",
    "MlpBlock_0/Dense_0": "mlp.fc1",
    "MlpBlock_0/Dense_1": "mlp.fc2",
}
_VIT_ATTENTION = {
    "MultiHeadDotProductAttention_0/query": "attention.attention.query",
    "MultiHeadDotProductAttention_0/key": "attention.attention.key",
    "MultiHeadDotProductAttention_0/value": "attention.attention.value",
    "MultiHeadDotProductAttention_0/out": "attention.output.dense",
}
_CLIP_TOP = {
    "embedding": "embeddings.patch_embedding",
    "pos_embedding": "embeddings.position_embedding.weight",
    "Transformer/encoder_norm": "post_layernorm",
}
_VIT_TOP = {
    "embedding": "embeddings.patch_embeddings.projection",
    "pos_embedding": "embeddings.position_embeddings",
    "cls": "embeddings.cls_token",
    "Transformer/encoder_norm": "layernorm",
}
_TOP = {
    "siglip": {
        **_CLIP_TOP,
        "MAPHead_0/probe": "head.probe",
        "MAPHead_0/MultiHeadDotProductAttention_0/out": (
            "head.attention.out_proj"
        ),
        "MAPHead_0/LayerNorm_0": "head.layernorm",
        "MAPHead_0/MlpBlock_0/Dense_0": "head.mlp.fc1",
        "MAPHead_0/MlpBlock_0/Dense_1": "head.mlp.fc2",
    },
    "clip": {
        **_CLIP_TOP,
        "cls": "embeddings.class_embedding",
        "pre_norm": "pre_layrnorm",  # Their spelling.
    },
    "vit": _VIT_TOP,
    "dinov2": _VIT_TOP,
}
_BLOCK = {
    "siglip": _CLIP_BLOCK,
    "clip": _CLIP_BLOCK,
    "vit": {
        **_VIT_ATTENTION,
        "LayerNorm_0": "layernorm_before",
        "LayerNorm_1": "layernorm_after",
        "MlpBlock_0/Dense_0": "intermediate.dense",
        "MlpBlock_0/Dense_1": "output.dense",
    },
    "dinov2": {
        **_VIT_ATTENTION,
        "LayerNorm_0": "norm1",
        "LayerNorm_1": "norm2",
        "MlpBlock_0/Dense_0": "mlp.fc1",
        "MlpBlock_0/Dense_1": "mlp.fc2",
        "layer_scale_0": "layer_scale1.lambda1",
        "layer_scale_1": "layer_scale2.lambda1",
    },
}
_LAYERS = {
    "siglip": "encoder.layers",
    "clip": "encoder.layers",
    "vit": "encoder.layer",
    "dinov2": "encoder.layer",
}
# Towers and heads that are no part of the representation.
_UNUSED = (
    *("text_model.", "text_projection.", "visual_projection.", "logit_"),
    *("pooler.", "classifier.", "embeddings.mask_token"),
    "embeddings.position_ids",
)
_PREFIXES = ("vision_model.", "vit.", "dinov2.")
# The three projections of the MAP head are one matrix there.
_FUSED = "head.attention.in_proj_"


class _Place(NamedTuple):
  """Where a parameter is in a file: a name, perhaps one of three parts."""

  name: str
  part: int | None = None


def family(names: Collection[str]) -> Family | None:
  """The names that a ViT of these parameters has in `transformers`."""
  if "MAPHead_0/probe" in names:
    return "siglip"
  if "pre_norm/scale" in names:
    return "clip"
  if any(name.endswith("layer_scale_0") for name in names):
    return "dinov2"
  return "vit" if "cls" in names else None


def family_of_file(tensors: Mapping[str, Any]) -> Family | None:
  """The family whose names a file has, or None."""
  names = {_strip(name) for name in tensors}
  if "embeddings.class_embedding" in names:
    return "clip"
  if any(name.endswith("layer_scale1.lambda1") for name in names):
    return "dinov2"
  if "embeddings.cls_token" in names:
    return "vit"
  return "siglip" if "embeddings.patch_embedding.weight" in names else None


def read(
    tensors: Mapping[str, np.ndarray], shapes: Shapes
) -> dict[str, np.ndarray]:
  """Tensors with their names -> with ours, shaped as in our tree.

  Args:
    tensors: of a file; text towers, projections and classifiers are left out.
    shapes: of our parameters.

  Returns:
    What could be named; the rest keeps its name, and a tensor of a size that
    does not fit keeps its shape, for `checkpoints.check_tree` to tell.

  Raises:
    AlignetError: the file is of another family than the model.
  """
  found, wanted = family_of_file(tensors), family(shapes)
  if wanted is None or (found is not None and found != wanted):
    raise AlignetError(
        f"expected weights with the names of {wanted or 'no family'} in"
        f" transformers, found those of {found}; choose the model that the file"
        " was made for"
    )
  rest = {
      _strip(name): value
      for name, value in tensors.items()
      if not _strip(name).startswith(_UNUSED)
  }
  result, used = {}, set()
  for ours, place in _places(shapes, wanted):
    if place.name not in rest:
      continue
    used.add(place.name)
    value = rest[place.name]
    if place.part is not None:
      value = np.array_split(value, 3)[place.part]
    result[ours] = _to_ours(value, ours, shapes[ours])
  return result | {k: v for k, v in rest.items() if k not in used}


def write(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Our flat parameters -> tensors with the names of hub files.

  Raises:
    AlignetError: a model that has no counterpart in `transformers`.
  """
  kind = family(params)
  if kind is None:
    raise AlignetError(
        "transformers has no ViT without class token and attention pooling;"
        " export this model with --to=safetensors"
    )
  prefix = "vision_model." if kind in ("siglip", "clip") else ""
  tensors, parts = {}, {}
  for ours, place in _places(params, kind):
    value = _to_theirs(np.asarray(params[ours], np.float32), ours)
    if place.name == "embeddings.class_embedding":
      value = value.reshape(-1)
    elif place.name == "embeddings.position_embedding.weight":
      value = value[0]
    if place.part is None:
      tensors[prefix + place.name] = value
    else:
      parts.setdefault(prefix + place.name, {})[place.part] = value
  for name, three in parts.items():
    tensors[name] = np.concatenate([three[i] for i in range(3)])
  return {k: np.ascontiguousarray(v) for k, v in tensors.items()}


def _strip(name: str) -> str:
  for prefix in _PREFIXES:
    name = name.removeprefix(prefix)
  return name


def _places(shapes: Mapping[str, Any], kind: Family) -> Iterator:
  """(our name, place) of each of our parameters that the family has."""
  for ours in shapes:
    head = "MAPHead_0/MultiHeadDotProductAttention_0/"
    leaf = ours.rpartition("/")[2]
    suffix = {"kernel": "weight", "scale": "weight", "bias": "bias"}.get(leaf)
    module = ours.rpartition("/")[0] if suffix else ours
    if kind == "siglip" and ours.startswith(head) and "/out/" not in ours:
      part = ("query", "key", "value").index(module.removeprefix(head))
      yield ours, _Place(_FUSED + suffix, part)
      continue
    if ours.startswith("Transformer/encoderblock_"):
      _, block, rest = module.split("/", 2)
      theirs = _BLOCK[kind].get(rest)
      if theirs is not None:
        i = block.removeprefix("encoderblock_")
        theirs = f"{_LAYERS[kind]}.{i}.{theirs}"
    else:
      theirs = _TOP[kind].get(module)
    if theirs is not None:
      yield ours, _Place(f"{theirs}.{suffix}" if suffix else theirs)


def _to_ours(value, name, shape) -> np.ndarray:
  if name == "embedding/kernel":
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
  if name.endswith("/kernel"):
    value = value.T
  # A head becomes an axis, a missing axis of length 1 appears; nothing else.
  flat = (math.prod(shape[:-1]), shape[-1]), (shape[0], math.prod(shape[1:]))
  flat = (*flat, (math.prod(shape),))
  return value.reshape(shape) if value.shape in flat else value


def _to_theirs(value, name) -> np.ndarray:
  if name == "embedding/kernel":
    return value.transpose(3, 2, 0, 1)
  if name.endswith("out/kernel"):
    return value.reshape(-1, value.shape[-1]).T
  if name.endswith("/kernel"):
    return value.reshape(value.shape[0], -1).T
  return value.reshape(-1) if name.endswith("/bias") else value
