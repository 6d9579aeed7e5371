"""Networks of any framework, as ONNX files (extra `onnx`: onnxruntime)."""

import hashlib
import os
import pathlib
import re

from alignet.errors import AlignetError
from alignet.io import files
from alignet.models.encoders import encoder_options
from alignet.models.vit import pixels
import numpy as np

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}

# Small batches stay in the cache of the one core that works on them.
_CPU_BATCH, _GPU_BATCH = 4, 128


class OnnxEncoder:
  """One output of an ONNX file; see `alignet.models.encoders.encoders.Encoder`.

  On a CPU each call runs on one core and several calls run at once: faster
  than one call on all cores, and the values do not depend on how many there
  are.

  Args:
    path: the file. It takes one batch of images, (n, 3, h, w) or (n, h, w, 3),
      whatever the name of that input.
    layer: name of an output; None where there is only one.
    size: side of the images; None where the file fixes it.
    pixel_range: see `alignet.models.vit.pixels`; an ONNX file does not say it.
    pool: "first" (class token) or "mean", for outputs (n, tokens, d).
    batch_size: images of a call; None for 4 on a CPU, 128 on a GPU, or the one
      that the file fixes.

  Raises:
    AlignetError: onnxruntime is not installed; no or another file; several
      inputs; no such output; a size or range that is not known.
  """

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
    self._path = path
    self._session = session = _open(path)
    self._input, fixed_batch, fixed_size = self._find_input()
    encoder_options.check_pool(pool)
    names = [output.name for output in session.get_outputs()]
    self._layer, self._pool = encoder_options.output(path, names, layer), pool
    if self._input.type == "tensor(uint8)":
      if pixel_range not in (None, "0,255"):
        raise AlignetError(
            f"{path} takes grey values as they are (uint8); leave out"
            f" --pixel_range={pixel_range}"
        )
      pixel_range = "0,255"
    self._table = encoder_options.table(path, pixel_range)
    self.size = encoder_options.side(path, size, fixed_size)
    self.parallel = session.get_providers() == ["CPUExecutionProvider"]
    self._pad = fixed_batch
    self.batch_size = encoder_options.batch_size(
        batch_size, fixed_batch, _CPU_BATCH if self.parallel else _GPU_BATCH
    )
    self.meta = {
        "model": f"onnx:{os.path.basename(path)}",
        "weights_sha256": _sha256(path),
        "layer": self._layer,
        "pixel_range": pixel_range,
        "pool": pool,
    }

  def __call__(self, images: np.ndarray) -> np.ndarray:
    n = len(images)
    batch = self._convert(images)
    batch = encoder_options.padded(batch, self._pad)
    try:
      (out,) = self._session.run([self._layer], {self._input.name: batch})
    except Exception as e:  # onnxruntime raises what its kernels raise.
      raise AlignetError(
          f"{self._path} cannot take images of {self.size} x {self.size}"
          f" pixels: {str(e).strip().splitlines()[0]}"
      ) from e
    what = f"output {self._layer} of {self._path}"
    return encoder_options.vectors(out[:n], self._pool, what)

  def _convert(self, images: np.ndarray) -> np.ndarray:
    """Images in the layout, dtype and pixel range that the network takes."""
    batch = pixels.apply(images, self._table)
    batch = batch.astype(_DTYPES[self._input.type], copy=False)
    if self._input.shape[1] == 3:
      return batch
    return np.ascontiguousarray(batch.transpose(0, 2, 3, 1))

  def _find_input(self):
    inputs = self._session.get_inputs()
    if len(inputs) != 1:
      raise AlignetError(
          f"{self._path}: expected one input, a batch of images, found"
          f" {', '.join(i.name for i in inputs)}; export the image encoder"
          " alone"
      )
    (found,) = inputs
    shape = found.shape
    if (
        len(shape) != 4
        or found.type not in _DTYPES
        or 3 not in (shape[1], shape[3])
    ):
      raise AlignetError(
          f"{self._path}: expected one input of images, (n, 3, h, w) or"
          f" (n, h, w, 3), found {found.name} {found.type} {shape}"
      )
    sides = shape[2:] if shape[1] == 3 else shape[1:3]
    batch = shape[0] if isinstance(shape[0], int) else None
    return found, batch, encoder_options.square(self._path, sides)


def _sha256(path: files.Path) -> str:
  """sha256 of the file, and of those beside it that hold its large weights."""
  content = files.read_bytes(path, 2**31)
  # `location`, and how long its value is, of each external tensor.
  found = re.finditer(rb"\x0a\x08location\x12(.)", content, re.DOTALL)
  names = {
      content[m.end() : m.end() + m[1][0]].decode(errors="replace")
      for m in found
  }
  beside = sorted(n for n in names if (pathlib.Path(path).parent / n).is_file())
  digest = hashlib.sha256(content)
  for name in beside:
    digest.update(files.sha256(pathlib.Path(path).parent / name).encode())
  return digest.hexdigest()


def _open(path: files.Path):
  # pylint: disable=g-import-not-at-top
  try:
    import onnxruntime
  except ImportError as e:
    raise AlignetError(
        "onnxruntime is not installed; pip install 'alignet[onnx]'"
    ) from e
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = options.inter_op_num_threads = 1
  options.log_severity_level = 3
  wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
  available = onnxruntime.get_available_providers()
  try:
    return onnxruntime.InferenceSession(
        path,
        options,
        providers=[name for name in wanted if name in available],
    )
  except Exception as e:  # onnxruntime has an error type for each status.
    if not os.path.exists(path):
      raise AlignetError(f"{path} does not exist") from e
    raise AlignetError(
        f"{path} cannot be read as an ONNX file:"
        f" {str(e).strip().splitlines()[0]}"
    ) from e
