"""Pairs of triplets by hand and by a loop."""

import collections

from alignet.errors import AlignetError
from alignet.evals.scores.choices import triplet_rsa
import numpy as np
import pytest


def test_by_hand():
  found = triplet_rsa.pairs(np.array([[0, 1, 2], [1, 0, 3], [2, 0, 1]]))
  table = {
      tuple(pair): (kept, shown)
      for pair, kept, shown in zip(
          found.objects.tolist(), found.kept.tolist(), found.shown.tolist()
      )
  }
  assert table[0, 1] == (2 / 3, 3)
  assert table[0, 2] == (0.5, 2)
  assert table[1, 2] == (0.0, 2)
  assert table[0, 3] == table[1, 3] == (0.0, 1)
  assert (2, 3) not in table
  few = triplet_rsa.pairs(
      np.array([[0, 1, 2], [1, 0, 3], [2, 0, 1]]), minimum=3
  )
  assert few.objects.tolist() == [[0, 1]]


def test_against_a_loop():
  rng = np.random.default_rng(0)
  triplets = np.stack([rng.permutation(9)[:3] for _ in range(200)])
  kept, shown = collections.Counter(), collections.Counter()
  for i, j, k in triplets.tolist():
    kept[min(i, j), max(i, j)] += 1
    for a, b in ((i, j), (i, k), (j, k)):
      shown[min(a, b), max(a, b)] += 1
  found = triplet_rsa.pairs(triplets)
  for (a, b), share in zip(found.objects.tolist(), found.kept):
    assert share == pytest.approx(kept[a, b] / shown[a, b], abs=1e-12)
  assert len(found.kept) == len(shown) == 36


def test_refused():
  with pytest.raises(AlignetError, match="three\n?.*distinct"):
    triplet_rsa.pairs(np.array([[0, 0, 1]]))
  with pytest.raises(AlignetError, match="at least one"):
    triplet_rsa.pairs(np.zeros((0, 3), int))
