"""Batches for Kauldron trainers, drawn whole.

A per-element pipeline costs about 90 microseconds an element, which dwarfs a
small model's step. Each element of these sources is a whole batch, or this
process's share of it: pass them to `kd.data.py.DataSource(batch_size=None,
shuffle=False, shard_by_process=False)`, with `num_workers=0` where images lie
in memory.
"""

import dataclasses
import functools

from alignet import files
from alignet import triplet_io
from alignet import triplets
from alignet.data import augment as augment_lib
from alignet.data import images as images_lib
from alignet.data import sources
from alignet.data.labels import UNLABELLED
from alignet.errors import AlignetError
import grain.python as grain
import numpy as np


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Batches(grain.RandomAccessDataSource):
  """Batch k of an endless walk over n rows, each epoch in a new order.

  Attributes:
    batch_size: rows a batch, of all processes together.
    num_batches: length of the source; None for the whole batches of one pass.
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
      return self.num_rows // self.batch_size
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
      rows[here] = self._order(int(epoch))[offsets[here]]
    return share(rows, self.part)

  def _order(self, epoch: int) -> np.ndarray:
    return _order(self.seed, epoch, self.num_rows)


# Two orders are alive where a batch crosses from one epoch into the next; one
# of ten million triplets takes 80 MB.
@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
  return np.random.default_rng([seed, epoch]).permutation(n)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledBatches(_Batches):
  """{"images": uint8 [b, h, w, 3], "label": int32 [b, 1]} of an image store.

  Attributes:
    path: folder of the image store.
    level: level of the labels; every image must have one.
    augment: mirror and shift images at random, see `alignet.data.augment`.
  """

  path: str
  level: str
  augment: bool = False

  @functools.cached_property
  def store(self) -> images_lib.ImageStore:
    store = images_lib.open_store(self.path)
    if self.level not in store.labels:
      raise AlignetError(
          f"{self.path} has no labels of level {self.level!r}; found"
          f" {', '.join(store.labels) or 'none'}"
      )
    ids = store.labels[self.level].ids
    if (ids == UNLABELLED).any():
      raise AlignetError(
          f"{self.path}: image {int(np.argmin(ids))} has no label of level"
          f" {self.level}; leave such images out of the store"
      )
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
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class TripletBatches(_Batches):
  """{"images": uint8 [b, 3, h, w, 3], "similarities": float32 [b, 3]}.

  Rows are those of an AligNet npz, the odd one last; images are found by index
  among the images, whose file names are checked against the npz once.

  Attributes:
    path: AligNet npz.
    images: what the indices refer to: folder of an image store,
      `tfds:NAME:SPLIT` for images that are decoded on the fly, or an object.
    image_size: side in pixels of images decoded on the fly.
    data_dir: where TFDS keeps its datasets; "" for its default.
  """

  path: str
  images: str | images_lib.Images
  image_size: int = 224
  data_dir: str = ""

  @functools.cached_property
  def store(self) -> images_lib.Images:
    if not isinstance(self.images, str):
      return self.images
    if not self.images.startswith("tfds:"):
      return images_lib.open_store(self.images)
    from alignet.data import tfds_images  # pylint: disable=g-import-not-at-top

    name_and_split = sources.tfds_name_and_split(self.images)
    if name_and_split is None:
      raise AlignetError(
          "images: expected tfds:NAME:SPLIT or a folder, found"
          f" {self.images!r}"
      )
    name, split = name_and_split
    return tfds_images.TfdsImages(
        name=name, split=split, size=self.image_size, data_dir=self.data_dir
    )

  @functools.cached_property
  def responses(self) -> dict[str, np.ndarray]:
    """Canonical "indices" (n, 3) int32 and "similarities" (n, 3) float32."""
    responses = triplet_io.open(self.path)
    images_lib.check_filenames(
        self.path,
        responses.indices,
        responses.filename_blocks(),
        self.store.filenames,
    )
    files.check_finite(responses.similarities, f"similarities in {self.path}")
    indices, similarities = responses.indices, responses.similarities
    # Our own files are in order; others' may not be.
    disordered = (np.diff(similarities, axis=1) > 0).any(axis=1)
    if disordered.any():
      indices, similarities = indices.copy(), similarities.copy()
      indices[disordered], similarities[disordered] = triplets.canonical_order(
          indices[disordered], similarities[disordered]
      )
    return {"indices": indices, "similarities": similarities}

  @property
  def num_rows(self) -> int:
    return len(self.responses["indices"])

  def __getitem__(self, record_key: int) -> dict[str, np.ndarray]:
    rows = self.rows(record_key)
    return {
        "images": self.store[self.responses["indices"][rows]],
        "similarities": self.responses["similarities"][rows],
    }
