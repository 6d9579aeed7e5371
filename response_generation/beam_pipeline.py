"""The pipeline: numbers of shards, answered by workers that map the same files.

A worker calls the function that `alignet respond` calls, so the bytes are the
same, and either goes on where the other broke off.
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import os
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
import apache_beam
from apache_beam.options import pipeline_options
import numpy as np
from response_generation import answers
from response_generation import jobs as jobs_lib
from response_generation.shards import Shards


def computer(
    options: pipeline_options.PipelineOptions,
) -> Callable[..., None]:
  """A `compute` for `respond.respond_all`, with `jobs.compute`'s arguments.

  Args:
    options: of the pipeline, its runner among them.

  Returns:
    The function; it raises AlignetError where the pipeline fails.
  """

  def compute(
      jobs: Sequence[jobs_lib.Job],
      indices: np.ndarray,
      order_by: np.ndarray | None,
      part: tuple[int, int] | None,
  ) -> None:
    missing = [
        number
        for number in jobs_lib.numbers(jobs, part)
        if not all(job.shards.has(number) for job in jobs)
    ]
    if not missing:
      return
    _run(missing, Answer(jobs, indices, order_by), options)

  return compute


def _run(missing, answer, options) -> None:
  """Runs the pipeline to its end."""
  try:
    with apache_beam.Pipeline(options=options) as pipeline:
      # Shuffled, or a runner would fuse all three and use one worker.
      _ = (
          pipeline
          | "Shards" >> apache_beam.Create(missing)
          | "Distribute" >> apache_beam.Reshuffle()
          | "Answer" >> apache_beam.ParDo(answer)
      )
  except Exception as e:  # Runners have no type in common, workers send text.
    reason = str(e).strip() or type(e).__name__
    raise AlignetError(
        f"the Beam pipeline failed: {reason.splitlines()[-1]}; what it has"
        " computed is kept, the same command goes on from there"
    ) from e


class Answer(apache_beam.DoFn):
  """Number of a shard -> nothing; the shard is there then, for each job.

  It may be called twice for one shard, at the same time too.
  """

  def __init__(
      self,
      jobs: Sequence[jobs_lib.Job],
      indices: np.ndarray,
      order_by: np.ndarray | None,
  ):
    """Puts into files what workers need and none holds yet.

    Args:
      jobs: prepared ones over the same rows, to be answered on the CPU.
      indices: (n, 3) row numbers.
      order_by: (images,) integers to sort rows by, or None.
    """
    rows = {}  # One file where several jobs have the same.
    for job in jobs:
      if job.device != "cpu":
        raise AlignetError(
            f"device: expected cpu with Beam, found {job.device!r}"
        )
      if id(job.rows) not in rows:
        rows[id(job.rows)] = _Map.of(job.rows, job.folder / "rows.npy")
    self._shards = [_absolute(job.shards) for job in jobs]
    self._rows = [rows[id(job.rows)] for job in jobs]
    self._indices = _Map.of(indices, jobs[0].folder / "indices.npy")
    self._order_by = None
    if order_by is not None:
      self._order_by = _Map.of(order_by, jobs[0].folder / "order_by.npy")

  def setup(self) -> None:
    """Maps the files."""
    self._tasks = [
        # One thread: there is a worker for each core.
        answers.Task(
            shards=shards, answer=answers.answerer(rows.open(), "cpu", 1)
        )
        for shards, rows in zip(self._shards, self._rows)
    ]
    self._opened = self._indices.open()
    self._order = None if self._order_by is None else self._order_by.open()

  def process(self, number: int) -> Iterable[Any]:
    """Computes a shard."""
    answers.answer_shard(number, self._tasks, self._opened, self._order)
    return ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Map:
  """Where an array lies in a file, from which every process maps it."""

  path: str
  dtype: np.dtype
  shape: tuple[int, ...]
  offset: int

  @classmethod
  def of(cls, array: np.ndarray, path: pathlib.Path) -> "_Map":
    """The file that an array is a map of, or is written to: `path`."""
    mapped = _of_whole_file(array)
    if mapped is None:
      # As integers: NumPy's format has no word for bfloat16.
      files.save_npy(path, array.view(f"u{array.itemsize}"), overwrite=True)
      mapped = files.load_npy(path, mmap=True)
    return cls(
        path=os.path.abspath(mapped.filename),
        dtype=array.dtype,
        shape=array.shape,
        offset=mapped.offset,
    )

  def open(self) -> np.ndarray:
    return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def _of_whole_file(array: np.ndarray) -> np.memmap | None:
  """The array if it is a file's, behind its header, to the end."""
  if not isinstance(array, np.memmap) or not array.flags.c_contiguous:
    return None
  size = os.path.getsize(array.filename)
  # A part of a map keeps the offset of the whole.
  return array if size == array.offset + array.nbytes else None


def _absolute(shards: Shards) -> Shards:
  return dataclasses.replace(shards, folder=shards.folder.absolute())
