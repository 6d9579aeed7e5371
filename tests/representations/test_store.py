import json

from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.representations import store
import numpy as np
import pytest


@pytest.fixture
def features():
  return np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)


@pytest.fixture
def names():
  return [f"class/{i}.jpg" for i in range(7)]


@pytest.fixture
def labels():
  return {"basic": labels_lib.from_strings(list("aabbccc"))}


@pytest.fixture
def written(tmp_path, features, names, labels):
  store.write(tmp_path / "r", features, names, labels, {"model": "vit"})
  return tmp_path / "r"


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_round_trip(tmp_path, features, names, labels, dtype):
  features = features.astype(dtype)
  store.write(tmp_path / "r", features, names, labels, {"model": "vit"})
  read = store.open(tmp_path / "r", verify=True)
  assert isinstance(read.features, np.memmap)
  assert read.features.dtype == dtype
  np.testing.assert_array_equal(read.features, features)
  assert read.filenames.tolist() == names
  np.testing.assert_array_equal(read.labels["basic"].ids, labels["basic"].ids)
  assert read.meta["model"] == "vit"
  assert read.meta["shape"] == [7, 5]
  assert read.meta["sha256"]["features.npy"] == files.sha256(
      tmp_path / "r" / "features.npy"
  )
  assert len(read) == 7
  assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_equal_input_equal_bytes(tmp_path, features, names, labels):
  for folder in "ab":
    store.write(tmp_path / folder, features, names, labels, {"model": "vit"})
  for file in (tmp_path / "a").iterdir():
    assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_memory_map_can_be_copied(tmp_path, written, labels):
  read = store.open(written)
  store.write(
      tmp_path / "copy", read.features, read.filenames, read.labels, read.meta
  )
  assert store.open(tmp_path / "copy", verify=True).meta == read.meta


def test_existing_directory(written, features, names, labels):
  with pytest.raises(OutputExistsError, match="already exists"):
    store.write(written, features, names, labels, {})
  store.write(written, features + 1, names, labels, {}, overwrite=True)
  np.testing.assert_array_equal(store.open(written).features, features + 1)


def test_another_folder_is_never_replaced(tmp_path, features, names, labels):
  (tmp_path / "precious.txt").write_text("mine")
  with pytest.raises(AlignetError, match="holds no representations"):
    store.write(tmp_path, features, names, labels, {}, overwrite=True)
  assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"features": np.ones((7, 5))}, "expected float32 or float16"),
        ({"features": np.ones(7, np.float32)}, "expected shape"),
        (
            {"features": np.full((7, 5), np.nan, np.float32)},
            "row 0 holds a NaN",
        ),
        ({"features": np.ones((7, 0), np.float32)}, "at least one value"),
        ({"filenames": ["a", "b"]}, "7 rows of features, found 2"),
        ({"filenames": [0, 1, 2, 3, 4, 5, 6]}, "expected strings"),
        ({"filenames": list("abcdefa")}, "'a' is there more than once"),
        (
            {"labels": {"basic": labels_lib.from_strings(["a", "b"])}},
            "labels of 7 images, found 2",
        ),
        ({"meta": {"mean": float("nan")}}, "values that JSON can hold"),
        ({"meta": {"model": object()}}, "values that JSON can hold"),
    ],
)
def test_bad_input_leaves_nothing(
    tmp_path, features, names, labels, change, message
):
  arguments = {
      "features": features,
      "filenames": names,
      "labels": labels,
      "meta": {},
      **change,
  }
  with pytest.raises(AlignetError, match=message):
    store.write(tmp_path / "r", **arguments)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["features.npy", "filenames.npy", "labels.npz", "meta.json"]
)
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_file(written, name, damage):
  path = written / name
  if damage == "missing":
    path.unlink()
  else:
    path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(AlignetError, match=name):
    store.open(written)


def test_wrong_lengths(written):
  files.save_npy(
      written / "filenames.npy", np.array(["a", "b"]), overwrite=True
  )
  with pytest.raises(AlignetError, match="7 rows of features, found 2"):
    store.open(written)
  files.save_npy(
      written / "features.npy", np.ones((2, 5), np.float32), overwrite=True
  )
  with pytest.raises(AlignetError, match="labels of 2 images, found 7"):
    store.open(written)


def test_wrong_dtype(written):
  files.save_npy(written / "features.npy", np.ones((7, 5)), overwrite=True)
  with pytest.raises(AlignetError, match="found dtype float64"):
    store.open(written)


def test_meta_without_hashes(written):
  (written / "meta.json").write_text("[1]")
  with pytest.raises(AlignetError, match="meta.json"):
    store.open(written)


def test_verify_finds_a_changed_byte(written):
  path = written / "features.npy"
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  path.write_bytes(data)
  store.open(written)
  with pytest.raises(AlignetError, match="is not the file that was written"):
    store.open(written, verify=True)


def test_verify_finds_nan(written, features):
  features[3, 2] = np.nan
  path = written / "features.npy"
  files.save_npy(path, features, overwrite=True)
  meta = json.loads((written / "meta.json").read_text())
  meta["sha256"]["features.npy"] = files.sha256(path)
  (written / "meta.json").write_text(json.dumps(meta))
  with pytest.raises(AlignetError, match="row 3 holds a NaN"):
    store.open(written, verify=True)


def test_no_directory(tmp_path):
  with pytest.raises(AlignetError, match="is no directory"):
    store.open(tmp_path / "nothing")
