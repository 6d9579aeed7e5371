"""Pair similarities of triplets of rows, one triplet at a time."""

from alignet.kernels import intrinsics
from alignet.kernels.compiling import kernel
import numpy as np

_FLOAT32, _FLOAT16, _BFLOAT16 = (  # Literals, as the intrinsic wants them.
    intrinsics.FLOAT32,
    intrinsics.FLOAT16,
    intrinsics.BFLOAT16,
)
_FORMS = {"float32": _FLOAT32, "float16": _FLOAT16, "bfloat16": _BFLOAT16}


def of_triplets(
    store: np.ndarray, triplets: np.ndarray, out: np.ndarray
) -> None:
  """Dot products of the pairs of each triplet, in float32.

  No row is copied: three rows are read where they lie, once. Products are
  rounded, then summed in sixteen lanes, so equal input gives equal bits on
  every processor.

  Args:
    store: (n, d) C-contiguous rows, possibly a memory map: float32, float16 or
      bfloat16 (`ml_dtypes`); d a multiple of 16 for the 16-bit ones.
    triplets: (m, 3) integers, row numbers, not checked here.
    out: (m, 3) float32, set to [s01, s02, s12].
  """
  form = _FORMS[store.dtype.name]
  if form != _FLOAT32 and store.shape[1] % intrinsics.LANES:
    raise ValueError(f"{store.shape[1]} columns, no multiple of 16")
  if not store.flags.c_contiguous:
    raise ValueError("rows that do not lie one after another")
  _of_triplets(_bytes(store), triplets, form, out)


def _bytes(store: np.ndarray) -> np.ndarray:
  """The same memory as (n, bytes) uint8."""
  return np.asarray(store).view(np.uint8)


@kernel
def _of_triplets(store, triplets, form, out):
  for row in range(len(triplets)):
    i, j, k = triplets[row, 0], triplets[row, 1], triplets[row, 2]
    following = min(row + 1, len(triplets) - 1)
    a, b, c = (
        triplets[following, 0],
        triplets[following, 1],
        triplets[following, 2],
    )
    if form == _FLOAT32:
      s = intrinsics.triplet_dots(store, i, j, k, a, b, c, _FLOAT32)
    elif form == _FLOAT16:
      s = intrinsics.triplet_dots(store, i, j, k, a, b, c, _FLOAT16)
    else:
      s = intrinsics.triplet_dots(store, i, j, k, a, b, c, _BFLOAT16)
    out[row, 0] = s[0]
    out[row, 1] = s[1]
    out[row, 2] = s[2]
