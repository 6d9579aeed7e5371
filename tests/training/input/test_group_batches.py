"""Groups: what is drawn, how often, and what a training gets of it."""

import pickle

from alignet import transforms
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.representations import kmeans
from alignet.representations import store as store_lib
from alignet.training import losses
from alignet.training.input import batches
from alignet.training.input import group_batches
from alignet.training.input import teacher
from alignet.triplets import sampling
from alignet.triplets import similarity
import jax
import jax.numpy as jnp
import numpy as np
import pytest

_SIZES = (2, 3, 50, 1)
_LABELS = np.random.default_rng(0).permutation(
    np.repeat(np.arange(len(_SIZES)), _SIZES)
)
_N = len(_LABELS)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """Paths of images filled with their number, representations, clusters."""
  folder = tmp_path_factory.mktemp("groups")
  names = np.array([f"image_{i}" for i in range(_N)])
  pixels = np.arange(_N, dtype=np.uint8)[:, None, None, None]
  images_lib.write(
      folder / "images",
      images_lib.ImageStore(
          images=np.broadcast_to(pixels, (_N, 2, 2, 3)),
          filenames=names,
          labels={},
          meta={},
      ),
  )
  rng = np.random.default_rng(1)
  features = rng.normal(size=(_N, 5)).astype(np.float16)
  store_lib.write(
      folder / "representations", features, names, {}, {"model": "m"}
  )
  kmeans.save(
      folder / "clusters.npz",
      kmeans.Clusters(
          assignments=_LABELS.astype(np.int32),
          centroids=np.zeros((len(_SIZES), 5), np.float32),
          inertia=0.0,
          meta={"rows": identities.of_names(names)},
      ),
  )
  transforms.save(
      folder / "transform.npz",
      transforms.Transform(
          weights=rng.normal(size=(5, 3)).astype(np.float32),
          bias=rng.normal(size=3).astype(np.float32),
          meta={"columns": {"model": "m"}},
      ),
  )
  return folder


def _teacher(world, transform="transform.npz"):
  return teacher.Teacher(
      representations=str(world / "representations"),
      transform=transform and str(world / transform),
  )


def _source(world, **fields):
  fields = {
      "clusters": str(world / "clusters.npz"),
      "teacher": _teacher(world),
      "images": str(world / "images"),
      "groups": 2,
      "group_size": 3,
      "num_batches": 100,
      **fields,
  }
  return group_batches.GroupBatches(**fields)


@pytest.mark.parametrize("in_memory", [2**28, 0])
def test_a_batch_is_groups_of_different_images_with_their_teacher(
    world, monkeypatch, in_memory
):
  monkeypatch.setattr(teacher, "_IN_MEMORY", in_memory)
  source = _source(world, groups=3, group_size=4)
  batch = source[7]
  assert batch["images"].shape == (3, 4, 2, 2, 3)
  assert batch["images"].dtype == np.uint8
  assert batch["representations"].shape == (3, 4, 3)
  assert batch["representations"].dtype == np.float32
  rows, present = batch["images"][..., 0, 0, 0], batch["present"]
  for group, here in zip(rows, present):
    (label,) = set(_LABELS[group])
    assert here.sum() == min(_SIZES[label], 4)
    assert len(set(group[here])) == here.sum()
    assert (np.diff(here.astype(int)) <= 0).all()
  assert len(set(_LABELS[rows[:, 0]])) == 3
  features = files.load_npy(world / "representations" / "features.npy")
  aligned = transforms.load(world / "transform.npz")(features)
  np.testing.assert_allclose(
      batch["representations"], aligned[rows], rtol=1e-5, atol=1e-6
  )


def test_without_a_transform_the_representations_as_they_are(world):
  batch = _source(world, teacher=_teacher(world, ""))[0]
  features = files.load_npy(world / "representations" / "features.npy")
  rows = batch["images"][..., 0, 0, 0]
  np.testing.assert_array_equal(
      batch["representations"], features[rows].astype(np.float32)
  )


def test_a_batch_depends_on_seed_and_number_only(world):
  a, b = _source(world), _source(world, num_batches=7)
  wanted = [a[i] for i in range(5)]
  for i in reversed(range(5)):
    for key, value in b[i].items():
      np.testing.assert_array_equal(value, wanted[i][key])
  draws = {a.draw(i)[0].tobytes() for i in range(20)}
  assert len(draws) > 10
  other = _source(world, seed=1)
  assert any((other.draw(i)[0] != a.draw(i)[0]).any() for i in range(5))
  assert len(a) == 100


def test_workers_are_sent_the_fields_alone(world):
  source = _source(world)
  wanted = source[2]
  sent = pickle.dumps(source)
  assert len(sent) < 2000
  for key, value in pickle.loads(sent)[2].items():
    np.testing.assert_array_equal(value, wanted[key])


def test_images_that_are_decoded_when_drawn(test_data, tmp_path):
  """Their names are those of the representations, checked record by record."""
  spec = "tfds:imagenet2012:train"
  images = batches.open_images(spec, size=8, data_dir=str(test_data / "tfds"))
  names = images.filenames
  features = np.random.default_rng(0).normal(size=(len(names), 3))
  kmeans.save(
      tmp_path / "clusters.npz",
      kmeans.Clusters(
          assignments=np.arange(len(names), dtype=np.int32) % 20,
          centroids=np.zeros((20, 3), np.float32),
          inertia=0.0,
          meta={"rows": identities.of_names(names)},
      ),
  )

  def source(path, names):
    store_lib.write(path, features.astype(np.float32), names, {}, {})
    return group_batches.GroupBatches(
        clusters=str(tmp_path / "clusters.npz"),
        teacher=teacher.Teacher(representations=str(path)),
        images=spec,
        image_size=8,
        data_dir=str(test_data / "tfds"),
        groups=3,
        group_size=2,
        num_batches=5,
    )

  ours = source(tmp_path / "right", names)
  np.testing.assert_array_equal(ours[1]["images"], images[ours.draw(1)[0]])
  with pytest.raises(AlignetError):
    source(tmp_path / "wrong", names[::-1])[1]


