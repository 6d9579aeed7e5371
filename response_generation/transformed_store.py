"""Every image transformed once, kept where three rows a triplet are read.

Rows lie one after another, filled up with zeros to a multiple of 16 columns, in
one of three forms. float32 is exact to its rounding; float16 and bfloat16 take
half the memory and half the time, and move a similarity by about 2^-11 and 2^-8
of the length of its two rows, over the square root of the number of dimensions.
How much it was is measured and recorded for every file, see `error`.
"""

import pathlib
from typing import Literal

from alignet import transforms
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
from alignet.representations import blocks
from alignet.triplets import similarity as similarity_lib
import numpy as np

Form = Literal["float32", "float16", "bfloat16"]

# Bytes up to which transformed representations are kept in memory.
_SMALL = 2**28
_LANES = 16  # Columns of a row are a multiple of it.
_MEASURED = 4096


def make(
    features: np.ndarray,
    teacher: transforms.Transform | None,
    kind: similarity_lib.Kind,
    form: Form,
    folder: pathlib.Path,
    *,
    inputs: str,
    shared: bool = False,
    workers: int | None = None,
) -> np.ndarray:
  """Rows whose dot products are the similarities.

  Args:
    features: (n, d) floats, possibly a memory map.
    teacher: the transform, None for the features as they are.
    kind: "dot", or "cosine": rows get unit length.
    form: of the numbers.
    folder: where a large one is written, and found again.
    inputs: digest of what the rows are made of: names the file.
    shared: write a small one, too: processors of different kinds may round
      sums in different ways, and all processes have to multiply equal rows.
    workers: threads, all available cores if None.

  Returns:
    (n, at least d') rows of that dtype; the features themselves where they are
    float32 and nothing is done to them.

  Raises:
    AlignetError: a number beyond what float16 holds; the disk is full.
  """
  if teacher is None and kind == "dot" and form == features.dtype.name:
    if form == "float32" or features.shape[1] % _LANES == 0:
      return features
  width = features.shape[1] if teacher is None else teacher.weights.shape[1]
  shape = (len(features), -(-width // _LANES) * _LANES)
  dtype = _dtype(form)

  def function(block: np.ndarray) -> np.ndarray:
    block = np.asarray(block, np.float32) if teacher is None else teacher(block)
    return similarity_lib.normalise(block) if kind == "cosine" else block

  def walk():
    rows = progress.bar(
        blocks.transformed(features, function, workers=workers),
        desc="transforming",
        total=-(-shape[0] // blocks.ROWS),
        unit="block",
    )
    for where, block in rows:
      padded = np.zeros((len(block), shape[1]), dtype)
      with np.errstate(over="ignore"):
        padded[:, :width] = block
      if form == "float16":
        _check_range(padded, where.start)
      yield where, padded

  path = folder / f"transformed-{inputs[:16]}.npy"
  # NumPy's format has no word for bfloat16: it goes as integers.
  plain = np.dtype(np.uint16) if form == "bfloat16" else dtype
  if not path.exists():
    if not shared and dtype.itemsize * shape[0] * shape[1] <= _SMALL:
      made = np.empty(shape, dtype)
      for where, block in walk():
        made[where] = block
      return made
    with files.atomic_write(path) as f:
      files.write_array(f, shape, plain, (b.view(plain) for _, b in walk()))
  return files.load_npy(path, shape=shape, mmap=True).view(dtype)


def error(
    answered: np.ndarray,
    indices: np.ndarray,
    features: np.ndarray,
    teacher: transforms.Transform | None,
    kind: similarity_lib.Kind,
) -> dict[str, float]:
  """How far similarities are from those without rounding of the rows.

  Args:
    answered: (n, 3) similarities, possibly a memory map.
    indices: (n, 3) rows of the features.
    features: (m, d) as given.
    teacher: as given.
    kind: as given.

  Returns:
    Root mean square and maximum of the differences from float32 rows summed in
    float64, the root mean square of the similarities, and of how many triplets.
  """
  n = len(answered)
  rows = np.unique(np.linspace(0, n - 1, min(n, _MEASURED)).astype(np.int64))
  images, position = np.unique(indices[rows], return_inverse=True)
  z = np.asarray(features[images], np.float32)
  z = (z if teacher is None else teacher(z)).astype(np.float64)
  expected = similarity_lib.of_triplets(z, position.reshape(-1, 3), kind)
  difference = answered[rows] - expected
  return {
      "rms": float(f"{np.sqrt(np.mean(difference**2)):.4g}"),
      "max": float(f"{np.abs(difference).max():.4g}"),
      "rms_similarity": float(f"{np.sqrt(np.mean(expected**2)):.4g}"),
      "n": len(rows),
  }


def _dtype(form: Form) -> np.dtype:
  if form == "bfloat16":
    import ml_dtypes  # pylint: disable=g-import-not-at-top

    return np.dtype(ml_dtypes.bfloat16)
  return np.dtype(form)


def _check_range(block: np.ndarray, first: int) -> None:
  finite = np.isfinite(block).all(axis=1)
  if not finite.all():
    raise AlignetError(
        f"image {first + int(np.argmin(finite))}: its transformed"
        " representation exceeds 65504, the largest float16; choose bfloat16 or"
        " float32 (--store)"
    )
