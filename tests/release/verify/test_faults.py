"""Twelve faults put into a good file are found, and nothing is found in it."""

from alignet import transforms
from alignet.release import verify
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest

_N = 60
_LABELS = np.arange(_N) % 6
_NAMES = np.array([f"n{i}.JPEG" for i in range(_N)])
_FEATURES = np.random.default_rng(0).standard_normal((_N, 8)).astype("f4")
_TRANSFORM = transforms.Transform(
    weights=np.random.default_rng(1).standard_normal((8, 5)) * 0.4,
    bias=np.full(5, 0.1),
)
_ROW = 7


@pytest.fixture(scope="module")
def good():
  """Arrays of 200 within-class rows in canonical order."""
  rows = sampling.sample(_LABELS, "within", 200, seed=0)
  s = similarity.of_triplets(_TRANSFORM(_FEATURES), rows)
  rows, s = layout.canonical_order(rows, s)
  return {"filenames": _NAMES[rows], "similarities": s, "indices": rows}


def _verify(path):
  return verify.verify(
      path,
      image_filenames=_NAMES,
      labels=_LABELS,
      rule="within",
      features=_FEATURES,
      transform=_TRANSFORM,
  )


def _write(path, arrays):
  np.savez_compressed(path, **arrays)
  return path


def test_upstreams_own_layout_passes(good, tmp_path):
  arrays = {**good, "indices": good["indices"].astype(np.int64)}
  assert arrays["filenames"].dtype.kind == "U"
  verification = _verify(_write(tmp_path / "a.npz", arrays))
  assert verification.ok
  assert {c.status for c in verification.checks} == {"pass", "info"}


def test_a_clean_file_of_ours_passes(good, tmp_path):
  npz.write(tmp_path / "a.npz", _NAMES, good["indices"], good["similarities"])
  verification = _verify(tmp_path / "a.npz")
  assert {c.status for c in verification.checks} == {"pass", "info"}


def _wrong_order(a):
  """The most similar pair last: the odd one first, all arrays consistent."""
  a["indices"] = a["indices"][:, ::-1]
  a["filenames"] = a["filenames"][:, ::-1]
  a["similarities"] = a["similarities"][:, ::-1]


def _swapped_columns(a):
  a["similarities"] = a["similarities"][:, [1, 0, 2]]


def _off_by_one(a):
  a["indices"] = (a["indices"] + 1) % _N


def _one_index_off(a):
  a["indices"][_ROW, 1] = (a["indices"][_ROW, 1] + 1) % _N


def _foreign_name(a):
  names = a["filenames"].astype("U20")
  names[names == names[_ROW, 0]] = "elsewhere.JPEG"
  a["filenames"] = names


def _nan(a):
  a["similarities"][_ROW, 2] = np.nan


def _cosines(a):
  z = _TRANSFORM(_FEATURES)
  a["similarities"] = similarity.of_triplets(z, a["indices"], "cosine")


def _one_hot(a):
  a["similarities"] = a["similarities"] * np.float32(1e4)


def _crosses_classes(a):
  i, j, k = 0, 6, 13
  a["indices"][_ROW] = i, j, k
  a["filenames"][_ROW] = _NAMES[[i, j, k]]


def _repeated(a):
  a["indices"][_ROW, 1] = a["indices"][_ROW, 0]
  a["filenames"][_ROW, 1] = a["filenames"][_ROW, 0]


def _wrong_dtype(a):
  a["similarities"] = (a["similarities"] * 100).astype(np.int32)


def _missing_key(a):
  del a["filenames"]


# What is done, the checks that must find it, the row they must name.
_FAULTS = {
    "wrong order": (_wrong_order, {"odd_last"}, 0),
    "swapped columns": (_swapped_columns, {"odd_last", "recomputed"}, 0),
    "index off by one": (_off_by_one, {"filenames", "recomputed"}, 0),
    "one index off by one": (_one_index_off, {"same_name"}, None),
    "foreign file name": (_foreign_name, {"filenames"}, None),
    "NaN": (_nan, {"finite"}, _ROW),
    "cosines": (_cosines, {"recomputed", "scale"}, 0),
    "one-hot targets": (_one_hot, {"recomputed", "target_entropy"}, 0),
    "crosses classes": (_crosses_classes, {"sampling"}, _ROW),
    "repeated image": (_repeated, {"distinct"}, _ROW),
    "wrong dtype": (_wrong_dtype, {"dtypes"}, None),
    "missing key": (_missing_key, {"keys"}, None),
}


@pytest.mark.parametrize("name", _FAULTS)
def test_fault(good, tmp_path, name):
  change, wanted, row = _FAULTS[name]
  arrays = {key: array.copy() for key, array in good.items()}
  change(arrays)
  verification = _verify(_write(tmp_path / "a.npz", arrays))
  assert not verification.ok
  found = {c.name for c in verification.checks if c.status in ("fail", "warn")}
  assert wanted <= found
  if row is not None:
    for check in verification.checks:
      if check.name in wanted and check.rows:
        assert check.rows[0] == row
        assert f"row {row}" in check.message


def test_what_the_wrong_numbers_are_is_said(good, tmp_path):
  arrays = {key: array.copy() for key, array in good.items()}
  _off_by_one(arrays)
  check = _verify(_write(tmp_path / "a.npz", arrays))["filenames"]
  assert "every image number is off by 1" in check.message
  arrays = {key: array.copy() for key, array in good.items()}
  _cosines(arrays)
  check = _verify(_write(tmp_path / "b.npz", arrays))["recomputed"]
  assert "they are cosines" in check.message


def test_cosines_and_one_hot_targets_without_representations(good, tmp_path):
  for change, name in ((_cosines, "scale"), (_one_hot, "target_entropy")):
    arrays = {key: array.copy() for key, array in good.items()}
    change(arrays)
    found = verify.verify(_write(tmp_path / "a.npz", arrays))
    assert found[name].status == "warn"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncation(good, tmp_path, share):
  path = _write(tmp_path / "a.npz", good)
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * share)])
  verification = _verify(path)
  assert not verification.ok
  assert verification["readable"].status == "fail"
