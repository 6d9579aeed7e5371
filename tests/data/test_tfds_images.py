import dataclasses
import pickle
import types

from alignet.data import tfds_images
from alignet.errors import AlignetError
from alignet.io import files
from alignet.training.input import batches
from alignet.triplets import npz
import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds


@dataclasses.dataclass
class _ClassLabel:
  names: tuple[str, ...]

  @property
  def num_classes(self):
    return len(self.names)

  def int2str(self, i):
    return self.names[i]


def _picture(value, h=6, w=6):
  return np.full((h, w, 3), (value, 0, 255 - value), np.uint8)


def _png(image):
  return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


class _Source(list):
  """A list in the place of a TFDS data source."""

  def __init__(self, records, **features):
    super().__init__(records)
    if "image" not in features:
      features["image"] = None
    self.dataset_info = types.SimpleNamespace(features=features)


def _records(n=5):
  return [
      {"image": _png(_picture(10 * i)), "label": i % 2, "coarse_label": 0}
      for i in range(n)
  ]


@pytest.fixture
def give(monkeypatch):
  """Makes TFDS give a source; returns the arguments it was asked with."""

  def install(source):
    asked = {}

    def data_source(name, **kwargs):
      asked.update(name=name, **kwargs)
      if isinstance(source, Exception):
        raise source
      return source

    monkeypatch.setattr(tfds, "data_source", data_source)
    return asked

  return install


_FEATURES = dict(
    label=_ClassLabel(("cat", "dog")), coarse_label=_ClassLabel(("animal",))
)


def test_read(give):
  asked = give(_Source(_records(), **_FEATURES))
  store = tfds_images.read("pets", "train", data_dir="somewhere")
  assert asked["name"] == "pets" and asked["split"] == "train"
  assert asked["data_dir"] == "somewhere" and asked["download"] is False
  np.testing.assert_array_equal(
      store.images, [_picture(10 * i) for i in range(5)]
  )
  assert store.filenames[3] == "pets/train/0000003"
  assert store.labels["subordinate"].ids.tolist() == [0, 1, 0, 1, 0]
  assert store.labels["subordinate"].names.tolist() == ["cat", "dog"]
  assert store.labels["superordinate"].names.tolist() == ["animal"]


def test_limit_size_and_a_label_that_is_no_class(give):
  give(_Source(_records(), label=None))
  store = tfds_images.read("pets", "train", size=4, limit=2)
  assert store.images.shape == (2, 4, 4, 3) and store.labels == {}


@pytest.mark.parametrize("feature", ["id", "file_name"])
def test_names_that_come_twice_are_told_apart(give, feature):
  records = [
      {"image": _png(_picture(i)), feature: name}
      for i, name in enumerate((b"a.png", b"b.png", b"a.png"))
  ]
  give(_Source(records))
  expected = ["a.png", "b.png", "a.png#0000002"]
  assert tfds_images.read("pets", "train").filenames.tolist() == expected
  lazy = tfds_images.TfdsImages(name="pets", split="train", size=6)
  assert lazy.filenames.tolist() == expected


def test_lazy_images_have_any_shape(give):
  give(_Source(_records()))
  lazy = tfds_images.TfdsImages(name="pets", split="train", size=6)
  indices = np.array([[4, 0], [0, 2]])
  np.testing.assert_array_equal(
      lazy[indices][:, :, 0, 0, 0], indices.astype(np.uint8) * 10
  )
  assert len(lazy) == 5 and lazy[indices].shape == (2, 2, 6, 6, 3)
  assert lazy[np.zeros((0, 3), int)].shape == (0, 3, 6, 6, 3)
  for bad in (5, -1):
    with pytest.raises(AlignetError, match="numbers from 0 to 4"):
      lazy[np.array([0, bad])]


def test_lazy_images_serve_triplet_batches(give, tmp_path):
  give(_Source(_records()))
  lazy = tfds_images.TfdsImages(name="pets", split="train", size=6)
  indices = np.array([[0, 1, 2], [2, 3, 4]])
  similarities = np.array([[3, 2, 1], [3, 2, 1]], np.float32)
  path = tmp_path / "t.npz"
  npz.write(path, lazy.filenames, indices, similarities)
  source = batches.TripletBatches(
      path=str(path), images=lazy, batch_size=2, num_batches=1, shuffle=False
  )
  np.testing.assert_array_equal(source[0]["images"], lazy[indices])


