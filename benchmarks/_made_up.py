"""A made-up AligNet npz in the form of the public release: deflated."""

import pathlib

from alignet.io import npz_stream
import numpy as np

_ROWS = 65536


def image_names(n: int) -> np.ndarray:
  """Names like ImageNet's."""
  return np.array([f"n{i % 1000:08d}_{i // 10}.JPEG" for i in range(n)])


def write_npz(path: pathlib.Path, names: np.ndarray, rows: int) -> None:
  """Random triplets over images of these names."""
  blocks = {start: min(_ROWS, rows - start) for start in range(0, rows, _ROWS)}

  def indices(start: int) -> np.ndarray:
    rng = np.random.default_rng([0, start])
    drawn = rng.integers(0, len(names) - 2, (blocks[start], 3), np.int32)
    return np.sort(drawn, axis=1) + np.arange(3, dtype=np.int32)  # Distinct.

  def similarities(start: int) -> np.ndarray:
    rng = np.random.default_rng([1, start])
    drawn = rng.standard_normal((blocks[start], 3), np.float32)
    return -np.sort(-drawn, axis=1)

  make = {
      "filenames": (names.dtype, lambda start: names[indices(start)]),
      "similarities": (np.float32, similarities),
      "indices": (np.int32, indices),
  }
  with npz_stream.writer(path) as write:
    for key, (dtype, function) in make.items():
      pieces = [lambda s=s, f=function: f(s) for s in blocks]
      write(key, (rows, 3), dtype, pieces, compress=True)
