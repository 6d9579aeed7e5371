"""Networks that turn images into representations, whatever they run on."""

from collections.abc import Mapping
import functools
import os
import re
from typing import Any, Protocol

from alignet import errors
from alignet.data import decode
from alignet.errors import AlignetError
from alignet.io import files
from alignet.models.encoders import encoder_options
from alignet.models.formats import checkpoints
from alignet.models.formats import weights as weights_lib
from alignet.models.vit import pixels
from alignet.models.vit import zoo
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vision_model import with_grid
import jax
import jax.numpy as jnp
import numpy as np


class Encoder(Protocol):
  """A frozen network, one of its layers, and what it expects of images.

  Attributes:
    meta: model, layer, pixel range, sha256 of the weights: what the values
      depend on.
    size: side in pixels of the images it takes.
    batch_size: images of a call; a call with fewer is allowed.
    parallel: whether calls are meant to run in several threads at once.
  """

  meta: Mapping[str, Any]
  size: int
  batch_size: int
  parallel: bool

  def __call__(self, images: np.ndarray) -> np.ndarray:
    """(b, size, size, 3) uint8 RGB images -> (b, d) float32."""


def meta_of(encoder: Encoder) -> dict[str, Any]:
  """All that features depend on but the images: the meta, and the pixels."""
  size = encoder.size
  return {
      **encoder.meta,
      "decode": "OpenCV, RGB",
      "resize": f"OpenCV cubic, {size} x {size}",
      "background": decode.BACKGROUND,
  }


def open(  # pylint: disable=redefined-builtin
    model: str,
    *,
    layer: str | None = None,
    size: int | None = None,
    pixel_range: str | None = None,
    pool: str | None = None,
    batch_size: int | None = None,
    weights: files.Path | None = None,
    allow_half: bool = False,
) -> Encoder:
  """The encoder that a text names.

  Args:
    model: `onnx:FILE`, `saved_model:FOLDER`, the path of weights in alignet's
      safetensors, or a name of `alignet.models.vit.zoo`.
    layer: an output of the file, or of a model of ours what `FlaxEncoder` has;
      None for `pre_logits`, or the only output of a file.
    size: side of the images in pixels; None for what the model says.
    pixel_range: see `alignet.models.vit.pixels`; needed for ONNX, and known for
      a model of ours.
    pool: "first" or "mean" token, for a layer of one vector a token.
    batch_size: images of a call; None for the encoder's own choice.
    weights: those of the model that is named, in any form that
      `alignet.models.formats.weights` reads.
    allow_half: accept weights in half precision.

  Raises:
    AlignetError: no such file, layer or form, weights that do not fit, or a
      property that the model leaves open and nobody gave.
  """
  kind, separator, path = model.partition(":")
  if separator and kind in ("onnx", "saved_model"):
    if weights is not None or allow_half:
      given = "--allow_half" if weights is None else f"--weights={weights}"
      raise AlignetError(
          f"{model} is used with the weights it holds; leave out {given}"
      )
    return _foreign(kind)(
        path,
        layer=layer,
        size=size,
        pixel_range=pixel_range,
        pool=pool,
        batch_size=batch_size,
    )
  variant = zoo.ZOO.get(model)
  if variant is None and not model.endswith(".safetensors"):
    raise AlignetError(
        "model: expected onnx:FILE, saved_model:FOLDER, a .safetensors file or"
        f" one of {', '.join(zoo.ZOO)}; found {model!r}"
    )
  if variant is not None and weights is None:
    raise AlignetError(f"{model} needs its weights: pass --weights=FILE")
  if variant is None and weights is not None:
    raise AlignetError(
        f"{model} holds its weights itself; leave out --weights={weights}"
    )
  if pixel_range is not None:
    raise AlignetError(
        f"pixel_range belongs to the model in {model}; leave it out"
    )
  path = model if variant is None else weights
  module, params = weights_lib.load(path, variant, allow_half=allow_half)
  return FlaxEncoder(
      module,
      params,
      layer=layer or "pre_logits",
      pool=pool,
      size=size,
      batch_size=batch_size,
      weights=None if os.path.isdir(path) else files.sha256(path),
  )


def _foreign(kind: str) -> Any:
  """The encoder of files of another program, which is loaded only then."""
  # pylint: disable=g-import-not-at-top
  if kind == "onnx":
    from alignet.models.encoders import onnx_encoder

    return onnx_encoder.OnnxEncoder
  from alignet.models.encoders import saved_model_encoder

  return saved_model_encoder.SavedModelEncoder


