"""Matrices of one's own, in each form."""

from alignet.errors import AlignetError
from alignet.human import rdm_files
import numpy as np
import pytest
from scipy import io
from scipy.spatial import distance


@pytest.mark.parametrize("form", ["npy", "csv", "mat"])
@pytest.mark.parametrize("condensed", [False, True])
def test_ones_own(tmp_path, form, condensed):
  rdm = distance.squareform(
      distance.pdist(np.random.default_rng(0).normal(size=(7, 3)))
  )
  array = distance.squareform(rdm)[None] if condensed else rdm
  path = tmp_path / f"r.{form}"
  if form == "npy":
    np.save(path, array)
  elif form == "csv":
    np.savetxt(path, array, delimiter=",", fmt="%.17g")
  else:
    io.savemat(path, {"mine": array})
  found = rdm_files.read(path)
  np.testing.assert_allclose(found, rdm[None], rtol=1e-15)
  flipped = rdm_files.read(path, similarities=True)
  off = ~np.eye(7, dtype=bool)
  np.testing.assert_allclose(flipped[0][off], rdm.max() - rdm[off], atol=1e-12)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("r.npy", np.zeros((2, 4)), "n .n - 1. / 2 pairs, found shape .2, 4"),
        ("r.npy", np.zeros((2, 2, 3, 3)), "found shape"),
        ("r.csv", "a,b\n1,2\n", "cannot be read as numbers"),
        ("r.txt", "", "ending in .npy, .csv or .mat"),
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
