"""A map over threads that keeps order and stays a few items ahead."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
import os
from typing import Any


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
  workers = workers or cores()
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


def cores() -> int:
  """Cores this process may run on."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
