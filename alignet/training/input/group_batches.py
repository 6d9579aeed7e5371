"""Batches of groups for `alignet.training.losses.Dense`, drawn whole.

Each element is a whole batch, or this process's share of its groups; see
`alignet.training.input.batches` for how to pass it to Kauldron.
"""

import dataclasses
import functools

from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.io import identities
from alignet.training.input import batches
from alignet.training.input import teacher as teacher_lib
from alignet.triplets import sampling
import numpy as np

_RULE = sampling.RULES["border"]


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

  Attributes:
    clusters: clusters.npz.
    teacher: of the representations that were clustered. Without a transform it
      is the control `untransformed`; with the loss's `target_tau` too, the
      control `untransformed-matched`.
    images: as in `alignet.training.input.batches.TripletBatches`.
    image_size: side in pixels of images decoded on the fly.
    data_dir: where TFDS keeps its datasets; "" for its default.
    groups: p, clusters a batch, of all processes together.
    group_size: k, images of a cluster.
    num_batches: length of the source.
    seed: seed of the draws.
    rows: "as_stored" for clusters that do not say of which images they are.
    part: (i, n) gives part i of n of each batch's groups; by default this
      process's.
  """

  clusters: str
  teacher: teacher_lib.Teacher
  images: str | images_lib.Images
  image_size: int = 224
  data_dir: str = ""
  groups: int
  group_size: int
  num_batches: int
  seed: int = 0
  rows: str = ""
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
        "representations": self.teacher(rows),
        "present": present,
    }

  @functools.cached_property
  def store(self) -> images_lib.Images:
    """The images, which must be those of the representations."""
    store = batches.open_images(
        self.images, size=self.image_size, data_dir=self.data_dir
    )
    return self.teacher.known(store)

  @functools.cached_property
  def _plan(self) -> sampling.Plan:
    """The clusters that take part, as in the sparse sampler."""
    trust = identities.Trust(rows=self.rows)
    assignments = self.teacher.groups(self.clusters, trust)
    plan = sampling.plan(assignments, _RULE)
    groups, images = _RULE.min_groups, _RULE.min_images
    if not groups <= self.groups <= len(plan.sizes) or self.group_size < images:
      raise AlignetError(
          f"expected batches of {images} images or more of {groups} or more of"
          f" the {len(plan.sizes)} clusters that have so many, found"
          f" {self.group_size} of {self.groups}; lower groups, or cluster into"
          " more"
      )
    return plan

  @functools.cached_property
  def _offsets(self) -> np.ndarray:
    """Place of each cluster's first image in the plan's images."""
    return np.cumsum(self._plan.sizes) - self._plan.sizes
