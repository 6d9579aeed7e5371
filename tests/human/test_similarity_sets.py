"""Readers of similarity sets, on files made in the published structures."""

import pickle

from alignet.errors import AlignetError
from alignet.human import similarity_sets
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


@pytest.mark.parametrize("name", similarity_sets.SETS)
def test_missing_and_other_content(tmp_path, name):
  reader = similarity_sets.SETS[name].read
  with pytest.raises(AlignetError, match="does not exist"):
    reader(tmp_path / "no.mat")
  io.savemat(tmp_path / "x.mat", {"other": np.eye(3)})
  with pytest.raises(AlignetError, match="expected .*found other"):
    reader(tmp_path / "x.mat")
  # Who, what, how many, in which form and order: each has its card.
  assert "Data card." in reader.__doc__ and "Order of stimuli" in reader.__doc__


def test_parts_of_a_set(tmp_path):
  sets = {"set1": _rdms(2, 9), "set2": _rdms(2, 7, 1)}
  path = tmp_path / "BEHAVIOR.mat"
  content = {
      name: {
          "pairwisedistances": np.stack([distance.squareform(r) for r in rdms])
      }
      for name, rdms in sets.items()
  }
  io.savemat(path, {"BEHAVIOR": content})
  for name, part in (
      ("king2019", "set1"),
      ("king2019/set1", "set1"),
      ("king2019/set2", "set2"),
  ):
    found = similarity_sets.load(name, path).rdms
    np.testing.assert_array_equal(found, sets[part])
  similarities = np.round(10 - _rdms(1, 6)[0])
  io.savemat(tmp_path / "a.mat", {"animalSimMatrix": similarities})
  found = similarity_sets.load("peterson/animals", tmp_path / "a.mat").rdms
  np.testing.assert_array_equal(found[0], 10 - similarities)


@pytest.mark.parametrize(
    "name, similarities, message",
    [
        ("king2019/set3", False, "has the parts set1, set2; found 'king2019/"),
        ("peterson/fruit", False, "animals, automobiles, fruits, furniture"),
        ("peterson_animals", False, "write peterson or peterson/PART"),
        ("king2019-set2/x", False, "would be read as a matrix of your own"),
        ("peterson/animals", True, "leave it out of --rdm_kind"),
    ],
)
def test_names_that_mean_another_set(name, similarities, message):
  with pytest.raises(AlignetError, match=message):
    similarity_sets.load(
        name, "a.mat", kind="similarity" if similarities else None
    )
  for good in ("mine", "mine/part", "cichy2019/shape", "mur2013"):
    similarity_sets.check_name(good)


def test_similarities_are_not_taken_for_dissimilarities(tmp_path):
  rdms = _rdms(3, 6)
  path = tmp_path / "r.npy"
  # Also where a pair is rated as high as a thing with itself.
  ratings = 10 - rdms
  ratings[0, 0, 1] = ratings[0, 1, 0] = 10
  np.save(path, ratings)
  with pytest.raises(
      AlignetError, match="largest value of most rows, .*similari"
  ):
    similarity_sets.load("mine", path, kind="distance")
  found = similarity_sets.load("mine", path, kind="similarity").rdms
  np.testing.assert_allclose(found, 10 - ratings)
  # A diagonal that nobody measured tells nothing, nor does one of noise.
  for own in (np.nan, rdms.mean(), np.random.default_rng(0).random(6)):
    rdms[:, range(6), range(6)] = own
    np.save(path, rdms)
    found = similarity_sets.load("mine", path, kind="distance").rdms
    np.testing.assert_array_equal(found, rdms)


def test_sets_that_are_not_sorted_by_name():
  for name, path in (
      ("mur2013", "92_behavRDMs.mat"),
      ("hebart2020", "RDM48_triplet.mat"),
      ("peterson/fruits", "fruits_mturkRESULTS_all.pickle"),
  ):
    with pytest.raises(AlignetError, match="not in the order of their file"):
      similarity_sets.check_order(name, path)
  for name, path in (
      ("king2019/set2", "BEHAVIOR.mat"),
      ("cichy2019", "judgments_general.mat"),
      ("peterson", "animals.mat"),
      ("mine", "r.npy"),
  ):
    similarity_sets.check_order(name, path)
