import functools
import pickle

from absl import flags
from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.io import files
from alignet.training.input import batches
from alignet.triplets import npz
import grain.python as grain
import jax
import numpy as np
import pytest

_N = 10


@functools.cache
def _images():
  # Each picture is filled with its own number.
  values = np.arange(_N, dtype=np.uint8)[:, None, None, None]
  return np.broadcast_to(values, (_N, 2, 2, 3))


def _write_store(path, labels=None, prefix="image"):
  labels = labels or labels_lib.from_strings(list("abcdefghij"))
  images_lib.write(
      path,
      images_lib.ImageStore(
          images=_images(),
          filenames=np.array([f"{prefix}_{i}" for i in range(_N)]),
          labels={"basic": labels},
          meta={},
      ),
  )
  return str(path)


@pytest.fixture
def store(tmp_path):
  return _write_store(tmp_path / "store")


def _triplets(path, n=7, high=_N, prefix="image"):
  rng = np.random.default_rng(0)
  indices = np.stack([rng.permutation(high)[:3] for _ in range(n)])
  # Similarities tell which row a batch took.
  similarities = np.stack(
      [np.arange(n) + 0.5, np.full(n, 0.25), np.full(n, -1.0)], axis=1
  )
  names = np.array([f"{prefix}_{i}" for i in range(high)])
  npz.write(path, names, indices, similarities.astype(np.float32))
  return str(path)


def _source(kind, store, tmp_path, **fields):
  fields = {"batch_size": 4, "num_batches": 20, **fields}
  if kind == "labelled":
    return batches.LabelledBatches(path=store, level="basic", **fields)
  path = tmp_path / "t.npz"
  if not path.exists():
    _triplets(path)
  return batches.TripletBatches(path=str(path), images=store, **fields)


@pytest.fixture(params=["labelled", "triplets"])
def make(request, store, tmp_path):
  return functools.partial(_source, request.param, store, tmp_path)


def test_every_row_once_an_epoch_each_in_another_order(make):
  source = make(batch_size=3)
  n = source.num_rows
  rows = np.concatenate([source.rows(k) for k in range(2 * n)])
  epochs = rows.reshape(-1, n)
  for epoch in epochs:
    np.testing.assert_array_equal(np.sort(epoch), np.arange(n))
  assert len({tuple(e) for e in epochs}) > len(epochs) - 2


def test_a_batch_larger_than_the_data_walks_on(make):
  source = make(batch_size=25)
  n = source.num_rows
  counts = np.bincount(source.rows(0), minlength=n)
  assert counts.min() >= 25 // n and counts.max() <= -(-25 // n)


def test_a_batch_depends_on_seed_and_number_only(make):
  forwards, backwards = make(), make(num_batches=999)
  wanted = [forwards[k] for k in range(8)]
  for k in reversed(range(8)):
    found = backwards[k]
    for key, value in wanted[k].items():
      np.testing.assert_array_equal(found[key], value)
  other = make(seed=1)
  assert any(
      (other[k]["images"] != wanted[k]["images"]).any() for k in range(3)
  )


def test_in_order_without_shuffling(make):
  source = make(shuffle=False)
  n = source.num_rows
  rows = np.concatenate([source.rows(k) for k in range(6)])
  np.testing.assert_array_equal(rows, np.arange(24) % n)


def test_length(make):
  assert len(make(num_batches=17)) == 17


@pytest.mark.parametrize("batch_size", [1, 3, 4, 25])
def test_one_pass_has_every_row_once(make, batch_size):
  source = make(batch_size=batch_size, num_batches=None, shuffle=False)
  drawn = [source[k] for k in range(len(source))]
  shape = jax.tree.map(np.shape, drawn[0])
  assert all(jax.tree.map(np.shape, batch) == shape for batch in drawn)
  present = np.concatenate([batch["present"] for batch in drawn])
  n = source.num_rows
  assert present.dtype == bool and present.sum() == n and present[:n].all()
  images = np.concatenate([batch["images"] for batch in drawn])
  wanted = make(batch_size=n, num_batches=1, shuffle=False)[0]["images"]
  np.testing.assert_array_equal(images[present], wanted)
  parts = [make(batch_size=4, num_batches=None, part=(i, 2))[0] for i in (0, 1)]
  assert all(part["present"].shape == (2,) for part in parts)
  assert "present" not in make()[0]


def test_labelled_batches_are_pictures_with_their_labels(store, tmp_path):
  batch = _source("labelled", store, tmp_path)[3]
  assert batch["images"].dtype == np.uint8
  assert batch["images"].shape == (4, 2, 2, 3)
  assert batch["label"].dtype == np.int32 and batch["label"].shape == (4, 1)
  np.testing.assert_array_equal(
      batch["images"][:, 0, 0, 0], batch["label"][:, 0]
  )


