import os
import pathlib
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from response_generation import dots


def _lanes(store, triplets):
  """The definition: products in float32, sixteen sums, halves added."""
  x = store.astype(np.float32)
  out = np.empty((len(triplets), 3), np.float32)
  for row, triplet in enumerate(triplets):
    for pair, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
      products = x[triplet[a]] * x[triplet[b]]
      whole = len(products) // 16 * 16
      sums = np.zeros(16, np.float32)
      for block in products[:whole].reshape(-1, 16):
        sums += block
      while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
      total = sums[0]
      for product in products[whole:]:
        total += product
      out[row, pair] = total
  return out


@pytest.mark.parametrize(
    ("dtype", "d"),
    [
        (np.float32, 1152),
        (np.float32, 37),
        (np.float32, 5),
        (np.float16, 96),
        (ml_dtypes.bfloat16, 96),
    ],
)
def test_bit_for_bit(dtype, d):
  rng = np.random.default_rng(0)
  x = (
      rng.standard_normal((40, d)) * 10.0 ** rng.integers(-9, 4, (40, 1))
  ).astype(dtype)
  triplets = rng.integers(0, 40, (200, 3)).astype(np.int32)
  out = np.empty((200, 3), np.float32)
  dots.of_triplets(x, triplets, out)
  np.testing.assert_array_equal(out, _lanes(x, triplets))
  exact = x.astype(np.float64)
  wanted = np.stack(
      [
          (exact[triplets[:, a]] * exact[triplets[:, b]]).sum(1)
          for a, b in ((0, 1), (0, 2), (1, 2))
      ],
      axis=1,
  )
  scale = np.linalg.norm(exact, axis=1)[triplets].max(1, keepdims=True) ** 2
  assert np.abs((out - wanted) / scale).max() < 1e-6


def test_rows_that_do_not_fit():
  out = np.empty((1, 3), np.float32)
  triplets = np.array([[0, 1, 2]], np.int32)
  with pytest.raises(ValueError, match="multiple of 16"):
    dots.of_triplets(np.zeros((3, 17), np.float16), triplets, out)
  with pytest.raises(ValueError, match="one after another"):
    dots.of_triplets(np.zeros((3, 32), np.float32)[:, ::2], triplets, out)


_SUMS = """
import hashlib, sys
import ml_dtypes
import numpy as np
from response_generation import dots
rng = np.random.default_rng(0)
for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
  store = rng.normal(size=(50, 70 if dtype == np.float32 else 64)).astype(dtype)
  out = np.empty((100, 3), np.float32)
  dots.of_triplets(store, rng.integers(0, 50, (100, 3)), out)
  print(hashlib.sha256(out).hexdigest())
"""


@pytest.mark.parametrize(
    "setting",
    [
        {"NUMBA_CPU_NAME": "generic"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        {"NUMBA_DISABLE_JIT": "1"},
    ],
)
def test_numbas_own_settings_give_the_same_bits(setting, tmp_path):
  """Of mixed clusters, and of people who look for a mistake."""
  root = pathlib.Path(dots.__file__).parents[1]
  common = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
  run = lambda env: subprocess.run(
      [sys.executable, "-c", _SUMS],
      env=os.environ | common | env,
      capture_output=True,
      text=True,
      check=True,
  ).stdout
  assert run(setting) == run({})
