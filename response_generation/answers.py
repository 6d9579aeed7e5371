"""Similarities of triplets of rows, and of shards of them."""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
from typing import Literal

from alignet.errors import AlignetError
from alignet.io import parallel
import numpy as np
from response_generation.shards import Shards

Device = Literal["cpu", "jax"]
"""Where dot products are taken: compiled loops here, or JAX's device."""

_CHUNK = 2**14  # Triplets that a thread answers at a time.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """Shards to compute: what a process needs that does nothing else.

  Attributes:
    shards: where they go.
    answer: (m, 3) row numbers -> (m, 3) similarities.
  """

  shards: Shards
  answer: Callable[[np.ndarray], np.ndarray]


def answer_shard(
    number: int,
    tasks: Sequence[Task],
    indices: np.ndarray,
    order_by: np.ndarray | None,
) -> None:
  """Computes one shard of each task that lacks it.

  Args:
    number: of the shard.
    tasks: over the same rows.
    indices: (n, 3) row numbers of all triplets.
    order_by: (images,) integers to sort rows by, for their first image.

  Raises:
    AlignetError: a similarity that is not finite.
  """
  missing = [task for task in tasks if not task.shards.has(number)]
  if not missing:
    return
  where = missing[0].shards.where(number)
  block = np.asarray(indices[where])
  answers = in_order([task.answer for task in missing], block, order_by)
  for task, s in zip(missing, answers):
    _check_similarities(s, block, where.start)
    task.shards.save(number, s)


def in_order(
    answers: Sequence[Callable[[np.ndarray], np.ndarray]],
    block: np.ndarray,
    order_by: np.ndarray | None,
) -> Iterator[np.ndarray]:
  """Answers a block in the order of its first images' numbers.

  Args:
    answers: functions from (m, 3) row numbers to (m, 3) similarities.
    block: (m, 3) row numbers.
    order_by: (images,) integers to sort by; None for the order that is there.

  Yields:
    (m, 3) similarities of each, in the order of the block all the same.
  """
  if order_by is None:
    yield from (answer(block) for answer in answers)
    return
  order = np.argsort(order_by[block[:, 0]], kind="stable")
  back = np.empty_like(order)
  back[order] = np.arange(len(order))
  # `take` is five times as fast as indexing rows of three numbers.
  block = block.take(order, axis=0)
  for answer in answers:
    yield answer(block).take(back, axis=0)


def answerer(
    z: np.ndarray, device: Device, workers: int | None
) -> Callable[[np.ndarray], np.ndarray]:
  """(m, 3) row numbers -> (m, 3) similarities."""
  # pylint: disable=g-import-not-at-top
  if device == "jax":
    from response_generation import accelerator

    return accelerator.of_triplets(z)
  from response_generation import dots

  def answer(block: np.ndarray) -> np.ndarray:
    out = np.empty((len(block), 3), np.float32)

    def chunk(start: int) -> None:
      rows = slice(start, start + _CHUNK)
      dots.of_triplets(z, block[rows], out[rows])

    starts = range(0, len(block), _CHUNK)
    for _ in parallel.ordered_map(chunk, starts, workers=workers):
      pass
    return out

  return answer


def _check_similarities(
    s: np.ndarray, triplets: np.ndarray, first: int
) -> None:
  finite = np.isfinite(s).all(axis=1)
  if not finite.all():
    row = int(np.argmin(finite))
    raise AlignetError(
        f"triplet {first + row} (images {triplets[row].tolist()}): a similarity"
        " overflows; expected representations whose dot products are finite in"
        " float32"
    )