class FlaxEncoder:
  """A model of ours; see `Encoder`. JAX uses all cores for one call.

  Args:
    model: the module.
    params: its parameters.
    layer: field of `Predictions` that the model fills; or of a ViT's block,
      which `ViT` describes, `layer_k` or `attention_k`, k from 0.
    pool: of a block's tokens: "mean" (None too), of the patches, which a class
      token is not one of; or "first", the class token.
    size: side of the images; None for the one that the model is served, or
      that its position embedding fits.
    batch_size: images on the device at a time; None for 256, or fewer where
      attention needs more memory. Smaller batches are padded, so that the model
      is compiled once.
    weights: sha256 of the file the parameters come from; None for that of the
      parameters themselves.
  """

  parallel = False

  def __init__(
      self,
      model: VisionModel,
      params: Mapping[str, Any],
      *,
      layer: str = "pre_logits",
      pool: str | None = None,
      size: int | None = None,
      batch_size: int | None = None,
      weights: str | None = None,
  ):
    self.size = size or _size(model, params)
    self.batch_size = (
        _batch_size(model, self.size) if batch_size is None else batch_size
    )
    errors.check_least(1, batch_size=self.batch_size)
    self._model, self._params, self._layer = model, params, layer
    self._pool = _find_pool(model, layer, pool)
    self._weights = weights

  @functools.cached_property
  def meta(self) -> Mapping[str, Any]:
    """See `Encoder`; made when asked for, as it may read all parameters."""
    return {
        "model": checkpoints.describe(self._model),
        "weights_sha256": self._weights or checkpoints.sha256(self._params),
        "layer": self._layer,
        "pixel_range": pixels.text(self._model.pixel_range),
    } | ({"pool": self._pool} if self._pool else {})

  def __call__(self, images: np.ndarray) -> np.ndarray:
    n = len(images)
    padding = [(0, self.batch_size - n)] + [(0, 0)] * 3
    batch = jnp.asarray(np.pad(images, padding))
    how = self._model, self._layer, self._pool
    features = _forward(*how, self._params, batch)
    return np.asarray(features, np.float32)[:n]


# Modules are hashed by value, so that repeated evaluations compile once.
@functools.partial(jax.jit, static_argnames=("model", "layer", "pool"))
def _forward(model, layer, pool, params, batch):
  out, collections = model.apply(
      {"params": params},
      batch,
      is_training_property=False,
      mutable=["intermediates"] if pool else [],
  )
  if not pool:
    return getattr(out, layer)
  tokens = collections["intermediates"]["backbone"][layer].astype(jnp.float32)
  if pool == "first":
    return tokens[:, 0]
  return tokens[:, int(model.backbone.pool == "tok") :].mean(axis=1)


def _find_pool(model: VisionModel, layer: str, pool: str | None) -> str | None:
  """How a layer's tokens are pooled; None for one that has none.

  Raises:
    AlignetError: the model has no such layer, or it cannot be pooled so.
  """
  encoder_options.check_pool(pool)
  if layer in model.outputs:
    if pool:
      raise AlignetError(
          f"{layer} is one vector an image; leave out --pool={pool}, which is"
          " for layer_k and attention_k"
      )
    return None
  depth = getattr(model.backbone, "depth", 0)
  block = re.fullmatch(r"(?:layer|attention)_(0|[1-9]\d*)", layer)
  if block is None or int(block[1]) >= depth:
    blocks = f", or layer_k or attention_k, k below {depth}" if depth else ""
    raise AlignetError(
        f"the model has no {layer}; expected {', '.join(model.outputs)}{blocks}"
    )
  if pool == "first" and model.backbone.pool != "tok":
    raise AlignetError(
        "the model has no class token, which --pool=first would take; leave it"
        " out for the mean of the patches"
    )
  return pool or "mean"


def _batch_size(model: VisionModel, size: int) -> int:
  """A power of two up to 256 whose attention matrices fit in half a GiB."""
  vit = model.backbone
  entries = vit.num_heads * (size // vit.patch_size) ** 4
  most = max(2**27 // max(entries, 1), 1)
  return min(1 << (most.bit_length() - 1), 256)


def _size(model: VisionModel, params: Mapping[str, Any]) -> int:
  if not model.image_size:
    model = with_grid(model, params)
  height, width = model.size
  if height != width:
    raise AlignetError(
        f"the model was made for images of {height} x {width} pixels, which are"
        " no square; pass the images' size"
    )
  return height
