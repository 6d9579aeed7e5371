"""Batches for Kauldron trainers, drawn whole.

A per-element pipeline costs about 90 microseconds an element, which dwarfs a
small model's step. Each element of these sources is a whole batch, or this
process's share of it: pass them to `alignet.training.input.loader.Loader`.
Batch k depends on the fields and on k only: any number of workers gives the
same batches, and a run that goes on at step k the same as one that was never
stopped.
"""

from collections.abc import Mapping
import dataclasses
import functools
import itertools
import math
import multiprocessing
import os
import threading
from typing import Any, Protocol

from alignet.data import image_sources
from alignet.data import images as images_lib
from alignet.data import tfds_images
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import files
from alignet.training.input import augment as augment_lib
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import similarity
from grain import experimental
import grain.python as grain
import numpy as np

COMPUTED_ORDER = 2**20
"""Rows from which an order is computed row by row instead of held in memory."""

_SAMPLE = 100  # Triplets whose names are compared where no list of them exists.


def this_process() -> tuple[int, int]:
  """The number of this process and of all that train together.

  Sources ask when they are made: workers, which they are sent to, do not know.
  """
  import jax  # pylint: disable=g-import-not-at-top

  return jax.process_index(), jax.process_count()


def share(rows: np.ndarray, part: tuple[int, int]) -> np.ndarray:
  """Part (i, n) of the rows of a batch, which all processes draw alike.

  Raises:
    AlignetError: n does not divide their number.
  """
  i, n = part
  if len(rows) % n:
    raise AlignetError(
        f"a batch of {len(rows)} cannot be shared by {n} processes; choose a"
        " multiple of their number"
    )
  return np.split(rows, n)[i]


def begin_worker(*_: int) -> None:
  """What a worker begins with: no accelerator, and no life after its parent.

  A library that found a GPU would take its memory; a training that is killed
  cannot end its workers, which would wait for it for ever.
  """
  os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
  os.environ["JAX_PLATFORMS"] = "cpu"
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  multiprocessing.parent_process().join()
  os._exit(1)


class BatchSource(grain.RandomAccessDataSource):
  """A source of whole batches, which reaches workers as its fields alone.

  What it has opened stays behind: a memory map would be sent as its content.
  """

  def __getstate__(self) -> dict[str, Any]:
    return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Batches(BatchSource):
  """Batch k of an endless walk over n rows, each epoch in a new order.

  Attributes:
    batch_size: rows a batch, of all processes together.
    num_batches: length of the source; None for one pass, whose last batch is
      filled up with the first rows. Batches of one pass hold "present" too,
      bool [b], false for these.
    seed: seed of the orders.
    shuffle: walk in a new random order each epoch, or in the order of rows.
    part: (i, n) gives part i of n of each batch; by default this process's.
  """

  batch_size: int
  num_batches: int | None = None
  seed: int = 0
  shuffle: bool = True
  part: tuple[int, int] = dataclasses.field(default_factory=this_process)

  @property
  def num_rows(self) -> int:
    raise NotImplementedError

  def __len__(self) -> int:
    if self.num_batches is None:
      return math.ceil(self.num_rows / self.batch_size)
    return self.num_batches

  def rows(self, batch: int) -> np.ndarray:
    """The part's rows of batch number `batch`; depends on nothing else."""
    if not self.num_rows or self.batch_size < 1:
      raise AlignetError(
          f"expected rows to draw batches from, found {self.num_rows} and a"
          f" batch size of {self.batch_size}"
      )
    position = batch * self.batch_size + np.arange(self.batch_size)
    epochs, offsets = np.divmod(position, self.num_rows)
    if not self.shuffle:
      return share(offsets, self.part)
    rows = np.empty(self.batch_size, np.int64)
    for epoch in np.unique(epochs):
      here = epochs == epoch
      rows[here] = _shuffled(
          self.seed, int(epoch), self.num_rows, offsets[here]
      )
    return share(rows, self.part)

  def present(self, batch: int) -> dict[str, np.ndarray]:
    """{"present": bool [b]}, true for rows of the pass; {} where none ends."""
    if self.num_batches is not None:
      return {}
    position = batch * self.batch_size + np.arange(self.batch_size)
    return {"present": share(position < self.num_rows, self.part)}