def test_names_in_records_are_compared_with_those_of_triplets(give, tmp_path):
  records = [{"image": _png(_picture(i)), "id": f"{i}.png"} for i in range(4)]
  source = _Source(records)
  give(source)
  indices = np.array([[0, 1, 2], [2, 3, 1]])
  path = tmp_path / "t.npz"
  names = np.array([f"{i}.png" for i in range(4)])
  s = np.array([[3, 2, 1], [3, 2, 1]], np.float32)
  npz.write(path, names, indices, s)

  def first_batch(images):
    return batches.TripletBatches(
        path=str(path), images=images, batch_size=2, image_size=6
    )[0]

  assert first_batch("tfds:pets:train")["images"].shape == (2, 3, 6, 6, 3)
  source[3]["id"] = "x.png"
  with pytest.raises(AlignetError, match="image 3 is called '3.png', but 'x"):
    first_batch("tfds:pets:train")
  del source[2:]
  with pytest.raises(AlignetError, match="refers to image 3, but there are 2"):
    first_batch("tfds:pets:train")


def test_workers_are_sent_no_records(give):
  give(_Source(_records()))
  lazy = tfds_images.TfdsImages(name="pets", split="train", size=6)
  images = lazy[np.arange(5)]
  assert len(lazy.filenames) == 5
  sent = pickle.dumps(lazy)
  assert len(sent) < 400
  np.testing.assert_array_equal(pickle.loads(sent)[np.arange(5)], images)


def test_given_names_are_checked_against_records(give, tmp_path):
  records = [{"image": _png(_picture(0)), "id": f"{i}.png"} for i in range(3)]
  give(_Source(records))
  files.save_npy(tmp_path / "n.npy", np.array(["0.png", "x.png", "2.png"]))
  lazy = tfds_images.TfdsImages(
      name="pets", split="train", size=6, names=str(tmp_path / "n.npy")
  )
  assert lazy[np.array([0, 2])].shape == (2, 6, 6, 3)
  with pytest.raises(AlignetError, match="called '1.png', but 'x.png'"):
    lazy[np.array([1])]


def _broken_read():
  class Broken(_Source):

    def __getitem__(self, i):
      raise RuntimeError("bad CRC\nmore")

  return Broken(_records())


@pytest.mark.parametrize(
    "source, message",
    [
        (AssertionError("no builder"), "not in here .*prepare it with `tfds b"),
        (NotImplementedError("tfrecord"), "random access; prepare it"),
        (ValueError("Unknown split 'x'.\nmore"), "opened: Unknown split 'x'$"),
        (_Source([]), "at least one image, found 0"),
        (_broken_read(), r"record 0 cannot be read \(bad CRC\)"),
        (
            _Source([*_records(2), {"image": _png(_picture(0))[:50]}]),
            "image pets/train/0000002 .*truncated",
        ),
        (
            _Source([*_records(2), {"image": _png(_picture(0, 3, 7))}]),
            r"0000002 has the shape \(3, 7, 3\).*give the size",
        ),
    ],
    ids=str,
)
def test_bad_input(give, source, message):
  give(source)
  with pytest.raises(AlignetError, match=message):
    tfds_images.read("pets", "train", data_dir="here")


def test_no_image_feature(give):
  source = _Source([{"text": "a"}])
  source.dataset_info.features = {"text": None}
  give(source)
  with pytest.raises(AlignetError, match="no feature `image`; found text"):
    tfds_images.read("pets", "train")


def test_size_must_be_positive(give):
  give(_Source(_records()))
  with pytest.raises(AlignetError, match="size: expected at least 1, found 0"):
    tfds_images.read("pets", "train", size=0)


def test_missing_dataset_is_not_downloaded(tmp_path):
  missing = tmp_path / "missing"
  with pytest.raises(AlignetError, match="tfds build cifar100"):
    tfds_images.read("cifar100", "train", data_dir=missing)
  assert not missing.exists()


def test_cifar100(test_data):
  store = tfds_images.read(
      "cifar100", "test", data_dir=test_data / "tfds", limit=200
  )
  assert store.images.shape == (200, 32, 32, 3)
  source = tfds.data_source(
      "cifar100", split="test", data_dir=test_data / "tfds", download=False
  )
  for i in (0, 7, 199):
    np.testing.assert_array_equal(store.images[i], source[i]["image"])
    assert store.filenames[i] == source[i]["id"].decode()
    assert store.labels["subordinate"].ids[i] == source[i]["label"]
  assert len(store.labels["superordinate"].names) == 20


def test_the_image_that_cifar100_holds_twice(test_data):
  lazy = tfds_images.TfdsImages(
      name="cifar100", split="test", size=32, data_dir=str(test_data / "tfds")
  )
  names = lazy.filenames
  assert len(np.unique(names)) == len(names) == 5000
  assert names[4142] == f"{names[1489]}#0004142"


def test_imagenet(test_data):
  lazy = tfds_images.TfdsImages(
      name="imagenet2012",
      split="train",
      size=48,
      data_dir=str(test_data / "tfds"),
  )
  images = lazy[np.array([[0, 1], [1, 0]])]
  assert images.shape == (2, 2, 48, 48, 3)
  np.testing.assert_array_equal(images[0, 0], images[1, 1])
  assert lazy.filenames[0].endswith(".JPEG")
