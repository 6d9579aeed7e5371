"""Clusters of representations by k-means (faiss), for cluster sampling.

The paper samples its main triplets between clusters of the teacher's
representations (k = 500). Its README clusters the last-layer activations, its
text the human-aligned ones: pass a transform for the latter.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.io import progress
from alignet.representations import blocks
from alignet.representations import store
from alignet.triplets import similarity
import numpy as np

_LARGEST = 1e15
"""Of features. faiss ends the process where distances overflow float32."""

SMALL = 2
"""Clusters of fewer images are not sampled from (cluster_border takes two of a
cluster and one of another); they are listed in meta."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
  """A clustering of n images into k clusters.

  Attributes:
    assignments: (n,) int32, number of each image's cluster.
    centroids: (k, d) float32, of unit length if spherical.
    inertia: sum over images of the squared distance to their centroid (of the
      unit-length image if spherical).
    meta: how it came about; `small_clusters` maps the number of each cluster
      of fewer than two images, as a string, to its size.
  """

  assignments: np.ndarray
  centroids: np.ndarray
  inertia: float
  meta: Mapping[str, Any]


def fit(
    features: np.ndarray,
    k: int,
    *,
    seed: int = 0,
    transform: blocks.Map | None = None,
    spherical: bool = False,
    iterations: int = 25,
    restarts: int = 1,
    points_per_centroid: int = 256,
    meta: Mapping[str, Any] | None = None,
) -> Clusters:
  """Clusters images by k-means.

  Lloyd's algorithm from random images; with restarts the run of lowest inertia
  on the training images wins. Every image is assigned to its nearest centroid.
  A cluster may end up empty or small: it is listed in the meta.

  Args:
    features: (n, d) floats, possibly a memory map.
    k: number of clusters.
    seed: draws the training images and the first centroids. Equal arguments
      give equal bytes on one kind of processor.
    transform: applied to the features first; None clusters them as they are.
    spherical: cluster by cosine: images and centroids have unit length.
    iterations: of Lloyd's algorithm, each restart.
    restarts: number of runs.
    points_per_centroid: centroids are fitted to at most k times as many
      images, drawn at random without replacement.
    meta: JSON-serialisable additions to the meta, such as the inputs' sha256.

  Returns:
    The clusters.

  Raises:
    AlignetError: k below 1 or above n, another count below 1, features with a
      NaN or an infinity.
  """
  import faiss  # pylint: disable=g-import-not-at-top

  features = files.check_array(
      features, "features", shape=(None, None), kinds="f"
  )
  n = len(features)
  if not 1 <= k <= n:
    raise AlignetError(
        f"k: expected a number of clusters from 1 to the {n} images, found {k}"
    )
  errors.check_least(
      1,
      iterations=iterations,
      restarts=restarts,
      points_per_centroid=points_per_centroid,
  )
  errors.check_least(0, seed=seed)
  files.check_finite(features, "features")

  chosen = _training_rows(n, k * points_per_centroid, seed)
  train = _gather(features, chosen, transform, spherical)
  kmeans = faiss.Kmeans(
      train.shape[1],
      k,
      niter=iterations,
      nredo=restarts,
      seed=_faiss_seed(seed),
      spherical=spherical,
      verbose=False,
      gpu=faiss.get_num_gpus() > 0,
      min_points_per_centroid=1,
      max_points_per_centroid=len(train),  # The subset is drawn above.
  )
  kmeans.train(train)
  del train

  assignments = np.empty(n, np.int32)
  inertia = 0.0
  with progress.bar(desc="assigning clusters", total=n, unit="image") as bar:
    for rows, block in blocks.transformed(features, transform):
      block = _prepare(block, spherical)
      nearest = kmeans.index.search(block, 1)[1][:, 0]
      assignments[rows] = nearest
      difference = (block - kmeans.centroids[nearest]).astype(np.float64)
      inertia += float(np.vdot(difference, difference))
      bar.update(len(block))
  sizes = np.bincount(assignments, minlength=k)
  return Clusters(
      assignments=assignments,
      centroids=kmeans.centroids,
      inertia=inertia,
      meta={
          **(meta or {}),
          "k": k,
          "seed": seed,
          "spherical": spherical,
          "iterations": iterations,
          "restarts": restarts,
          "points_per_centroid": points_per_centroid,
          "transformed": transform is not None,
          "training_images": len(chosen),
          "sizes": {
              "min": int(sizes.min()),
              "median": float(np.median(sizes)),
              "max": int(sizes.max()),
          },
          "small_clusters": {
              str(c): int(sizes[c]) for c in np.flatnonzero(sizes < SMALL)
          },
          "versions": files.versions(),
      },
  )


