import os

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.triplets import layout
from alignet.triplets import npz
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

_NAMES = np.array([f"n{i:03d}/{'é' * (i % 3)}.JPEG" for i in range(9)])


@st.composite
def _rows(draw):
  """Indices and similarities of a few triplets, ties among them."""
  n = draw(st.integers(0, 6))
  indices = [draw(st.permutations(range(9)))[:3] for _ in range(n)]
  similarities = draw(
      hnp.arrays(
          st.sampled_from([np.float32, np.float16, np.float64]),
          (n, 3),
          elements=st.integers(-3, 3) | st.floats(-100, 100, width=16),
      )
  )
  return np.array(indices, np.int64).reshape(n, 3), similarities


def _triplets(n=1000, seed=0):
  rng = np.random.default_rng(seed)
  indices = np.stack([rng.permutation(9)[:3] for _ in range(n)])
  return indices, rng.standard_normal((n, 3)).astype(np.float32)


@given(_rows())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_write_then_read_is_the_identity(tmp_path, rows):
  path = tmp_path / "a.npz"
  indices, similarities = layout.canonical_order(*rows)

  npz.write(path, _NAMES, *rows, overwrite=True)

  found = npz.open(path)
  assert len(found) == len(indices)
  np.testing.assert_array_equal(found.indices, indices)
  np.testing.assert_array_equal(found.similarities, similarities)
  assert found.filenames.tolist() == _NAMES[indices].tolist()
  assert found.indices.dtype == np.int32
  assert found.similarities.dtype == np.float32
  # What was read, written again, gives the same bytes.
  first = path.read_bytes()
  npz.write(path, _NAMES, found.indices, found.similarities, overwrite=True)
  assert path.read_bytes() == first


def test_numpy_alone_reads_it(tmp_path):
  path = tmp_path / "a.npz"
  npz.write(path, list(_NAMES), [[7, 8, 2]], np.array([[1.0, 5, 2]]))
  with np.load(path) as plain:
    assert plain.files == ["filenames", "similarities", "indices"]
    assert plain["indices"].tolist() == [[2, 7, 8]]
    assert plain["similarities"].tolist() == [[5.0, 2.0, 1.0]]
    assert plain["filenames"].tolist() == [_NAMES[[2, 7, 8]].tolist()]


def test_bytes_are_those_of_the_input_alone(tmp_path):
  indices, similarities = _triplets()
  npz.write(tmp_path / "a", _NAMES, indices, similarities)
  # The rows turned about, and other dtypes.
  order = np.tile([2, 0, 1], (len(indices), 1))
  npz.write(
      tmp_path / "b",
      _NAMES,
      np.take_along_axis(indices, order, axis=1).astype(np.uint8),
      layout.permute_similarities(similarities, order).astype(np.float64),
  )
  assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_many_blocks_are_the_same_as_one(tmp_path, monkeypatch):
  indices, similarities = _triplets()
  npz.write(tmp_path / "a", _NAMES, indices, similarities)
  monkeypatch.setattr(npz, "_ROWS", 64)
  npz.write(tmp_path / "b", _NAMES, indices, similarities)
  with np.load(tmp_path / "a") as a, np.load(tmp_path / "b") as b:
    for key in npz.KEYS:
      np.testing.assert_array_equal(a[key], b[key])


def test_names_are_gathered_by_block(tmp_path, monkeypatch):
  """Never all of the (n, 3) names at once; threads take the blocks."""
  monkeypatch.setattr(npz, "_ROWS", 64)
  seen = []

  class Names(np.ndarray):

    def __getitem__(self, key):
      if isinstance(key, np.ndarray):
        seen.append(key.tolist())
      return super().__getitem__(key)

  monkeypatch.setattr(
      files, "check_array", lambda a, *_, **__: _as_names(a, Names)
  )
  npz.write(tmp_path / "a", _NAMES, *_triplets(200))
  with np.load(tmp_path / "a") as a:
    rows = a["indices"]
  blocks = [rows[i : i + 64].tolist() for i in (0, 64, 128, 192)]
  # Each once; which thread comes first is nobody's promise.
  assert sorted(seen) == sorted(blocks)


def _as_names(array, cls):
  return array.view(cls) if np.asarray(array).dtype.kind == "U" else array


def test_rounding_to_float32_comes_before_sorting(tmp_path):
  # Different in float64, tied in float32: then the image number decides.
  s = np.array([[1.0, 1.0 + 1e-12, 0.5]])
  npz.write(tmp_path / "a", _NAMES, [[0, 1, 2]], s)
  assert npz.open(tmp_path / "a").indices.tolist() == [[0, 1, 2]]


