"""Tests of alignet.human.judgments and inputs."""

import math

from alignet.errors import AlignetError
from alignet.human import judgments
import numpy as np
import pytest
from uncertainty_distillation import inputs


def _embedding(n=8, k=3, seed=0):
  return np.random.default_rng(seed).gamma(1, size=(n, k)).astype(np.float32)


def test_soft_point_targets():
  v = _embedding()
  got = judgments.from_embedding(v)
  assert len(got) == math.comb(8, 3) == len({*map(tuple, got.triplets)})
  for (i, j, k), p in zip(got.triplets, got.probabilities):
    e = np.exp([v[i] @ v[j], v[i] @ v[k], v[j] @ v[k]])
    np.testing.assert_allclose(p, e / e.sum(), rtol=1e-5)


def test_drawn_triplets_are_distinct_uniform_and_seeded():
  v = _embedding(12)
  concepts = np.array([1, 2, 5, 7, 11])
  draw = lambda seed: judgments.from_embedding(
      np.tile(v, (20, 1)), concepts=concepts, max_triplets=9, seed=seed
  ).triplets
  np.testing.assert_array_equal(draw(3), draw(3))
  assert (draw(3) != draw(4)).any()

  many = judgments.from_embedding(_embedding(40), max_triplets=9000).triplets
  assert len(many) == 9000
  assert (np.sort(many, axis=1)[:, :2] != np.sort(many, axis=1)[:, 1:]).all()
  # 27,000 places over 40 concepts: 675 each, standard deviation under 26.
  counts = np.bincount(many.ravel(), minlength=40)
  assert np.abs(counts - 675).max() < 130


def test_hard_choices_are_certain():
  got = judgments.from_choices(np.array([[0, 1, 2], [3, 0, 1]]), n_concepts=4)
  np.testing.assert_array_equal(got.probabilities, [[1, 0, 0], [1, 0, 0]])


def test_split_is_object_disjoint_and_counts():
  all_ = judgments.from_embedding(_embedding(9))
  held = np.zeros(9, bool)
  held[[1, 4, 5, 8]] = True
  train, out, dropped = judgments.split(all_, held)
  assert len(train) == math.comb(5, 3) and len(out) == math.comb(4, 3)
  assert dropped == math.comb(9, 3) - len(train) - len(out)
  assert not held[train.triplets].any() and held[out.triplets].all()


def test_folds_are_disjoint_and_cover():
  folds = judgments.folds(np.arange(11), 4, seed=0)
  assert sorted(np.concatenate(folds)) == list(range(11))
  assert sorted(map(len, folds)) == [2, 3, 3, 3]


_T = np.array([[0, 1, 2], [2, 3, 4], [1, 0, 4]])
_P = np.array([[0.5, 0.25, 0.25]] * 3)


def _changed(array, row, value):
  array = array.copy()
  array[row] = value
  return array


@pytest.mark.parametrize(
    "triplets, p, message",
    [
        (_changed(_T, 1, [2, 3, 5]), None, r"row 1 is \[2, 3, 5\]; .*0 to 4"),
        (_changed(_T, 2, [2, -1, 4]), None, "row 2 "),
        (_changed(_T, 2, [4, 0, 4]), None, "row 2 .*distinct"),
        (_T, _changed(_P, 2, [0.5, 0.5, 0.5]), "row 2 .*sum"),
        (_T, _changed(_P, 1, [1.5, -0.5, 0]), "row 1 "),
        (_T, _changed(_P, 0, [np.nan, 0.5, 0.5]), "row 0 .*NaN"),
        (_T, _P[:2], "expected 3 rows.*found 2"),
        (_T[:, :2], None, "shape"),
        (_T[:0], None, "at least one row"),
        (_T.astype(float), None, "integers"),
    ],
)
def test_bad_judgments_name_the_row(triplets, p, message):
  with pytest.raises(AlignetError, match=message):
    judgments.from_choices(triplets, p, n_concepts=5)


def test_bad_embedding():
  with pytest.raises(AlignetError, match="embedding: row 5 .*NaN"):
    judgments.from_embedding(_changed(_embedding(), (5, 1), np.nan))
  with pytest.raises(AlignetError, match="at least 3 concepts, found 2"):
    judgments.from_embedding(_embedding(), concepts=[3, 4])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"concepts": np.array([0, 1, 2, 8, 4])}, "row 3 is 8; .*0 to 7"),
        ({"concepts": np.array([0, 1])}, r"concepts: expected shape \(5\)"),
        (
            {"features": _changed(np.zeros((5, 2)), (4, 1), np.inf)},
            "features: row 4 holds",
        ),
        ({"concepts": None}, "expected 8 rows, one a concept, found 5"),
        ({"features": np.zeros(5, np.float32)}, "features: expected shape"),
        ({"features": np.zeros((5, 2), np.int32)}, "features: expected floats"),
    ],
)
def test_bad_inputs(change, message):
  given = {
      "features": np.zeros((5, 2), np.float32),
      "embedding": _embedding(),
      "concepts": np.arange(5),
  }
  with pytest.raises(AlignetError, match=message):
    inputs.make(**(given | change))


def test_concepts_are_counted_from_the_concept_file_without_an_embedding():
  data = inputs.make(
      features=np.zeros((4, 2), np.float32),
      concepts=np.array([6, 0, 0, 3]),
      triplets=np.array([[0, 3, 6]]),
  )
  assert data.judgments.n_concepts == 7
