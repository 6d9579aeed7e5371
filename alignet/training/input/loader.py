"""Hands the batches of a source to a Kauldron trainer, in order."""

from collections.abc import Iterator
import dataclasses
import functools
import multiprocessing
import pathlib
import shutil
from typing import Any, Self

from alignet.errors import AlignetError
from alignet.training.input import batches
from etils import enp
import grain.python as grain
import jax
from kauldron import kd
import numpy as np
from orbax import checkpoint as ocp

_SHARED = pathlib.Path("/dev/shm")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Loader(kd.data.Pipeline):
  """The batches of a source, each once, drawn ahead by any number of workers.

  What a checkpoint keeps of it is the number of the next batch and nothing
  else, so that a run goes on with another number of workers or processes.
  Kauldron's own keeps a state of each worker and of each process.

  Attributes:
    data_source: what batch k is; its length is that of the loader.
    num_workers: processes that draw batches ahead; 0 draws each in this process
      when it is asked for. They import what the source needs, no Kauldron.
  """

  data_source: batches.BatchSource
  num_workers: int = 0

  def __len__(self) -> int:
    return len(self.data_source)

  def __iter__(self) -> "_Iterator":
    return _Iterator(source=self)

  @functools.cached_property
  def element_spec(self) -> Any:
    """Shapes and dtypes of a batch, drawn in this process."""
    return jax.tree.map(
        lambda x: enp.ArraySpec(x.shape, x.dtype), self.data_source[0]
    )

  def draw(self, start: int) -> Iterator[Any]:
    """The batches from number `start` on."""
    if not self.num_workers:
      return (self.data_source[k] for k in range(start, len(self)))
    _check_workers(self.data_source[start], self.num_workers)
    dataset = grain.MapDataset.source(self.data_source)[start:]
    # Threads of a worker would only wait for each other.
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    return iter(
        dataset.to_iter_dataset(options).mp_prefetch(
            grain.MultiprocessingOptions(
                num_workers=self.num_workers, per_worker_buffer_size=1
            ),
            worker_init_fn=batches.begin_worker,
        )
    )


def _check_workers(batch: Any, workers: int) -> None:
  """Fails where processes cannot be started, or cannot hand over batches."""
  if getattr(multiprocessing.current_process(), "_inheriting", False):
    # A worker's own import of the script: its message is all that is read.
    raise SystemExit(
        "a script that trains with workers must be under `if __name__ =="
        " '__main__':`, since each worker imports it; put it there, or set"
        " train_ds.num_workers=0"
    )
  size = sum(np.asarray(x).nbytes for x in jax.tree.leaves(batch))
  needed = 2 * workers * size  # One that waits and one that is being drawn.
  if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free < needed:
    raise AlignetError(
        f"{_SHARED} has {shutil.disk_usage(_SHARED).free >> 20} MiB left, and"
        f" {workers} workers need {needed >> 20} MiB to hand over batches; give"
        " the container more (--shm-size), or set train_ds.num_workers=0"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Iterator(kd.data.iters.Iterator):
  """Walks over a loader's batches; see `Loader`.

  Attributes:
    source: the loader.
    next_batch: number of the batch that comes next.
  """

  source: Loader
  next_batch: int = 0

  def __next__(self) -> Any:
    batch = next(self._batches)
    object.__setattr__(self, "next_batch", self.next_batch + 1)
    return batch

  @functools.cached_property
  def _batches(self) -> Iterator[Any]:
    """Opened by the first batch: a restored iterator begins elsewhere."""
    return self.source.draw(self.next_batch)

  def __kd_ocp_handlers__(self) -> ocp.CheckpointHandler:
    return ocp.JsonCheckpointHandler()

  def __kd_ocp_save_args__(self) -> ocp.args.CheckpointArgs:
    return ocp.args.JsonSave({"next_batch": self.next_batch})

  def __kd_ocp_restore_args__(self) -> ocp.args.CheckpointArgs:
    return ocp.args.JsonRestore()

  def __kd_ocp_restore_post__(self, value: dict[str, int]) -> Self:
    return dataclasses.replace(self, next_batch=value["next_batch"])
