from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.io import files
import numpy as np
import pytest


def _labels(ids, names):
  return labels_lib.Labels(ids=np.array(ids), names=np.array(names))


def test_round_trip_orders_levels_and_keeps_unlabelled(tmp_path):
  path = tmp_path / "labels.npz"
  labels = {
      "concept": _labels([-1, 0, -1], ["aardvark"]),
      "basic": _labels([1, 0, 1], ["dog", "Käfer"]),
  }
  labels_lib.write_labels(path, labels)
  read = labels_lib.read_labels(path, n=3)
  assert list(read) == ["basic", "concept"]
  for level, one in labels.items():
    assert read[level].ids.dtype == np.int32
    np.testing.assert_array_equal(read[level].ids, one.ids)
    assert read[level].names.tolist() == one.names.tolist()


def test_no_level_at_all(tmp_path):
  labels_lib.write_labels(tmp_path / "labels.npz", {})
  assert labels_lib.read_labels(tmp_path / "labels.npz", n=5) == {}


def test_from_strings():
  labels = labels_lib.from_strings(["cat", "", "ant", "cat"])
  assert labels.ids.tolist() == [1, -1, 0, 1]
  assert labels.names.tolist() == ["ant", "cat"]
  assert labels_lib.from_strings(["", ""]).names.tolist() == []


@pytest.mark.parametrize(
    "ids, names, message",
    [
        ([0, 2], ["a", "b"], "row 1 is 2"),
        ([-2, 0], ["a"], "row 0 is -2"),
        ([0.0, 1.0], ["a", "b"], "expected integers"),
        ([[0, 1]], ["a", "b"], "expected shape"),
        ([0, 1], [1, 2], "expected strings"),
    ],
)
def test_bad_labels(ids, names, message):
  with pytest.raises(AlignetError, match=message):
    _labels(ids, names)


def test_lengths_that_differ(tmp_path):
  labels = {"basic": _labels([0, 0], ["a"]), "concept": _labels([0], ["a"])}
  with pytest.raises(AlignetError, match="labels of 2 images, found 1"):
    labels_lib.write_labels(tmp_path / "labels.npz", labels)
  labels_lib.write_labels(tmp_path / "l.npz", {"basic": labels["basic"]})
  with pytest.raises(AlignetError, match="labels of 3 images, found 2"):
    labels_lib.read_labels(tmp_path / "l.npz", n=3)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"basic": np.zeros(2, np.int32)}, "basic_names is missing"),
        ({"basic_names": np.array(["a"])}, "array basic is missing"),
        ({"family": np.zeros(2, np.int32)}, "expected a level among"),
    ],
)
def test_damaged_file(tmp_path, arrays, message):
  files.save_npz(tmp_path / "labels.npz", arrays)
  with pytest.raises(AlignetError, match=message):
    labels_lib.read_labels(tmp_path / "labels.npz")


def test_unknown_level_is_not_written(tmp_path):
  with pytest.raises(AlignetError, match="expected a level among"):
    labels_lib.write_labels(
        tmp_path / "labels.npz", {"family": _labels([0], ["a"])}
    )
  assert not list(tmp_path.iterdir())
