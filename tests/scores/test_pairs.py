"""Quick similarities are the slow ones."""

from alignet import similarity
from alignet.scores import pairs
import numpy as np
import pytest


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["cosine", "dot"])
@pytest.mark.parametrize("limit", [0, 2**29])
def test_equals_the_library(dtype, kind, limit, monkeypatch):
  monkeypatch.setattr(pairs, "_MAX_BYTES", limit)
  rng = np.random.default_rng(0)
  x = rng.normal(size=(50, 7)).astype(dtype)
  x[3] = 0
  triplets = rng.integers(0, 40, (300, 3))
  np.testing.assert_array_equal(
      pairs.similarities(x, triplets, kind),
      similarity.of_triplets(x, triplets, kind),
  )
