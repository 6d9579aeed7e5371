"""Networks as SavedModels, run by TensorFlow as they are."""

import os

from alignet.io import files
from alignet.models.encoders import encoder_options
from alignet.models.formats import saved_model
from alignet.models.vit import pixels
import numpy as np


class SavedModelEncoder:
  """One output of a SavedModel; see `alignet.models.encoders.encoders.Encoder`.

  TensorFlow uses all cores for one call.

  Args:
    path: the folder.
    layer: name of an output; None for `pre_logits`, or the only one.
    size: side of the images; None where the SavedModel fixes it.
    pixel_range: see `alignet.models.vit.pixels`; None for 0 to 1, as the
      released models have it, where there is an output `pre_logits`.
    pool: "first" or "mean", for outputs (n, tokens, d).
    batch_size: images of a call; None for 32, or the one that is fixed.

  Raises:
    AlignetError: what `saved_model.open` raises; no such output; a size or
      range that is not known.
  """

  parallel = False

  def __init__(
      self,
      path: files.Path,
      *,
      layer: str | None = None,
      size: int | None = None,
      pixel_range: str | None = None,
      pool: str | None = None,
      batch_size: int | None = None,
  ):
    encoder_options.check_pool(pool)
    self._path, self._pool = path, pool
    self._serve = saved_model.open(path)
    outputs = self._serve.outputs
    self._layer = encoder_options.output(
        path, outputs, layer, saved_model.OUTPUT
    )
    if pixel_range is None and saved_model.OUTPUT in outputs:
      pixel_range = "0,1"
    self._table = encoder_options.table(path, pixel_range)
    self._pad, *sides = self._serve.shape
    fixed = encoder_options.square(path, sides)
    self.size = encoder_options.side(path, size, fixed)
    self.batch_size = encoder_options.batch_size(batch_size, self._pad, 32)
    self.meta = {
        "model": f"saved_model:{os.path.basename(os.path.abspath(path))}",
        "weights_sha256": saved_model.sha256(path),
        "layer": self._layer,
        "pixel_range": pixel_range,
        "pool": pool,
    }

  def __call__(self, images: np.ndarray) -> np.ndarray:
    n = len(images)
    batch = pixels.apply(images, self._table).transpose(0, 2, 3, 1)
    batch = encoder_options.padded(batch, self._pad)
    out = self._serve(np.ascontiguousarray(batch))[self._layer]
    what = f"output {self._layer} of {self._path}"
    return encoder_options.vectors(out[:n], self._pool, what)