def test_triplet_batches_are_rows_with_their_pictures(store, tmp_path):
  source = _source("triplets", store, tmp_path)
  opened = npz.open(tmp_path / "t.npz")
  batch = source[3]
  assert batch["images"].shape == (4, 3, 2, 2, 3)
  assert batch["images"].dtype == np.uint8
  assert batch["similarities"].dtype == np.float32
  rows = (batch["similarities"][:, 0] - 0.5).astype(int)
  np.testing.assert_array_equal(
      batch["images"][..., 0, 0, 0], opened.indices[rows]
  )


def test_rows_in_another_order_are_made_canonical(store, tmp_path):
  path = tmp_path / "release.npz"
  indices = np.array([[4, 2, 9], [1, 2, 3]])
  # s02 is the largest, then s12: the odd one is the second image.
  similarities = np.array([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]], np.float32)
  names = np.array([f"image_{i}" for i in range(_N)])
  np.savez(
      path,
      indices=indices,
      similarities=similarities,
      filenames=names[indices],
  )
  source = batches.TripletBatches(
      path=str(path), images=store, batch_size=2, num_batches=1, shuffle=False
  )
  batch = source[0]
  np.testing.assert_array_equal(
      batch["images"][..., 0, 0, 0], [[9, 4, 2], [1, 2, 3]]
  )
  np.testing.assert_array_equal(
      batch["similarities"], [[2.0, 1.0, 0.0], [3.0, 2.0, 1.0]]
  )


def _refused(source, *parts):
  with pytest.raises(AlignetError) as error:
    source[0]  # pylint: disable=pointless-statement
  message = str(error.value)
  assert "\n" not in message
  for part in parts:
    assert part in message, message


def test_other_file_names_are_an_error(store, tmp_path):
  path = tmp_path / "other.npz"
  _triplets(path, prefix="photo")
  source = batches.TripletBatches(
      path=str(path), images=store, batch_size=2, num_batches=1
  )
  _refused(source, "row 0 names", "photo_", "image_", str(path))


def test_one_wrong_name_far_down_is_found(store, tmp_path):
  path = tmp_path / "one.npz"
  indices = np.tile([[0, 1, 2]], (70_000, 1))
  names = np.array([f"image_{i}" for i in range(_N)])[indices]
  names[69_999, 2] = "image_7"
  np.savez(
      path,
      indices=indices,
      similarities=np.tile(np.float32([[3, 2, 1]]), (70_000, 1)),
      filenames=names,
  )
  source = batches.TripletBatches(
      path=str(path), images=store, batch_size=2, num_batches=1
  )
  _refused(source, "row 69999", "image_7")


def test_images_that_are_not_there_are_an_error(store, tmp_path):
  path = tmp_path / "more.npz"
  _triplets(path, n=20, high=_N + 5)
  source = batches.TripletBatches(
      path=str(path), images=store, batch_size=2, num_batches=1
  )
  _refused(source, "refers to image 14", "10 images")


def test_damaged_responses_are_an_error(store, tmp_path):
  path = tmp_path / "t.npz"
  names = np.array([["image_0", "image_1", "image_2"]])
  good = dict(
      indices=np.array([[0, 1, 2]]),
      similarities=np.float32([[3, 2, 1]]),
      filenames=names,
  )
  for change in (
      {"similarities": np.float32([[np.nan, 2, 1]])},
      {"similarities": np.float32([[3, 2]])},
      {"indices": np.array([[-1, 1, 2]])},
      {"indices": np.array([[0.0, 1.0, 2.0]])},
      {"filenames": names[:, :2]},
  ):
    np.savez(path, **{**good, **change})
    source = batches.TripletBatches(
        path=str(path), images=store, batch_size=2, num_batches=1
    )
    _refused(source, str(path))


def test_no_rows_is_an_error(store, tmp_path):
  path = tmp_path / "none.npz"
  np.savez(
      path,
      indices=np.zeros((0, 3), np.int32),
      similarities=np.zeros((0, 3), np.float32),
      filenames=np.zeros((0, 3), "U3"),
  )
  source = batches.TripletBatches(
      path=str(path), images=store, batch_size=2, num_batches=1
  )
  _refused(source, "found 0")


def test_labels_that_are_not_there_are_an_error(store, tmp_path):
  source = batches.LabelledBatches(
      path=store, level="concept", batch_size=2, num_batches=1
  )
  _refused(source, "'concept'", "basic")
  labels = labels_lib.from_strings(["a"] * 9 + [""])
  path = _write_store(tmp_path / "gap", labels)
  source = batches.LabelledBatches(
      path=path, level="basic", batch_size=2, num_batches=1
  )
  _refused(source, "image 9 has no label")


