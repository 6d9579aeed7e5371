"""Tests of alignet.transforms."""

import json

from alignet import transforms
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
import numpy as np
import pytest


def _random(seed=0, d=5, width=4, **kwargs):
  rng = np.random.default_rng(seed)
  return transforms.Transform(
      weights=rng.normal(size=(d, width)).astype(np.float32),
      bias=rng.normal(size=width).astype(np.float32),
      **kwargs,
  )


def _features(n=23, d=5, seed=1):
  return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 8192])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_applies_the_formula(rows, dtype):
  transform = _random(mean=0.3, std=2.0)
  x = _features().astype(dtype)
  got = transform(x, rows=rows)
  expected = (x.astype(np.float64) - 0.3) / 2 @ transform.weights.astype(
      np.float64
  ) + transform.bias
  assert got.dtype == np.float32
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_l2_gives_unit_rows_and_leaves_zero_rows():
  x = _features()
  x[3] = 0
  got = transforms.map_input(x, "l2")
  norms = np.linalg.norm(got, axis=1)
  assert norms[3] == 0
  np.testing.assert_allclose(np.delete(norms, 3), 1, rtol=1e-6)


def test_sqrt_and_its_refusal_of_negative_numbers():
  x = np.abs(_features())
  identity = transforms.identity(5)
  rooted = transforms.Transform(
      weights=identity.weights, bias=identity.bias, input_map="sqrt"
  )
  np.testing.assert_allclose(rooted(x) ** 2, x, rtol=1e-5)
  x[9, 2] = -1e-3
  with pytest.raises(AlignetError, match="row 9 .*sqrt"):
    rooted(x, rows=4)


def test_identity_changes_nothing():
  x = _features()
  np.testing.assert_array_equal(transforms.identity(5)(x), x)


def test_round_trip(tmp_path):
  transform = _random(
      mean=0.1, std=0.7, input_map="l2", meta={"seed": 3, "nested": {"a": [1]}}
  )
  path = tmp_path / "transform.npz"
  transforms.save(path, transform)
  loaded = transforms.load(path)
  for key in ("weights", "bias", "mean", "std"):
    np.testing.assert_array_equal(getattr(loaded, key), getattr(transform, key))
  assert loaded.input_map == "l2"
  assert loaded.meta == {"seed": 3, "nested": {"a": [1]}}
  x = _features()
  np.testing.assert_array_equal(loaded(x), transform(x))


def test_per_dimension_standardisation_is_folded(tmp_path):
  x = _features()
  transform = _random(mean=x.mean(axis=0), std=x.std(axis=0), input_map="l2")
  path = tmp_path / "transform.npz"
  transforms.save(path, transform)
  with np.load(path) as arrays:
    assert arrays["mean"].shape == arrays["std"].shape == ()
    assert arrays["mean"] == 0 and arrays["std"] == 1
    assert arrays["weights"].dtype == np.float32
  np.testing.assert_allclose(
      transforms.load(path)(x), transform(x), rtol=1e-4, atol=1e-5
  )


def test_published_glocal_layout_loads(tmp_path):
  rng = np.random.default_rng(0)
  weights, bias = rng.normal(size=(5, 5)), rng.normal(size=5)
  np.savez(
      tmp_path / "t.npz",
      weights=weights,
      bias=bias,
      mean=np.float32(0.4),
      std=np.array([1.5]),
  )
  transform = transforms.load(tmp_path / "t.npz")
  assert transform.input_map == "none" and not transform.meta
  x = _features()
  np.testing.assert_allclose(
      transform(x), (x - 0.4) / 1.5 @ weights + bias, rtol=1e-4, atol=1e-5
  )


def test_features_of_another_width_are_refused():
  with pytest.raises(AlignetError, match=r"\(any, 5\).*found \(23, 6\)"):
    _random()(_features(d=6))


def test_nan_in_features_names_the_row():
  x = _features()
  x[17, 0] = np.nan
  with pytest.raises(AlignetError, match="row 17 "):
    _random()(x, rows=5)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bias": np.zeros(3, np.float32)}, "bias: expected shape"),
        ({"weights": np.zeros(4, np.float32)}, "weights: expected shape"),
        ({"weights": np.full((5, 4), np.nan)}, "weights: row 0 .*NaN"),
        ({"mean": np.zeros(4)}, "mean: expected shape"),
        ({"mean": np.nan}, "mean and std"),
        ({"std": 0.0}, "std: expected positive"),
        ({"input_map": "log"}, "none, sqrt, l2, found 'log'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
  parts = {
      "weights": np.zeros((5, 4), np.float32),
      "bias": np.zeros(4, np.float32),
  }
  with pytest.raises(AlignetError, match=message):
    transforms.Transform(**(parts | change))


def test_bad_files_are_one_clear_error(tmp_path):
  path = tmp_path / "transform.npz"
  with pytest.raises(AlignetError, match="does not exist"):
    transforms.load(path)
  transforms.save(path, _random())
  with pytest.raises(OutputExistsError):
    transforms.save(path, _random())
  transforms.save(path, _random(), overwrite=True)

  truncated = tmp_path / "truncated.npz"
  truncated.write_bytes(path.read_bytes()[:-40])
  with pytest.raises(AlignetError, match="truncated"):
    transforms.load(truncated)

  with np.load(path) as arrays:
    arrays = dict(arrays)
  without = {k: v for k, v in arrays.items() if k != "std"}
  np.savez(tmp_path / "wrong.npz", **without)
  with pytest.raises(AlignetError, match="lacks the key std"):
    transforms.load(tmp_path / "wrong.npz")

  for meta in ("no json", json.dumps([1])):
    np.savez(tmp_path / "meta.npz", **(arrays | {"meta": np.array(meta)}))
    with pytest.raises(AlignetError, match="meta in"):
      transforms.load(tmp_path / "meta.npz")

  nan = arrays | {"bias": np.full(4, np.nan, np.float32)}
  np.savez(tmp_path / "nan.npz", **nan)
  with pytest.raises(AlignetError, match="nan.npz holds no valid .*bias"):
    transforms.load(tmp_path / "nan.npz")


def test_a_file_without_bias(tmp_path):
  """As some of gLocal's published transforms are."""
  weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
  np.savez(tmp_path / "t.npz", weights=weights, mean=0.5, std=2.0)
  x = np.ones((2, 4), np.float32)
  found = transforms.load(tmp_path / "t.npz")(x)
  np.testing.assert_allclose(found, (x - 0.5) / 2 @ weights, rtol=1e-6)