def test_processes_share_the_groups(world):
  whole = _source(world, groups=2)
  parts = [_source(world, groups=2, part=(i, 2)) for i in range(2)]
  for key, value in whole[3].items():
    joined = np.concatenate([part[3][key] for part in parts])
    np.testing.assert_array_equal(joined, value)
  with pytest.raises(AlignetError, match="cannot be shared by 2 processes"):
    _source(world, groups=3, part=(0, 2))[0]


def test_every_ordered_pair_and_every_image_is_drawn_by_the_law(world):
  """One row picked from each batch is a row of the sparse sampler."""
  source, n = _source(world, group_size=2), 20_000
  rng = np.random.default_rng(0)
  rows = np.empty((n, 3), np.int64)
  for i in range(n):
    images, _ = source.draw(i)
    a, b = rng.permutation(2)
    rows[i] = *images[a], images[b, rng.integers(2)]
  sparse = sampling.sample(_LABELS, "cluster_border_4", n, seed=3)
  for place in (slice(0, 2), slice(2, 3)):
    found, wanted = (
        np.bincount(x[:, place].ravel(), minlength=_N) for x in (rows, sparse)
    )
    assert found[_LABELS == 3].sum() == 0
    z = (found - wanted) / np.sqrt(np.maximum(found + wanted, 1))
    assert np.abs(z).max() < 4.5
  pairs = _LABELS[rows[:, 0]] * 4 + _LABELS[rows[:, 2]]
  counts = np.bincount(pairs, minlength=16)
  assert np.count_nonzero(counts) == 6
  p = 1 / 6
  assert np.abs(counts[counts > 0] - n * p).max() < 4 * (n * p * (1 - p)) ** 0.5


def test_random_batches_estimate_the_sparse_expectation(world):
  """Loss and gradient: 3 standard errors, clusters of 2, 3 and 50."""
  source, n = _source(world, group_size=4), 4000
  z = jnp.asarray(np.random.default_rng(2).normal(size=(_N, 6)), jnp.float32)
  features = files.load_npy(world / "representations" / "features.npy")
  aligned = jnp.asarray(transforms.load(world / "transform.npz")(features))
  of = losses.JSD(tau=2.0)

  def dense(z, rows, present):
    return (
        losses.Dense(of=of)
        .get_values(
            embeddings=z[rows], representations=aligned[rows], present=present
        )
        .mean()
    )

  def sparse(z, rows):
    s = similarity.pair_similarities(aligned[rows])
    return of.get_values(embeddings=z[rows], similarities=s)

  # Rows by the law, each ordered pair of clusters complete, weighted.
  plan = sampling.plan(_LABELS, "cluster_border_4")
  groups = np.split(plan.images, np.cumsum(plan.sizes)[:-1])
  rows, weights = [], []
  for a in groups:
    for b in groups:
      if a is not b:
        i, j = np.triu_indices(len(a), 1)
        here = [(a[x], a[y], o) for x, y in zip(i, j) for o in b]
        rows += here
        weights += [1 / 6 / len(here)] * len(here)
  wanted = jax.value_and_grad(
      lambda z: (sparse(z, np.array(rows)) * np.array(weights)).sum()
  )(z)

  drawn = [source.draw(i) for i in range(n)]
  images, present = (np.stack(x) for x in zip(*drawn))
  step = jax.jit(jax.vmap(jax.value_and_grad(dense), (None, 0, 0)))
  values, gradients = step(z, images, present)
  # Along a fixed direction, so that one test is one number.
  direction = np.random.default_rng(5).normal(size=z.shape)
  along = np.tensordot(gradients, direction, axes=2)
  for found, exact in (
      (np.asarray(values, np.float64), float(wanted[0])),
      (along, float((np.asarray(wanted[1]) * direction).sum())),
  ):
    error = found.std(ddof=1) / np.sqrt(n)
    assert abs(found.mean() - exact) < 3 * error
    assert error < 0.1 * abs(exact)  # It could have told a bias.


@pytest.mark.parametrize(
    "fields", [{"groups": 4}, {"groups": 1}, {"group_size": 1}]
)
def test_batches_that_cannot_be(world, fields):
  with pytest.raises(AlignetError, match="of the 3 clusters"):
    _source(world, **fields)[0]


def test_images_that_are_not_those_of_the_representations(world, tmp_path):
  store = images_lib.open_store(world / "images")
  few = images_lib.take(store, np.arange(5))
  images_lib.write(tmp_path / "few", few)
  with pytest.raises(AlignetError, match="of 56 images, but there are 5"):
    _source(world, images=str(tmp_path / "few"))[0]
  images_lib.write(
      tmp_path / "other", images_lib.take(store, np.arange(_N)[::-1])
  )
  with pytest.raises(AlignetError, match="row 0 is of 'image_0'"):
    _source(world, images=str(tmp_path / "other"))[0]


def test_clusters_of_other_images(world, tmp_path):
  kmeans.save(
      tmp_path / "clusters.npz",
      kmeans.Clusters(
          assignments=np.zeros(5, np.int32),
          centroids=np.zeros((1, 5), np.float32),
          inertia=0.0,
          meta={"rows": identities.of_names(list("abcde"))},
      ),
  )
  with pytest.raises(AlignetError, match="numbers other rows than .*n 5 and"):
    _source(world, clusters=str(tmp_path / "clusters.npz"))[0]
