import os

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.triplets import sampling
import numpy as np
import pytest

_LABELS = np.array([*np.arange(100) % 7, -1, 8])


def _write(path, **kwargs):
  arguments = {"strategy": "class_border", "n": 1000, "seed": 3, **kwargs}
  return sampling.write(path, _LABELS, **arguments)


def test_write_then_read(tmp_path):
  path = tmp_path / "triplets.npz"
  meta = _write(path, law="images", exclude=[5], meta={"source": "x"})
  indices, read_meta = sampling.read(path)
  np.testing.assert_array_equal(
      indices,
      sampling.sample(
          _LABELS, "class_border", 1000, seed=3, law="images", exclude=[5]
      ),
  )
  assert indices.dtype == np.int32
  assert read_meta == meta
  expected = {
      "strategy": "class_border",
      "rule": "border",
      "law": "images",
      "seed": 3,
      "n": 1000,
      "n_images": 102,
      "n_images_excluded": 2,
      "groups_dropped": [8],
      "n_groups_dropped": 1,
      "n_groups_used": 7,
      "source": "x",
  }
  assert expected.items() <= meta.items()
  assert meta["versions"]["numpy"] == np.__version__
  assert len(meta["labels_sha256"]) == 64
  with np.load(path) as plain:  # Numpy alone reads it.
    assert sorted(plain.files) == ["indices", "meta"]


def test_bytes_do_not_depend_on_blocks_or_dtype(tmp_path):
  _write(tmp_path / "a", block=7)
  _write(tmp_path / "b")
  sampling.write(
      tmp_path / "c", _LABELS.astype(np.int16), "class_border", 1000, seed=3
  )
  a = (tmp_path / "a").read_bytes()
  assert a == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_labels_are_recorded(tmp_path):
  a = sampling.write(tmp_path / "a", _LABELS, "random", 5, seed=0)
  b = sampling.write(tmp_path / "b", _LABELS[::-1], "random", 5, seed=0)
  assert a["labels_sha256"] != b["labels_sha256"]


@pytest.mark.parametrize(
    "kwargs", [{"n": 0}, {"n": -1}, {"seed": -1}, {"strategy": "x"}]
)
def test_bad_arguments_leave_nothing(tmp_path, kwargs):
  with pytest.raises(AlignetError):
    _write(tmp_path / "triplets.npz", **kwargs)
  assert not os.listdir(tmp_path)


def test_existing_output_is_kept(tmp_path):
  path = tmp_path / "triplets.npz"
  path.write_bytes(b"precious")
  with pytest.raises(OutputExistsError):
    _write(path)
  assert path.read_bytes() == b"precious"
  _write(path, overwrite=True)
  assert len(sampling.read(path)[0]) == 1000


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"indices": [[0, 1, 2]]}, "lacks the key meta"),
        ({"indices": [[0, 1, 1]], "meta": "{}"}, "distinct"),
        ({"indices": [[0, 1, 9]], "meta": '{"n_images": 9}'}, "from 0 to 8"),
        ({"indices": [[0, 1]], "meta": "{}"}, "shape"),
        ({"indices": [[0, 1, 2]], "meta": "{"}, "not valid JSON"),
    ],
)
def test_read_refuses(tmp_path, arrays, message):
  path = tmp_path / "triplets.npz"
  files.save_npz(path, {k: np.array(v) for k, v in arrays.items()})
  with pytest.raises(AlignetError, match=message):
    sampling.read(path)
