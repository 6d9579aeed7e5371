"""Hands the batches of a source to a Kauldron trainer, in order."""

from collections.abc import Iterator
import dataclasses
import functools
from typing import Any, Self

from alignet.training.input import batches
from etils import enp
import grain.python as grain
import jax
from kauldron import kd
from orbax import checkpoint as ocp


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
