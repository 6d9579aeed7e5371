"""Batches of groups for `alignet.losses.Dense`, drawn whole.

Each element is a whole batch, or this process's share of its groups; see
`alignet.data.batches` for how to pass it to Kauldron.
"""

import dataclasses
import functools
import pathlib

from alignet import sampling
from alignet import transforms
from alignet.data import batches
from alignet.data import images as images_lib
from alignet.data import tfds_images
from alignet.errors import AlignetError
from alignet.representations import kmeans
from alignet.representations import store as store_lib
import numpy as np

_STRATEGY = "class_border"  # Of cluster_border_* only the number is not known.
_IN_MEMORY = 2**28


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupBatches(batches.BatchSource):
  """Clusters of images as cluster_border_* draws them, k images of each.

      images           uint8 [p, k, h, w, 3]
      representations  float32 [p, k, d], the teacher's
      present          bool [p, k], false for padding

  The p clusters of a batch are drawn uniformly, all different, among those of
  at least two images (smaller ones take part in no triplet of cluster_border_*
  either), then k of a cluster's images uniformly, all different. A cluster of
  fewer gives all it has, and its first image again as padding. Batch b depends
  on the seed and on b only.

  The teacher is applied once to all images, or, where the result would not fit
  256 MiB, which each worker holds, to the rows that are drawn: one matrix
  product beside decoding and encoding that many images.

  Attributes:
    clusters: clusters.npz.
    representations: folder of the representations that were clustered.
    transform: transform.npz of the teacher; "" for the representations as they
      are (the control `untransformed`; the loss's `target_tau` matches it).
    images: as in `alignet.data.batches.TripletBatches`.
    image_size: side in pixels of images decoded on the fly.
    data_dir: where TFDS keeps its datasets; "" for its default.
    groups: p, clusters a batch, of all processes together.
    group_size: k, images of a cluster.
    num_batches: length of the source.
    seed: seed of the draws.
    part: (i, n) gives part i of n of each batch's groups; by default this
      process's.
  """

  clusters: str
  representations: str
  transform: str = ""
  images: str | images_lib.Images
  image_size: int = 224
  data_dir: str = ""
  groups: int
  group_size: int
  num_batches: int
  seed: int = 0
  part: tuple[int, int] = dataclasses.field(
      default_factory=batches.this_process
  )

  def __len__(self) -> int:
    return self.num_batches

  def draw(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Image numbers (p, k) of a whole batch, and which are no padding."""
    plan = self._plan
    rng = np.random.default_rng([self.seed, batch])
    rows = np.empty((self.groups, self.group_size), np.int64)
    present = np.zeros(rows.shape, bool)
    chosen = rng.choice(len(plan.sizes), self.groups, replace=False)
    for row, here, group in zip(rows, present, chosen):
      size = plan.sizes[group]
      n = min(size, self.group_size)
      drawn = self._offsets[group] + rng.choice(size, n, replace=False)
      row[:n], row[n:], here[:n] = plan.images[drawn], plan.images[drawn[0]], 1
    return rows, present

  def __getitem__(self, record_key: int) -> dict[str, np.ndarray]:
    rows, present = (batches.share(x, self.part) for x in self.draw(record_key))
    return {
        "images": self.store[rows],
        "representations": self._teacher(rows),
        "present": present,
    }

  @functools.cached_property
  def store(self) -> images_lib.Images:
    """The images, which must be those of the representations."""
    store = batches.open_images(
        self.images, size=self.image_size, data_dir=self.data_dir
    )
    names = self._representations.filenames
    if len(store) != len(names):
      raise AlignetError(
          f"{self.representations} is of {len(names)} images, but there are"
          f" {len(store)} images; give those it was extracted from"
      )
    if isinstance(store, tfds_images.TfdsImages):
      # To list their names would read them all: each is checked when read.
      given = store.names or str(
          pathlib.Path(self.representations) / store_lib.FILENAMES
      )
      return dataclasses.replace(store, names=given)
    if (wrong := np.flatnonzero(store.filenames != names)).size:
      row = int(wrong[0])
      raise AlignetError(
          f"{self.representations}: row {row} is of {str(names[row])!r}, but"
          f" that image is called {str(store.filenames[row])!r}; give the"
          " images it was extracted from"
      )
    return store

  def _teacher(self, rows: np.ndarray) -> np.ndarray:
    z = self._aligned
    if z is None:
      x = np.asarray(self._representations.features[rows.ravel()])
      return self._transform(x).reshape(*rows.shape, -1)
    return np.asarray(z[rows], np.float32)

  @functools.cached_property
  def _aligned(self) -> np.ndarray | None:
    """The teacher's representations of all images, None where too large."""
    features = self._representations.features
    if self._transform is None:
      return features
    size = 4 * len(features) * self._transform.weights.shape[1]
    return self._transform(features) if size <= _IN_MEMORY else None

  @functools.cached_property
  def _representations(self) -> store_lib.Representations:
    return store_lib.open(self.representations)

  @functools.cached_property
  def _transform(self) -> transforms.Transform | None:
    return transforms.load(self.transform) if self.transform else None

  @functools.cached_property
  def _plan(self) -> sampling.Plan:
    """The clusters that take part, as in the sparse sampler."""
    assignments = kmeans.load(self.clusters).assignments
    if len(assignments) != len(self._representations):
      raise AlignetError(
          f"{self.clusters} is of {len(assignments)} images,"
          f" {self.representations} of {len(self._representations)}; give the"
          " representations that were clustered"
      )
    plan = sampling.plan(assignments, _STRATEGY)
    if not 2 <= self.groups <= len(plan.sizes) or self.group_size < 2:
      raise AlignetError(
          "expected batches of 2 images or more of 2 or more of the"
          f" {len(plan.sizes)} clusters that have so many, found"
          f" {self.group_size} of {self.groups}; lower groups, or cluster into"
          " more"
      )
    return plan

  @functools.cached_property
  def _offsets(self) -> np.ndarray:
    """Place of each cluster's first image in the plan's images."""
    return np.cumsum(self._plan.sizes) - self._plan.sizes
