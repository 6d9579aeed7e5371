import dataclasses

from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
import numpy as np
import pytest


def _store(n=6):
  rng = np.random.default_rng(0)
  return images_lib.ImageStore(
      images=rng.integers(0, 256, (n, 4, 5, 3), np.uint8),
      filenames=np.array([f"image_{i}.png" for i in range(n)]),
      labels={"basic": labels_lib.from_strings(["cat", "shoe"] * (n // 2))},
      meta={"source": "test"},
  )


def test_write_then_open(tmp_path):
  store = _store()
  images_lib.write(tmp_path / "s", store)
  found = images_lib.open_store(tmp_path / "s")
  assert isinstance(found.images, np.memmap)
  assert len(found) == 6 and found.meta == {"source": "test"}
  np.testing.assert_array_equal(found.images, store.images)
  np.testing.assert_array_equal(found.filenames, store.filenames)
  np.testing.assert_array_equal(
      found.labels["basic"].ids, store.labels["basic"].ids
  )
  with pytest.raises(OutputExistsError):
    images_lib.write(tmp_path / "s", store)
  images_lib.write(tmp_path / "s", _store(2), overwrite=True)
  assert len(images_lib.open_store(tmp_path / "s")) == 2


def test_indexing(tmp_path):
  store = _store()
  images_lib.write(tmp_path / "s", store)
  found = images_lib.open_store(tmp_path / "s")
  rows = np.array([[0, 5, 2], [1, 1, 3]])
  images = found[rows]
  assert type(images) is np.ndarray and images.shape == (2, 3, 4, 5, 3)
  np.testing.assert_array_equal(images, store.images[rows])


def _truncate(path):
  path.write_bytes(path.read_bytes()[:-5])


def _replace(name, array):
  return lambda folder: files.save_npy(folder / name, array, overwrite=True)


_DAMAGES = {
    "no images": lambda f: (f / "images.npy").unlink(),
    "no file names": lambda f: (f / "filenames.npy").unlink(),
    "no labels": lambda f: (f / "labels.npz").unlink(),
    "no meta": lambda f: (f / "meta.json").unlink(),
    "half images": lambda f: _truncate(f / "images.npy"),
    "half file names": lambda f: _truncate(f / "filenames.npy"),
    "half labels": lambda f: _truncate(f / "labels.npz"),
    "half meta": lambda f: _truncate(f / "meta.json"),
    "float images": _replace("images.npy", np.zeros((6, 4, 5, 3))),
    "16-bit images": _replace("images.npy", np.zeros((6, 4, 5, 3), np.uint16)),
    "grey images": _replace("images.npy", np.zeros((6, 4, 5), np.uint8)),
    "fewer images": _replace("images.npy", np.zeros((5, 4, 5, 3), np.uint8)),
    "empty images": _replace("images.npy", np.zeros((0, 4, 5, 3), np.uint8)),
    "numbers for names": _replace("filenames.npy", np.arange(6)),
    "more names": _replace("filenames.npy", np.array(["a"] * 7)),
    "more labels": lambda f: labels_lib.write_labels(
        f / "labels.npz",
        {"basic": labels_lib.from_strings(["a"] * 7)},
        overwrite=True,
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_each_damage_is_one_sentence(tmp_path, damage):
  folder = tmp_path / "s"
  images_lib.write(folder, _store())
  _DAMAGES[damage](folder)
  with pytest.raises(AlignetError) as error:
    images_lib.open_store(folder)
  assert "\n" not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((6, 4, 5, 3), np.float32)},
        {"images": np.zeros((6, 4, 5, 3), np.uint16)},
        {"images": np.zeros((5, 4, 5, 3), np.uint8)},
        {"filenames": np.arange(6)},
        {"labels": {"basic": labels_lib.from_strings(["a"])}},
        {"meta": {"x": float("nan")}},
    ],
)
def test_what_cannot_be_opened_is_not_written(tmp_path, change):
  store = dataclasses.replace(_store(), **change)
  with pytest.raises(ValueError):
    images_lib.write(tmp_path / "s", store)
  assert not list(tmp_path.iterdir())
