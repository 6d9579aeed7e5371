"""What two models disagree on, against searching everything."""

import itertools
import time

from alignet.collect import mine
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals.model import Model
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial import distance
from scipy.special import softmax
from scipy.stats import zscore


def _model(features, kind="cosine"):
  return Model(
      features=np.asarray(features),
      filenames=np.array([f"{i}.png" for i in range(len(features))]),
      labels={},
      kind=kind,
  )


def _labels(ids):
  return Labels(ids=np.array(ids), names=np.array(list("abcdefgh")))


def _problem(sizes=(7, 9), seed=0):
  rng = np.random.default_rng(seed)
  ids = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
  a, b = (_model(rng.normal(size=(len(ids), 4))) for _ in range(2))
  return a, b, _labels(ids)


def _reference(a, b, images):
  """{pair: (similarities, z-scores)} of one class, by SciPy."""
  pairs = list(itertools.combinations(images.tolist(), 2))
  s = np.array(
      [
          [1 - distance.cosine(*m.features[list(pair)]) for pair in pairs]
          for m in (a, b)
      ]
  )
  return {
      p: (s[:, i], z) for i, (p, z) in enumerate(zip(pairs, zscore(s, 1).T))
  }


def test_many_triplets_of_few_images_take_no_search_each():
  """34,220 of 60 images: nearly all are picked once all images are used."""
  rng = np.random.default_rng(0)
  shown = np.array(list(itertools.combinations(range(60), 3)))
  answers = [rng.normal(size=shown.shape) for _ in range(2)]
  began = time.process_time()
  found = mine.triplets(shown, answers[0], shown, answers[1], n=5000)
  assert time.process_time() - began < 5
  assert len(set(found.rows.tolist())) == 5000
  first = found.images[: len(np.unique(found.images[:20])) // 3]
  assert len(np.unique(first)) == first.size
  assert (np.diff(found.divergence[20:]) <= 0).all()


def test_the_largest_differences_of_each_class():
  a, b, labels = _problem()
  found = mine.pairs(a, b, labels, n=1)
  assert found.classes.tolist() == [0, 0, 1, 1] and found.left_out == ()
  for number in (0, 1):
    reference = _reference(a, b, np.flatnonzero(labels.ids == number))
    ranked = sorted(reference, key=lambda p: reference[p][1] @ [-1, 1])
    rows = np.flatnonzero(found.classes == number)
    first, second = (tuple(found.images[r].tolist()) for r in rows)
    assert first == ranked[0]
    # The other direction, among pairs without the images of the first.
    others = [p for p in reversed(ranked) if not set(p) & set(first)]
    assert second == others[0]
    for row, pair in zip(rows, (first, second)):
      s, z = reference[pair]
      np.testing.assert_allclose(found.similarities[row], s, atol=1e-12)
      np.testing.assert_allclose(found.z[row], z, atol=1e-10)


@given(st.integers(3, 12), st.integers(1, 5), st.integers(0, 999))
def test_directions_and_distinct_images(size, n, seed):
  a, b, labels = _problem((size,), seed)
  found = mine.pairs(a, b, labels, n=n)
  difference = found.z[:, 0] - found.z[:, 1]
  up = int((difference > 0).sum())
  assert (difference[:up] > 0).all() and (difference[up:] < 0).all()
  assert max(up, len(found) - up) <= n
  # Fewer only where the class has no more pairs of that sign.
  all_z = [z @ [1, -1] for _, z in _reference(a, b, np.arange(size)).values()]
  assert up == min(n, sum(d > 0 for d in all_z))
  assert len(found) - up == min(n, sum(d < 0 for d in all_z))
  assert len({tuple(p) for p in found.images.tolist()}) == len(found)
  if 4 * n <= size:
    spread = len(set(found.images.ravel().tolist()))
    assert spread >= min(2 * len(found), size - 3)


def test_scale_and_offset_of_a_model_do_not_matter():
  a, b, labels = _problem()
  dots = [_model(m.features, "dot") for m in (a, b)]
  scaled = [_model(k * m.features, "dot") for k, m in zip((1, 30), (a, b))]
  one, two = (mine.pairs(*m, labels, n=2) for m in (dots, scaled))
  np.testing.assert_array_equal(one.images, two.images)
  np.testing.assert_allclose(one.z, two.z, atol=1e-10)


def test_classes_that_say_nothing_are_left_out():
  a, b, _ = _problem((9,))
  b = _model(np.where(np.arange(9)[:, None] < 4, 1.0, b.features))
  found = mine.pairs(a, b, _labels([0, 0, 0, 0, 1, 1, 2, 2, 2]), n=1)
  assert found.left_out == (0, 1) and set(found.classes) == {2}
  # Without a label, images are in no class.
  with pytest.raises(AlignetError, match="no class has three images"):
    mine.pairs(a, b, _labels([0, 0, 0, 0, 1, 1, -1, -1, -1]))


def test_a_large_class_is_drawn_from_by_seed():
  a, b, labels = _problem((40, 5))
  found = [
      mine.pairs(a, b, labels, n=3, max_images=10, seed=seed).images.tolist()
      for seed in (0, 0, 1)
  ]
  assert found[0] == found[1] != found[2]


def test_pairs_that_cannot_be():
  a, b, labels = _problem()
  with pytest.raises(AlignetError, match="n: expected at least 1"):
    mine.pairs(a, b, labels, n=0)
  with pytest.raises(AlignetError, match="16, 15 and 16"):
    mine.pairs(a, _model(b.features[1:]), labels)


def _answers(n=60, images=30, seed=0):
  """The same triplets, answered twice, in other orders of rows and images."""
  rng = np.random.default_rng(seed)
  triplets = np.stack([rng.permutation(images)[:3] for _ in range(n)])
  grams = [m @ m.T for m in rng.normal(size=(2, images, 5))]
  rows = rng.permutation(n)
  other = np.stack([rng.permutation(t) for t in triplets[rows]])
  return [
      (
          t,
          np.stack(
              [g[t[:, i], t[:, j]] for i, j in ((0, 1), (0, 2), (1, 2))], 1
          ),
      )
      for g, t in zip(grams, (triplets, other))
  ], grams


def test_triplets_by_divergence():
  (one, two), grams = _answers()
  found = mine.triplets(*one, *two, n=5)
  reference = []
  for row, triplet in enumerate(np.sort(one[0], axis=1).tolist()):
    i, j, k = triplet
    p, q = (softmax([g[i, j], g[i, k], g[j, k]]) for g in grams)
    if p.argmax() != q.argmax():
      js = distance.jensenshannon(p, q) ** 2
      odd = (2 - int(p.argmax()), 2 - int(q.argmax()))
      reference.append((-js, row, triplet, odd))
  used, expected = set(), []
  for entry in sorted(reference):
    if not used & set(entry[2]):
      used |= set(entry[2])
      expected.append(entry)
  assert len(expected) >= 5
  for k, (js, row, triplet, odd) in enumerate(expected[:5]):
    assert found.rows[k] == row and found.images[k].tolist() == triplet
    assert tuple(found.odd[k].tolist()) == odd
    assert sorted(two[0][found.baseline_rows[k]].tolist()) == triplet
    np.testing.assert_allclose(found.divergence[k], -js, atol=1e-10)


def test_images_come_again_where_there_are_no_others():
  (one, two), _ = _answers(images=6)
  found = mine.triplets(*one, *two, n=1000)
  i, counts = np.unique(found.images, return_counts=True)
  assert len(i) == 6 and counts.max() > 1
  assert len(np.unique(found.images, axis=0)) == len(found)


def test_triplets_that_cannot_be():
  (one, two), _ = _answers()
  with pytest.raises(AlignetError, match="same odd one in all 60"):
    mine.triplets(*one, *one)
  with pytest.raises(AlignetError, match="no triplet in common"):
    mine.triplets(*one, two[0] + 100, two[1])
  with pytest.raises(AlignetError, match="n: expected at least 1"):
    mine.triplets(*one, *two, n=0)