def silhouette(
    features: np.ndarray,
    clusters: Clusters,
    *,
    transform: blocks.Map | None = None,
    spherical: bool = False,
    seed: int = 0,
    most: int = 5000,
) -> float:
  """Mean silhouette (Rousseeuw 1987) of the clusters, from -1 to 1.

  An image alone in its cluster, or in a cluster of which no other image was
  drawn, counts 0.

  Args:
    features: as in `fit`.
    clusters: their clusters.
    transform: as in `fit`.
    spherical: as in `fit`.
    seed: draws the images.
    most: at most so many images, drawn at random, are looked at; time and
      memory grow with the square.

  Returns:
    The mean; 0 where fewer than two clusters are among the images.
  """
  import sklearn.metrics  # pylint: disable=g-import-not-at-top

  chosen = _training_rows(len(features), most, seed)
  labels = clusters.assignments[chosen]
  if not 2 <= len(np.unique(labels)) < len(labels):
    return 0.0
  x = _gather(features, chosen, transform, spherical)
  return float(sklearn.metrics.silhouette_score(x, labels))


def save(
    path: files.Path, clusters: Clusters, *, overwrite: bool = False
) -> None:
  """Writes clusters.npz: assignments, centroids, inertia and meta (JSON)."""
  files.save_npz(
      path,
      {
          "assignments": clusters.assignments,
          "centroids": clusters.centroids,
          "inertia": np.array(clusters.inertia, np.float64),
          "meta": json_files.array(clusters.meta),
      },
      overwrite=overwrite,
  )


def load(path: files.Path) -> Clusters:
  """Reads clusters.npz.

  Raises:
    AlignetError: missing, damaged, a key absent, an assignment that is no
      cluster's number.
  """
  arrays = files.load_npz(
      path, required=("centroids", "inertia", "meta"), optional=()
  )
  assignments, _ = load_assignments(path)
  centroids = files.check_array(
      arrays["centroids"],
      f"centroids in {path}",
      shape=(None, None),
      kinds="f",
  )
  outside = (assignments < 0) | (assignments >= len(centroids))
  if outside.any():
    row = int(np.argmax(outside))
    raise AlignetError(
        f"assignments in {path}: row {row} is {int(assignments[row])}; expected"
        f" the number of one of the {len(centroids)} clusters"
    )
  inertia = files.check_array(
      arrays["inertia"], f"inertia in {path}", shape=(), kinds="f"
  )
  return Clusters(
      assignments=assignments.astype(np.int32, copy=False),
      centroids=centroids.astype(np.float32, copy=False),
      inertia=float(inertia),
      meta=json_files.parse_array(arrays["meta"], f"meta in {path}"),
  )


def load_assignments(
    path: files.Path,
) -> tuple[np.ndarray, identities.Rows | None]:
  """Assignments of a file that may hold no more.

  Returns:
    (n,) integers, the cluster of each image; which images these are, None where
    the file does not say.
  """
  with files.open_npz(path, required=("assignments",)) as archive:
    found = files.read_member(archive, "assignments", path)
    meta = {}
    if "meta" in archive.files:
      meta = json_files.parse_array(
          files.read_member(archive, "meta", path), f"meta in {path}"
      )
  what = f"assignments in {path}"
  found = files.check_array(found, what, shape=(None,), kinds="iu")
  return found, meta.get("rows")


def load_for(
    path: files.Path,
    representations: store.Representations,
    trust: identities.Trust = identities.NOTHING,
) -> np.ndarray:
  """(n,) cluster of each image of representations.

  Raises:
    AlignetError: a damaged file; clusters of other images, in another order, or
      which do not say of which.
  """
  found, rows = load_assignments(path)
  trust.check_rows(path, rows, representations.path, representations.rows)
  what = f"assignments in {path}"
  return files.check_array(found, what, shape=(len(representations),))


def _training_rows(n: int, most: int, seed: int) -> np.ndarray:
  """Ascending numbers of the images that centroids are fitted to."""
  if n <= most:
    return np.arange(n)
  chosen = np.random.default_rng(seed).choice(n, most, replace=False)
  return np.sort(chosen)


def _gather(
    features: np.ndarray,
    chosen: np.ndarray,
    transform: blocks.Map | None,
    spherical: bool,
) -> np.ndarray:
  """Transformed features of the chosen rows, (m, d) float32 in memory."""
  out = None
  for start in range(0, len(chosen), blocks.ROWS):
    some = np.asarray(features[chosen[start : start + blocks.ROWS]])
    for rows, block in blocks.transformed(some, transform, workers=1):
      block = _prepare(block, spherical)
      if out is None:
        out = np.empty((len(chosen), block.shape[1]), np.float32)
      out[start + rows.start : start + rows.stop] = block
  return out


def _prepare(block: np.ndarray, spherical: bool) -> np.ndarray:
  files.check_finite(block, "transformed features")
  if not spherical and np.abs(block).max(initial=0) > _LARGEST:
    raise AlignetError(
        f"transformed features: expected numbers up to {_LARGEST:g}, whose"
        f" squares can be summed, found {np.abs(block).max():g}; scale them, or"
        " cluster by --spherical"
    )
  return similarity.normalise(block) if spherical else block


def _faiss_seed(seed: int) -> int:
  """faiss takes 31 bits; fold any non-negative seed into them."""
  return int(np.random.SeedSequence(seed).generate_state(1)[0]) & 0x7FFFFFFF