def test_meta_comes_back(tmp_path):
  rows = _triplets(3)
  npz.write(tmp_path / "a", _NAMES, *rows, meta={"seed": 1})
  npz.write(tmp_path / "b", _NAMES, *rows)
  assert npz.open(tmp_path / "a").meta == {"seed": 1}
  assert npz.open(tmp_path / "b").meta == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": [[0, 1, 9]]}, "indices: row 0 .* from 0 to 8"),
        ({"indices": [[0, 1, -1]]}, "indices: row 0 .* from 0 to 8"),
        ({"indices": [[0, 1, 1]]}, "indices: row 0 .* distinct"),
        ({"indices": [[0.0, 1.0, 2.0]]}, "indices: expected integers"),
        ({"similarities": [[0.0, 1.0, np.nan]]}, "similarities.* row 0 .*NaN"),
        ({"similarities": [[0.0, 1.0, np.inf]]}, "similarities.* row 0"),
        ({"similarities": [[0.0, 1.0, 1e300]]}, r"similarities \(as float32"),
        ({"similarities": [[0.0, 1.0]]}, r"similarities: .*\(1, 3\)"),
        ({"similarities": [[0.0, 1, 2]] * 2}, r"similarities: .*\(2, 3\)"),
        ({"similarities": [[0, 1, 2]]}, "similarities: expected floats"),
        ({"filenames": [1, 2, 3]}, "filenames: expected strings"),
        ({"filenames": [["a", "b"]]}, "filenames: expected shape"),
    ],
)
def test_write_refuses_and_leaves_nothing(tmp_path, change, message):
  good = {
      "filenames": _NAMES,
      "indices": [[0, 1, 2]],
      "similarities": [[0.5, 0.2, 0.1]],
  }
  arguments = {k: np.array(v) for k, v in {**good, **change}.items()}
  with pytest.raises(AlignetError, match=message):
    npz.write(tmp_path / "a.npz", **arguments)
  assert not os.listdir(tmp_path)


def test_existing_output_is_kept(tmp_path):
  path = tmp_path / "a.npz"
  path.write_bytes(b"precious")
  with pytest.raises(OutputExistsError):
    npz.write(path, _NAMES, *_triplets(3))
  assert path.read_bytes() == b"precious"


def test_arrays_are_read_when_asked_for(tmp_path, monkeypatch):
  path = tmp_path / "a.npz"
  npz.write(path, _NAMES, *_triplets(100))
  read = []
  original = files.read_member

  def read_member(archive, key, path):
    read.append(key)
    return original(archive, key, path)

  monkeypatch.setattr(files, "read_member", read_member)
  opened = npz.open(path)
  assert len(opened) == 100 and not read
  assert opened.similarities is opened.similarities
  assert read == ["similarities"]
  npz.read_similarities_indices(path)
  assert "filenames" not in read
  blocks = list(opened.filename_blocks(rows=30))
  assert [len(b) for b in blocks] == [30, 30, 30, 10]
  assert "filenames" not in read
  assert np.concatenate(blocks).tolist() == opened.filenames.tolist()


def test_other_peoples_files(tmp_path):
  """int64, float64, names as bytes, columns first."""
  path = tmp_path / "a.npz"
  indices, similarities = _triplets(20)
  np.savez(
      path,
      indices=np.asfortranarray(indices),
      similarities=similarities.astype(np.float64),
      filenames=np.char.encode(_NAMES, "utf-8")[indices],
  )
  s, i = npz.read_similarities_indices(path)
  np.testing.assert_array_equal(i, indices)
  np.testing.assert_array_equal(s, similarities)
  assert (i.dtype, s.dtype) == (np.int32, np.float32)
  opened = npz.open(path)
  assert opened.filenames.tolist() == _NAMES[indices].tolist()
  assert next(opened.filename_blocks(2)).tolist() == (
      _NAMES[indices][:2].tolist()
  )


def test_pickled_names_are_not_loaded_but_the_rest_is(tmp_path):
  path = tmp_path / "a.npz"
  indices, similarities = _triplets(20)
  names = _NAMES[indices].astype(object)
  np.savez(path, indices=indices, similarities=similarities, filenames=names)
  s, _ = npz.read_similarities_indices(path)
  np.testing.assert_array_equal(s, similarities)
  with pytest.raises(AlignetError, match="filenames in .*pickled"):
    _ = npz.open(path).filenames


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filenames": None}, "lacks the key filenames"),
        ({"indices": np.zeros((5, 2), int)}, r"indices in .*\(any, 3\)"),
        ({"similarities": np.zeros((4, 3))}, r"similarities .*\(5, 3\) like"),
        ({"indices": np.zeros((5, 3))}, "indices .* integers"),
        ({"similarities": np.zeros((5, 3), int)}, "similarities .* floats"),
    ],
)
def test_open_refuses(tmp_path, change, message):
  arrays = {
      "filenames": np.full((5, 3), "a"),
      "similarities": np.zeros((5, 3), np.float32),
      "indices": np.zeros((5, 3), np.int32),
      **change,
  }
  path = tmp_path / "a.npz"
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
  with pytest.raises(AlignetError, match=message):
    npz.open(path)


def test_truncated_file(tmp_path):
  path = tmp_path / "a.npz"
  npz.write(path, _NAMES, *_triplets())
  data = path.read_bytes()
  for keep in (0, 1, 100, len(data) // 2, len(data) - 1):
    path.write_bytes(data[:keep])
    with pytest.raises(AlignetError, match="a.npz cannot be read.*truncated"):
      npz.open(path)