def _shuffled(
    seed: int, epoch: int, n: int, positions: np.ndarray
) -> np.ndarray:
  """The rows at these positions of an epoch's order of n rows."""
  if n < COMPUTED_ORDER:
    return _order(seed, epoch, n)[positions]
  # An order of ten million rows would take 80 MB in each worker. Of the four
  # rounds that grain takes itself, neighbours come out correlated.
  key = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
  return np.array(
      [
          experimental.index_shuffle(i, max_index=n - 1, seed=key, rounds=8)
          for i in positions.tolist()
      ]
  )


# Two orders are alive where a batch crosses from one epoch into the next.
@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
  return np.random.default_rng([seed, epoch]).permutation(n)


def open_images(
    images: str | images_lib.Images, *, size: int, data_dir: str = ""
) -> images_lib.Images:
  """Opens what a config names as its images.

  Args:
    images: folder of an image store, `tfds:NAME:SPLIT` for images that are
      decoded on the fly, or an object, which is given back.
    size: side in pixels of images decoded on the fly.
    data_dir: where TFDS keeps its datasets; "" for its default.

  Raises:
    AlignetError: another form, or a store that is not there or damaged.
  """
  if not isinstance(images, str):
    return images
  if not images.startswith("tfds:"):
    return images_lib.open_store(images)
  name_and_split = image_sources.tfds_name_and_split(images)
  if name_and_split is None:
    raise AlignetError(
        f"images: expected tfds:NAME:SPLIT or a folder, found {images!r}"
    )
  name, split = name_and_split
  return tfds_images.TfdsImages(
      name=name, split=split, size=size, data_dir=data_dir
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledBatches(_Batches):
  """{"images": uint8 [b, h, w, 3], "label": int32 [b, 1]} of an image store.

  Attributes:
    path: folder of the image store.
    level: level of the labels; every image must have one.
    augment: mirror and shift images at random, see
      `alignet.training.input.augment`.
  """

  path: str
  level: str
  augment: bool = False

  @functools.cached_property
  def store(self) -> images_lib.ImageStore:
    store = images_lib.open_store(self.path)
    _complete_labels(store.labels, self.level, self.path)
    return store

  @property
  def num_rows(self) -> int:
    return len(self.store)

  def __getitem__(self, record_key: int) -> dict[str, np.ndarray]:
    rows = self.rows(record_key)
    images = self.store[rows]
    if self.augment:
      images = augment_lib.augment(images, seed=self.seed, batch=record_key)
    return {
        "images": images,
        "label": self.store.labels[self.level].ids[rows, None],
        **self.present(record_key),
    }


class Teacher(Protocol):
  """What batches need of `alignet.training.input.teacher.Teacher`."""

  def __call__(self, rows: np.ndarray) -> np.ndarray:
    """Representations [*rows, d] of an integer array of any shape."""

  def known(self, store: images_lib.Images) -> images_lib.Images:
    """The images, which must be those that are represented."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TripletBatches(_Batches):
  """{"images": uint8 [b, 3, h, w, 3], "similarities": float32 [b, 3]}.

  Rows are those of an AligNet npz, the odd one last; images are found by index
  among the images, whose file names are checked against the npz once, and not
  again by workers. Of images that are decoded on the fly, whose names are known
  only when they are read, a sample is checked.

  With `unique_images`, "images" is a dict of `images` uint8 [u, h, w, 3], each
  image of the batch once, and `rows` int32 [b, 3], the numbers among them that
  the triplets consist of: `alignet.models.VisionModel` then encodes each once.

  Attributes:
    path: AligNet npz.
    images: what the indices refer to: folder of an image store,
      `tfds:NAME:SPLIT` for images that are decoded on the fly, or an object.
    image_size: side in pixels of images decoded on the fly.
    data_dir: where TFDS keeps its datasets; "" for its default.
    unique_images: u, of all processes together, the same for each batch so that
      a training step compiles once; 0 for three images a triplet. A batch of
      fewer distinct images is padded with its first one.
    label_level: level of labels that the batch holds too, "label" int32
      [b, 3, 1]; "" for none.
    teacher: answers the triplets in the place of the file; None for the file's
      answers.
  """

  path: str
  images: str | images_lib.Images
  image_size: int = 224
  data_dir: str = ""
  unique_images: int = 0
  label_level: str = ""
  teacher: Teacher | None = None

  _checked = False

  def __getstate__(self) -> dict[str, Any]:
    checked = self._checked or "responses" in self.__dict__
    return super().__getstate__() | {"_checked": checked}

  @functools.cached_property
  def store(self) -> images_lib.Images:
    images = open_images(
        self.images, size=self.image_size, data_dir=self.data_dir
    )
    return images if self.teacher is None else self.teacher.known(images)

  @functools.cached_property
  def responses(self) -> dict[str, np.ndarray]:
    """Indices (n, 3) int32 and similarities (n, 3) float32, as stored.

    Memory maps where there are many: 24 bytes a row that all workers share.
    """
    responses = npz.open(self.path)
    if not self._checked:
      self._check(responses)
    return {
        "indices": responses.indices,
        "similarities": responses.similarities,
    }

  def _check(self, responses: npz.AligNetFile) -> None:
    store, indices = self.store, responses.indices
    images_lib.check_numbers(self.path, indices, len(store))
    if isinstance(store, tfds_images.TfdsImages) and not store.names:
      for block in itertools.islice(responses.filename_blocks(_SAMPLE), 1):
        store.check_filenames(self.path, indices[: len(block)], block)
    else:
      images_lib.check_filenames(
          self.path, indices, responses.filename_blocks(), store.filenames
      )
    files.check_finite(responses.similarities, f"similarities in {self.path}")

  @property
  def num_rows(self) -> int:
    return len(self.responses["indices"])

  def __getitem__(self, record_key: int) -> dict[str, Any]:
    rows = self.rows(record_key)
    indices = self.responses["indices"][rows]
    if self.teacher is None:
      similarities = self.responses["similarities"][rows]
    else:
      similarities = similarity.pair_similarities(self.teacher(indices))
    # Our own files are in order; others' may not be.
    disordered = (np.diff(similarities, axis=1) > 0).any(axis=1)
    if disordered.any():
      indices[disordered], similarities[disordered] = layout.canonical_order(
          indices[disordered], similarities[disordered]
      )
    if self.unique_images:
      images = self._unique(indices, record_key)
    else:
      images = self.store[indices]
    batch = {
        "images": images,
        "similarities": similarities,
        **self.present(record_key),
    }
    if self.label_level:
      batch["label"] = self._labels[indices, None]
    return batch

  @functools.cached_property
  def _labels(self) -> np.ndarray:
    labels = getattr(self.store, "labels", {})
    return _complete_labels(labels, self.label_level, self.images)

  def _unique(self, indices: np.ndarray, batch: int) -> dict[str, np.ndarray]:
    """The images of some triplets, each once, and which the triplets are."""
    i, n = self.part
    size, left = divmod(self.unique_images, n)
    wanted, rows = np.unique(indices, return_inverse=True)
    if left or len(wanted) > size:
      raise AlignetError(
          f"unique_images: expected a multiple of {n}, the number of processes,"
          f" and at least {n * len(wanted)} for batch {batch}, found"
          f" {self.unique_images}"
      )
    padding = np.full(size - len(wanted), wanted[0])
    return {
        "images": self.store[np.concatenate([wanted, padding])],
        # Of all processes' images, of which these are part i.
        "rows": (rows.reshape(indices.shape) + i * size).astype(np.int32),
    }


def _complete_labels(labels: Mapping[str, Labels], level: str, where: Any):
  """(n,) labels at a level, where every image has one."""
  if level not in labels:
    raise AlignetError(
        f"{where} has no labels of level {level!r}; found"
        f" {', '.join(labels) or 'none'}"
    )
  ids = labels[level].ids
  if (ids == UNLABELLED).any():
    raise AlignetError(
        f"{where}: image {int(np.argmin(ids))} has no label of level {level};"
        " leave such images out of the store"
    )
  return ids
