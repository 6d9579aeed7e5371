from alignet import transforms
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.representations import kmeans
import numpy as np
import pytest


def _blobs(k=6, each=40, d=10, seed=0):
  """Far apart blobs in a random order, and the blob of each row."""
  rng = np.random.default_rng(seed)
  centres = 50 * np.eye(d)[:k]
  blob = rng.permutation(np.repeat(np.arange(k), each))
  return (centres[blob] + rng.standard_normal((k * each, d))).astype(
      np.float32
  ), blob


def _same_partition(a, b):
  return (
      len(set(zip(a.tolist(), b.tolist())))
      == len(set(a.tolist()))
      == len(set(b.tolist()))
  )


@pytest.mark.parametrize("spherical", [False, True])
def test_finds_separated_blobs(spherical):
  x, blob = _blobs()
  clusters = kmeans.fit(x, 6, seed=1, restarts=10, spherical=spherical)
  assert clusters.assignments.dtype == np.int32
  assert clusters.centroids.shape == (6, 10)
  assert clusters.centroids.dtype == np.float32
  assert _same_partition(clusters.assignments, blob)
  assert clusters.meta["small_clusters"] == {}


@pytest.mark.parametrize("spherical", [False, True])
def test_assignments_and_inertia_equal_the_formula(spherical):
  rng = np.random.default_rng(2)
  x = rng.standard_normal((300, 12)).astype(np.float32)
  clusters = kmeans.fit(x, 9, spherical=spherical, iterations=8)
  y = x.astype(np.float64)
  if spherical:
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    np.testing.assert_allclose(
        np.linalg.norm(clusters.centroids, axis=1), 1, rtol=1e-5
    )
  distances = ((y[:, None] - clusters.centroids[None]) ** 2).sum(-1)
  np.testing.assert_array_equal(clusters.assignments, distances.argmin(1))
  np.testing.assert_allclose(
      clusters.inertia, distances.min(1).sum(), rtol=1e-5
  )


def test_converged_centroids_are_means():
  x, _ = _blobs()
  clusters = kmeans.fit(x, 6, seed=1, restarts=10)
  for c in range(6):
    np.testing.assert_allclose(
        clusters.centroids[c],
        x[clusters.assignments == c].mean(0),
        rtol=1e-4,
        atol=1e-4,
    )


def test_same_seed_same_bytes_on_any_number_of_threads(tmp_path):
  import faiss

  rng = np.random.default_rng(3)
  x = rng.standard_normal((6000, 33)).astype(np.float32)
  threads = faiss.omp_get_max_threads()
  try:
    for name, n in (("a", 1), ("b", 2), ("c", 2)):
      faiss.omp_set_num_threads(n)
      clusters = kmeans.fit(x, 20, seed=5, points_per_centroid=100)
      kmeans.save(tmp_path / f"{name}.npz", clusters)
  finally:
    faiss.omp_set_num_threads(threads)
  first = (tmp_path / "a.npz").read_bytes()
  assert first == (tmp_path / "b.npz").read_bytes()
  assert first == (tmp_path / "c.npz").read_bytes()
  other = kmeans.fit(x, 20, seed=6, points_per_centroid=100)
  assert not np.array_equal(other.centroids, clusters.centroids)


def test_large_seed():
  x, _ = _blobs()
  a, b = (kmeans.fit(x, 6, seed=seed) for seed in (7, 7 + 2**32))
  assert a.centroids.tobytes() != b.centroids.tobytes()


def test_subset_trains_all_are_assigned(tmp_path):
  x, blob = _blobs(each=500)
  files.save_npy(tmp_path / "x.npy", x.astype(np.float16))
  mapped = files.load_npy(tmp_path / "x.npy", mmap=True)
  clusters = kmeans.fit(mapped, 6, restarts=10, points_per_centroid=50)
  assert clusters.meta["training_images"] == 300
  assert _same_partition(clusters.assignments, blob)


def test_transform_is_applied_first():
  x, blob = _blobs()
  # Only two dimensions pass: blobs 0 and 1 stand apart, the others fall in one.
  w = np.zeros((10, 2), np.float32)
  w[0, 0] = w[1, 1] = 1
  t = transforms.Transform(weights=w, bias=np.zeros(2, np.float32))
  clusters = kmeans.fit(x, 3, transform=t, restarts=10)
  assert clusters.centroids.shape == (3, 2)
  assert clusters.meta["transformed"] is True
  assert _same_partition(clusters.assignments, np.minimum(blob, 2))


