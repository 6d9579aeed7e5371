"""Transforming many representations by blocks, the same bytes every time.

The last digit of a matrix product depends on how rows are cut into blocks and
on how many threads the BLAS library uses. So the blocks have one fixed size
here, each is computed by one thread, and several blocks at once.
"""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
import os
from typing import Any

from alignet.errors import AlignetError
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
    yield from ordered_map(
        compute, range(0, len(features), ROWS), workers=workers
    )


def ordered_map(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    workers: int | None = None,
) -> Iterator[Any]:
  """function(item) for each item in order, a few items ahead in threads.

  At most two results a thread are held; an error in one item ends the walk.

  Args:
    function: what to compute; it should spend its time outside the
      interpreter's lock.
    items: its arguments.
    workers: threads, all available cores if None; 1 starts no thread.

  Yields:
    The results in the order of the items.
  """
  workers = workers or _cores()
  if workers == 1:
    yield from map(function, items)
    return
  pending = collections.deque()
  with futures.ThreadPoolExecutor(workers) as pool:
    try:
      for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) >= 2 * workers:
          yield pending.popleft().result()
      while pending:
        yield pending.popleft().result()
    finally:
      for future in pending:
        future.cancel()


def _cores() -> int:
  """Cores this process may run on."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
