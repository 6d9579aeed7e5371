"""Rows that were multiplied in 16 bits are allowed their rounding, no more."""

from alignet.release import verify
from alignet.triplets import npz
from alignet.triplets import similarity
import ml_dtypes
import numpy as np
import pytest


@pytest.mark.parametrize("moved, status", [(0.0, "pass"), (20.0, "fail")])
def test_bfloat16(moved, status, tmp_path):
  rng = np.random.default_rng(0)
  # Nearly orthogonal long rows: small products, whose rounding is large.
  x = 4 * rng.normal(size=(40, 64)).astype(np.float32)
  rounded = x.astype(ml_dtypes.bfloat16).astype(np.float32)
  indices = np.stack([rng.permutation(40)[:3] for _ in range(200)])
  exact = similarity.of_triplets(x, indices)
  s = similarity.of_triplets(rounded, indices) + moved * rng.normal(
      size=(200, 3)
  ).astype(np.float32)
  assert np.abs(s - exact).max() > 1e-3 * np.abs(exact).max()
  path = tmp_path / "t.npz"
  names = np.array([f"{i}.jpg" for i in range(40)])
  npz.write(path, names, indices, s, meta={"store": "bfloat16"})
  (check,) = (
      check
      for check in verify.verify(path, features=x).checks
      if check.name == "recomputed"
  )
  assert check.status == status