def test_small_and_empty_clusters_are_listed():
  x = np.zeros((40, 3), np.float32)
  x[0] = 100
  clusters = kmeans.fit(x, 3)
  sizes = np.bincount(clusters.assignments, minlength=3)
  assert sorted(sizes) == [0, 1, 39]
  assert clusters.meta["small_clusters"] == {
      str(c): int(n) for c, n in enumerate(sizes) if n < 2
  }
  assert clusters.meta["sizes"] == {"min": 0, "median": 1.0, "max": 39}


def test_one_cluster_an_image():
  x, _ = _blobs(k=3, each=2)
  clusters = kmeans.fit(x, 6)
  assert sorted(clusters.assignments.tolist()) == list(range(6))


def test_round_trip(tmp_path):
  x, _ = _blobs()
  clusters = kmeans.fit(x, 6, meta={"representations": "abc"})
  path = tmp_path / "clusters.npz"
  kmeans.save(path, clusters)
  read = kmeans.load(path)
  np.testing.assert_array_equal(read.assignments, clusters.assignments)
  np.testing.assert_array_equal(read.centroids, clusters.centroids)
  assert read.inertia == clusters.inertia
  assert read.meta == clusters.meta
  assert read.meta["representations"] == "abc"
  with pytest.raises(OutputExistsError):
    kmeans.save(path, clusters)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"k": 11}, "from 1 to the 10 images, found 11"),
        ({"k": 0}, "from 1 to the 10 images, found 0"),
        ({"k": 2, "iterations": 0}, "iterations"),
        ({"k": 2, "restarts": 0}, "restarts"),
        ({"k": 2, "points_per_centroid": 0}, "points_per_centroid"),
        ({"k": 2, "seed": -1}, "seed"),
    ],
)
def test_bad_arguments(arguments, message):
  with pytest.raises(AlignetError, match=message):
    kmeans.fit(np.ones((10, 3), np.float32), **arguments)


def test_bad_features():
  x = np.ones((10, 3), np.float32)
  x[4, 1] = np.inf
  with pytest.raises(AlignetError, match="row 4 holds a NaN or infinite"):
    kmeans.fit(x, 2)
  with pytest.raises(AlignetError, match="expected floats"):
    kmeans.fit(np.ones((10, 3), np.int64), 2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"assignments": np.array([0, 3], np.int32)}, "row 1 is 3"),
        ({"assignments": np.array([0.0, 1.0])}, "expected integers"),
        ({"centroids": np.zeros(3, np.float32)}, "expected shape"),
        ({"meta": np.array("{")}, "not valid JSON"),
        ({"inertia": None}, "lacks the key inertia"),
    ],
)
def test_damaged_file(tmp_path, change, message):
  arrays = {
      "assignments": np.array([0, 1], np.int32),
      "centroids": np.zeros((2, 3), np.float32),
      "inertia": np.array(1.0),
      "meta": np.array("{}"),
      **change,
  }
  arrays = {k: v for k, v in arrays.items() if v is not None}
  files.save_npz(tmp_path / "clusters.npz", arrays)
  with pytest.raises(AlignetError, match=message):
    kmeans.load(tmp_path / "clusters.npz")


def test_silhouette_equals_the_formula():
  rng = np.random.default_rng(0)
  x = rng.standard_normal((40, 3)).astype(np.float32)
  clusters = kmeans.fit(x, 4, seed=0)
  labels = clusters.assignments
  values = []
  for i in range(40):
    distance = np.sqrt(((x - x[i]) ** 2).sum(axis=1))
    mean = [distance[labels == c].mean() for c in range(4)]
    n = (labels == labels[i]).sum()
    if n == 1:
      values.append(0.0)
      continue
    a = distance[labels == labels[i]].sum() / (n - 1)
    b = min(mean[c] for c in range(4) if c != labels[i])
    values.append((b - a) / max(a, b))
  found = kmeans.silhouette(x, clusters)
  np.testing.assert_allclose(found, np.mean(values), rtol=1e-5)
  assert kmeans.silhouette(x, kmeans.fit(x, 1)) == 0.0
