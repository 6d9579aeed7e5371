"""Matrices of one's own, in each form."""

from alignet.errors import AlignetError
from alignet.human import rdm_files
import numpy as np
import pytest
from scipy import io
from scipy.spatial import distance


def _rdm(n=7, seed=0):
  x = np.random.default_rng(seed).normal(size=(n, 3))
  return distance.squareform(distance.pdist(x))


@pytest.mark.parametrize("form", ["npy", "csv", "mat"])
@pytest.mark.parametrize("condensed", [False, True])
def test_ones_own(tmp_path, form, condensed):
  rdm = _rdm()
  array = distance.squareform(rdm)[None] if condensed else rdm
  path = tmp_path / f"r.{form}"
  if form == "npy":
    np.save(path, array)
  elif form == "csv":
    np.savetxt(path, array, delimiter=",", fmt="%.17g")
  else:
    io.savemat(path, {"mine": array})
  found = rdm_files.read(path, kind="distance")
  np.testing.assert_allclose(found.rdms, rdm[None], rtol=1e-15)
  assert found.kind == "distance" and found.names is None
  flipped = rdm_files.read(path, kind="similarity").rdms
  off = ~np.eye(7, dtype=bool)
  np.testing.assert_allclose(flipped[0][off], rdm.max() - rdm[off], atol=1e-12)
  with pytest.raises(AlignetError, match="does not say whether .*--rdm_kind"):
    rdm_files.read(path)


@pytest.mark.parametrize(
    "diagonal, proves", [(9, True), (0, False), (np.nan, 0)]
)
def test_what_a_diagonal_proves(tmp_path, diagonal, proves):
  similarities = 5 - _rdm()
  np.fill_diagonal(similarities, diagonal)
  np.save(tmp_path / "s.npy", similarities)
  if proves:
    found = rdm_files.read(tmp_path / "s.npy")
    assert found.kind == "similarity"
    np.testing.assert_allclose(found.rdms[0], 9 - similarities)
    with pytest.raises(AlignetError, match="expected distances, found a diag"):
      rdm_files.read(tmp_path / "s.npy", kind="distance")
  else:
    with pytest.raises(AlignetError, match="does not say whether"):
      rdm_files.read(tmp_path / "s.npy")
  # Similarity and distance of the same things are the same.
  stated = rdm_files.read(tmp_path / "s.npy", kind="similarity").rdms[0]
  off = ~np.eye(7, dtype=bool)
  differences = stated[off] - _rdm()[off]
  np.testing.assert_allclose(differences, differences[0], atol=1e-12)


_NAMES = [f"c{i}" for i in range(4)]


@pytest.mark.parametrize("between", [",", "\t", ";", " "])
@pytest.mark.parametrize("above, before", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_text_as_other_programs_write_it(
    tmp_path, between, above, before, mark
):
  rdm = np.round(_rdm(4), 3)
  write = lambda x: str(x).replace(".", "," if between == ";" else ".")
  lines = []
  if above:
    corner = ["name"] if before and between == " " else [""] * before
    lines.append(between.join([*corner, *_NAMES]))
  for name, row in zip(_NAMES, rdm):
    lines.append(between.join([name][:before] + [write(x) for x in row]))
  path = tmp_path / "r.csv"
  path.write_text(mark + "\r\n".join(lines) + "\r\n", "utf-8")
  found = rdm_files.read(path, kind="distance")
  np.testing.assert_allclose(found.rdms[0], rdm)
  assert found.names == (tuple(_NAMES) if above or before else None)


def test_what_meadows_and_the_rsa_toolbox_write(tmp_path):
  one, two = _rdm(), _rdm(seed=1)
  names = [f"picture_{i}" for i in range(7)]
  vector = distance.squareform
  io.savemat(tmp_path / "m.mat", {"rdmutv": vector(one), "stimuli": names})
  found = rdm_files.read(tmp_path / "m.mat")
  assert found.kind == "distance" and found.names == tuple(names)
  np.testing.assert_allclose(found.rdms, one[None])
  many = {"rdmutv_a": vector(one), "rdmutv_b": vector(two), "stimuli": names}
  io.savemat(tmp_path / "n.mat", many)
  found = rdm_files.read(tmp_path / "n.mat").rdms
  np.testing.assert_allclose(found, [one, two])
  structs = np.zeros((1, 2), [("RDM", "O"), ("name", "O")])
  structs[0, 0], structs[0, 1] = (one, "A"), (two, "B")
  io.savemat(tmp_path / "s.mat", {"rdms": structs})
  found = rdm_files.read(tmp_path / "s.mat", kind="distance").rdms
  np.testing.assert_allclose(found, [one, two])


def test_subjects_last(tmp_path):
  rdms = np.stack([_rdm(5, seed) for seed in range(3)])
  np.save(tmp_path / "r.npy", rdms.transpose(1, 2, 0))
  found = rdm_files.read(tmp_path / "r.npy", kind="distance").rdms
  np.testing.assert_array_equal(found, rdms)
  cube = np.stack([_rdm(5, seed) for seed in range(5)])
  for array in (cube, cube.transpose(1, 2, 0)):
    np.testing.assert_array_equal(rdm_files.from_array(array), cube)
  with pytest.raises(AlignetError, match="may be .subjects, n, n. or"):
    rdm_files.from_array(np.ones((4, 4, 4)))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("r.npy", np.zeros((2, 4)), "n .n - 1. / 2 pairs, found shape .2, 4"),
        ("r.npy", np.zeros((2, 2, 3, 3)), "found shape"),
        ("r.csv", "1,2\na,b\n", "cannot be read as rows of numbers"),
        ("r.xls", "", "ending in .npy, .csv, .tsv"),
        ("r.mat", "no mat", "cannot be read as a MATLAB file"),
    ],
)
def test_other_files(tmp_path, name, content, message):
  path = tmp_path / name
  if isinstance(content, str):
    path.write_text(content)
  else:
    np.save(path, content)
  with pytest.raises(AlignetError, match=message):
    rdm_files.read(path)
