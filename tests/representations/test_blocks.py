from alignet import transforms
from alignet.errors import AlignetError
from alignet.representations import blocks
import numpy as np
import pytest
import threadpoolctl


def test_blocks_cover_all_rows_in_order_and_equal_the_formula():
  rng = np.random.default_rng(0)
  x = rng.standard_normal((blocks.ROWS + 5, 8)).astype(np.float16)
  w = rng.standard_normal((8, 3)).astype(np.float32)
  b = rng.standard_normal(3).astype(np.float32)
  t = transforms.Transform(weights=w, bias=b, mean=0.5, std=2.0)
  walk = list(blocks.transformed(x, t, workers=2))
  assert [(rows.start, rows.stop) for rows, _ in walk] == [
      (0, blocks.ROWS),
      (blocks.ROWS, blocks.ROWS + 5),
  ]
  z = np.concatenate([block for _, block in walk])
  assert z.dtype == np.float32
  expected = ((x.astype(np.float64) - 0.5) / 2) @ w.astype(np.float64) + b
  np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-5)


def test_no_transform_gives_the_features():
  x = np.arange(12, dtype=np.float16).reshape(4, 3)
  ((rows, block),) = blocks.transformed(x)
  assert (rows.start, rows.stop) == (0, 4)
  assert block.dtype == np.float32
  np.testing.assert_array_equal(block, x)


def test_threads_do_not_change_bytes():
  rng = np.random.default_rng(1)
  # Sizes at which a product by two BLAS threads differs in the last digit.
  x = rng.standard_normal((blocks.ROWS + 904, 1152)).astype(np.float32)
  w = rng.standard_normal((1152, 1152)).astype(np.float32)
  results = set()
  for blas, workers in ((1, 1), (2, 1), (2, 3)):
    with threadpoolctl.threadpool_limits(blas, user_api="blas"):
      walk = blocks.transformed(x, lambda a: a @ w, workers=workers)
      results.add(b"".join(z.tobytes() for _, z in walk))
  assert len(results) == 1


def test_an_error_says_where():
  x = np.ones((blocks.ROWS + 3, 2), np.float32)
  x[-1, 0] = np.nan
  with pytest.raises(AlignetError, match=f"rows from {blocks.ROWS} on.*row 2"):
    list(blocks.transformed(x, transforms.identity(2)))
