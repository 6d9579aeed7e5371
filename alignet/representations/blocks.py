"""Transforming many representations by blocks, the same bytes every time.

The last digit of a matrix product depends on how rows are cut into blocks and
on how many threads the BLAS library uses. So the blocks have one fixed size
here, each is computed by one thread, and several blocks at once.
"""

from collections.abc import Callable, Iterator

from alignet.errors import AlignetError
from alignet.io import parallel
import numpy as np
import threadpoolctl

ROWS = 4096
"""Rows of a block. It is part of what the bytes depend on: no parameter."""

Map = Callable[[np.ndarray], np.ndarray]


def transformed(
    features: np.ndarray,
    transform: Map | None = None,
    *,
    workers: int | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
  """Walks over transformed features in order.

  Args:
    features: (n, d) floats, possibly a memory map.
    transform: an `alignet.transforms.Transform` or any row-wise function of an
      array (m, d); None leaves the features as they are.
    workers: threads, all available cores if None; results do not depend on it.

  Yields:
    Rows as a slice, and their transformed features, float32.
  """

  def compute(start):
    block = np.asarray(features[start : start + ROWS])
    rows = slice(start, start + len(block))
    if transform is not None:
      try:
        block = transform(block)
      except AlignetError as e:
        raise AlignetError(f"rows from {start} on, counted from 0: {e}") from e
    return rows, np.asarray(block, np.float32)

  with threadpoolctl.threadpool_limits(1, user_api="blas"):
    yield from parallel.ordered_map(
        compute, range(0, len(features), ROWS), workers=workers
    )