def test_workers_are_sent_no_images_and_check_nothing_again(store, tmp_path):
  source = _source("triplets", store, tmp_path)
  wanted = source[0]
  assert {"store", "responses"} <= source.__dict__.keys()
  sent = pickle.dumps(source)
  assert len(sent) < 1000
  # What the main process has checked is not read again.
  files.save_npy(
      tmp_path / "store" / "filenames.npy",
      np.array([f"other_{i}" for i in range(_N)]),
      overwrite=True,
  )
  found = pickle.loads(pickle.dumps(pickle.loads(sent)))[0]
  for key, value in wanted.items():
    np.testing.assert_array_equal(found[key], value)
  unchecked = _source("triplets", store, tmp_path)
  _refused(pickle.loads(pickle.dumps(unchecked)), "row 0 names", "other_")


@pytest.mark.parametrize("workers", [0, 4])
def test_workers_change_nothing_and_the_iterator_goes_on(
    store, tmp_path, workers
):
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  source = _source("triplets", store, tmp_path)
  wanted = [source[k] for k in range(8)]  # Rows 0 to 31, in epochs of 7.
  # As Kauldron does, without its stack in each worker.
  loader = grain.MapDataset.source(source).to_iter_dataset(
      grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
  )
  if workers:
    loader = loader.mp_prefetch(
        grain.MultiprocessingOptions(
            num_workers=workers, per_worker_buffer_size=1
        )
    )
  iterator = iter(loader)
  found = [next(iterator) for _ in range(3)]
  state = iterator.get_state()  # Inside the second epoch.
  found += [next(iterator) for _ in range(5)]
  iterator.set_state(state)
  found += [next(iterator) for _ in range(5)]
  for batch, expected in zip(found, wanted + wanted[3:], strict=True):
    for key, value in expected.items():
      np.testing.assert_array_equal(np.asarray(batch[key]), value)
  iterator.close()


@pytest.mark.parametrize("n", [batches.COMPUTED_ORDER, 2**20 + 12_345])
def test_a_computed_order_is_an_order(n):
  positions = np.arange(0, n, 1)[: 2**15]
  rows = batches._shuffled(0, 0, n, positions)
  assert rows.min() >= 0 and rows.max() < n
  assert len(np.unique(rows)) == len(rows)
  # Uniform: halves, and neighbours that are no neighbours.
  assert abs((rows < n // 2).mean() - 0.5) < 0.02
  assert abs(np.corrcoef(rows[1:], rows[:-1])[0, 1]) < 0.03
  for other in ((1, 0), (0, 1)):
    assert (batches._shuffled(*other, n, positions) == rows).mean() < 0.001


def test_a_computed_order_has_every_row_once(store, tmp_path, monkeypatch):
  monkeypatch.setattr(batches, "COMPUTED_ORDER", 0)
  source = _source("triplets", store, tmp_path, batch_size=3)
  rows = np.concatenate([source.rows(k) for k in range(14)]).reshape(-1, 7)
  np.testing.assert_array_equal(np.sort(rows), np.tile(np.arange(7), (6, 1)))
  assert len({tuple(epoch) for epoch in rows}) > 4


def test_each_image_of_a_batch_once(store, tmp_path):
  plain = _source("triplets", store, tmp_path, batch_size=6)
  source = _source("triplets", store, tmp_path, batch_size=6, unique_images=_N)
  for k in range(4):
    found, expected = source[k], plain[k]
    images, rows = found["images"]["images"], found["images"]["rows"]
    assert images.shape == (_N, 2, 2, 3) and images.dtype == np.uint8
    assert rows.shape == (6, 3) and rows.dtype == np.int32
    np.testing.assert_array_equal(images[rows], expected["images"])
    np.testing.assert_array_equal(
        found["similarities"], expected["similarities"]
    )


def test_processes_number_their_common_images(store, tmp_path):
  options = dict(batch_size=4, unique_images=12)
  parts = [
      _source("triplets", store, tmp_path, part=(i, 2), **options)[1]
      for i in range(2)
  ]
  whole = _source("triplets", store, tmp_path, batch_size=4, part=(0, 1))[1]
  images, rows = (
      np.concatenate([part["images"][key] for part in parts])
      for key in ("images", "rows")
  )
  np.testing.assert_array_equal(images[rows], whole["images"])


@pytest.mark.parametrize(
    "options, message",
    [
        (
            dict(unique_images=3, part=(0, 1)),
            "at least .* for batch 0, found 3",
        ),
        (dict(unique_images=21, part=(0, 2)), "a multiple of 2"),
    ],
)
def test_a_number_of_unique_images_that_cannot_be(
    store, tmp_path, options, message
):
  source = _source("triplets", store, tmp_path, **options)
  with pytest.raises(AlignetError, match=message):
    source[0]  # pylint: disable=pointless-statement
