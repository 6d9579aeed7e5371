"""Readers of similarity sets, on files made in the published structures."""

import pickle

from alignet.data import similarity_sets
from alignet.errors import AlignetError
import numpy as np
import pytest
from scipy import io
from scipy.spatial import distance


def _rdms(subjects, n, seed=0):
  rng = np.random.default_rng(seed)
  return np.stack(
      [
          distance.squareform(distance.pdist(rng.normal(size=(n, 3))))
          for _ in range(subjects)
      ]
  )


def test_king(tmp_path):
  one, two = _rdms(4, 9), _rdms(4, 7, 1)
  path = tmp_path / "BEHAVIOR.mat"
  condensed = lambda rdms: np.stack([distance.squareform(r) for r in rdms])
  io.savemat(
      path,
      {
          "BEHAVIOR": {
              "set1": {"pairwisedistances": condensed(one), "note": "x"},
              "set2": {"pairwisedistances": condensed(two)},
          }
      },
  )
  np.testing.assert_array_equal(similarity_sets.king2019(path), one)
  np.testing.assert_array_equal(
      similarity_sets.king2019(path, stimuli="set2"), two
  )
  with pytest.raises(AlignetError, match="expected set3, found set1, set2"):
    similarity_sets.king2019(path, stimuli="set3")


def test_cichy(tmp_path):
  rdms = _rdms(5, 8)
  path = tmp_path / "judgments_general.mat"
  io.savemat(path, {"judgments": rdms})
  np.testing.assert_array_equal(similarity_sets.cichy2019(path), rdms)


def test_peterson_mat(tmp_path):
  similarities = np.round(10 - _rdms(1, 6)[0])
  path = tmp_path / "animals.mat"
  io.savemat(path, {"animalSimMatrix": similarities, "n": 3})
  np.testing.assert_array_equal(
      similarity_sets.peterson(path), 10 - similarities[None]
  )
  io.savemat(path, {"matrix": similarities})
  with pytest.raises(AlignetError, match="'sim' in its name, found matrix"):
    similarity_sets.peterson(path)


def test_peterson_fruits(tmp_path):
  # Number 10 comes after 2, and a pair may be there in both orders.
  rng = np.random.default_rng(0)
  ratings = {
      f"fruit_{i}.png,fruit_{j}.png": rng.integers(0, 11, 4).tolist()
      for i in range(1, 12)
      for j in range(i, 12)
  }
  ratings["fruit_10.png,fruit_2.png"] = [10.0, 10.0]
  path = tmp_path / "fruits.pickle"
  path.write_bytes(pickle.dumps(ratings, 2))
  (found,) = similarity_sets.peterson(path)
  assert found.shape == (11, 11) and (np.diag(found) == 0).all()
  both = [*ratings["fruit_2.png,fruit_10.png"], 10, 10]
  assert found[1, 9] == found[9, 1] == pytest.approx(10 - np.mean(both))
  assert found[0, 4] == pytest.approx(
      10 - np.mean(ratings["fruit_1.png,fruit_5.png"])
  )


def test_hebart(tmp_path):
  rdms = _rdms(2, 12)
  whole, halves = tmp_path / "RDM48_triplet.mat", tmp_path / "split.mat"
  io.savemat(whole, {"RDM48_triplet": rdms[0]})
  io.savemat(
      halves,
      {"RDM48_triplet_split1": rdms[0], "RDM48_triplet_split2": rdms[1]},
  )
  np.testing.assert_array_equal(similarity_sets.hebart2020(whole), rdms[:1])
  np.testing.assert_array_equal(similarity_sets.hebart2020(halves), rdms)


@pytest.mark.parametrize("subjects", [1, 3])
def test_mur(tmp_path, subjects):
  rdms = _rdms(subjects, 10)
  structs = np.zeros(
      (1, subjects), [("RDM", object), ("name", object), ("color", object)]
  )
  for i, rdm in enumerate(rdms):
    structs[0, i] = (rdm, f"subject {i}", [0, 0, 1])
  path = tmp_path / "92_behavRDMs.mat"
  io.savemat(path, {"rdms_behav_92": structs})
  np.testing.assert_array_equal(similarity_sets.mur2013(path), rdms)


@pytest.mark.parametrize("form", ["npy", "csv", "mat"])
@pytest.mark.parametrize("condensed", [False, True])
def test_ones_own(tmp_path, form, condensed):
  rdm = _rdms(1, 7)[0]
  array = distance.squareform(rdm)[None] if condensed else rdm
  path = tmp_path / f"r.{form}"
  if form == "npy":
    np.save(path, array)
  elif form == "csv":
    np.savetxt(path, array, delimiter=",", fmt="%.17g")
  else:
    io.savemat(path, {"mine": array})
  found = similarity_sets.read(path)
  np.testing.assert_allclose(found, rdm[None], rtol=1e-15)
  flipped = similarity_sets.read(path, similarities=True)
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
    similarity_sets.read(path)


@pytest.mark.parametrize("name", similarity_sets.READERS)
def test_missing_and_other_content(tmp_path, name):
  reader = similarity_sets.READERS[name]
  with pytest.raises(AlignetError, match="does not exist"):
    reader(tmp_path / "no.mat")
  io.savemat(tmp_path / "x.mat", {"other": np.eye(3)})
  with pytest.raises(AlignetError, match="expected .*found other"):
    reader(tmp_path / "x.mat")
  # Who, what, how many, in which form and order: each has its card.
  assert "Data card." in reader.__doc__ and "Order of stimuli" in reader.__doc__


def test_sets_that_are_not_sorted_by_name():
  for name, path in (
      ("mur2013", "92_behavRDMs.mat"),
      ("hebart2020", "RDM48_triplet.mat"),
      ("peterson", "fruits_mturkRESULTS_all.pickle"),
  ):
    with pytest.raises(AlignetError, match="not in the order of their file"):
      similarity_sets.check_order(name, path)
  for name, path in (
      ("king2019", "BEHAVIOR.mat"),
      ("cichy2019", "judgments_general.mat"),
      ("peterson", "animals.mat"),
      ("mine", "r.npy"),
  ):
    similarity_sets.check_order(name, path)
