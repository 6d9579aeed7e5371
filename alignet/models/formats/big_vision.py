"""Weights of google-research/big_vision and vision_transformer, as npz."""

from collections.abc import Mapping

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

NUMERICS = dict(
    activation="gelu_tanh", norm_epsilon=1e-6, resampling="bilinear"
)
"""Fields of a `ViT` that computes as its code does (models/vit.py; so does
vision_transformer's models_vit.py): Flax's defaults of GELU and LayerNorm, and
`scipy.ndimage.zoom(order=1)` for positions."""

# Where checkpoints keep the image encoder: alone, SigLIP's two towers, CapPa.
_ROOTS = ("params/img/", "params/encoder/", "img/", "encoder/", "params/", "")
# Classifiers are no part of the representation.
_UNUSED = ("head/", "pre_logits/")
# Names of blocks' modules before 2022 (vision_transformer, augreg).
_OLD = {
    "MultiHeadDotProductAttention_1": "MultiHeadDotProductAttention_0",
    "LayerNorm_2": "LayerNorm_1",
    "MlpBlock_3": "MlpBlock_0",
}


def read(
    path: files.Path, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
  """Flat parameters of the image encoder in an npz.

  Text towers, decoders and the optimizer's state are left out; the rest is what
  `to_ours` makes of it.

  Args:
    path: an .npz file with names such as
      `params/img/Transformer/encoderblock_0/LayerNorm_0/scale`.
    shapes: of the model's parameters.

  Raises:
    AlignetError: missing, damaged, pickled, or no image encoder inside.
  """
  with files.open_npz(path, required=()) as archive:
    root = next(
        (r for r in _ROOTS if f"{r}embedding/kernel" in archive.files), None
    )
    if root is None:
      raise AlignetError(
          f"{path} holds no image encoder of big_vision: expected a name that"
          " ends with embedding/kernel, found"
          f" {', '.join(archive.files[:4]) or 'nothing'}"
      )
    found = {
        name.removeprefix(root): files.read_member(archive, name, path)
        for name in archive.files
        if name.startswith(root) and not name.startswith("opt/")
    }
  return to_ours(found, shapes)


def to_ours(
    found: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
  """Parameters of an image encoder of big_vision, of any age -> as our ViT's.

  Classifiers are left out; names from before 2022 become today's. A class
  token's position is added to the class token where the model has no such
  position.

  Args:
    found: flat, without what comes before `embedding`.
    shapes: of the model's parameters.
  """
  found = {
      _today(name): value
      for name, value in found.items()
      if not name.startswith(_UNUSED)
  }
  positions, cls = found.get("pos_embedding"), found.get("cls")
  wanted = shapes.get("pos_embedding")
  if (
      cls is not None
      and wanted is not None
      and positions.shape[1:] == (wanted[1] + 1, wanted[2])
  ):
    found["cls"] = cls + positions[:, :1]
    found["pos_embedding"] = positions[:, 1:]
  return found


def _today(name: str) -> str:
  if name.startswith("Transformer/posembed_input/"):
    return "pos_embedding"
  if name == "Transformer/pos_embedding":
    return "pos_embedding"
  parts = name.split("/")
  # An old block has no second LayerNorm_0, so the new names are free.
  return "/".join(_OLD.get(part, part) for part in parts)
