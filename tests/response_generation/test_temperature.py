import itertools
import math

from alignet.errors import AlignetError
from alignet.io import files
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
from response_generation import temperature
import scipy.special
import scipy.stats


def _entropy(s, t=1.0):
  p = scipy.special.softmax(s.astype(np.float64) / t, axis=1)
  return scipy.stats.entropy(p, axis=1).mean()


def _similarities(scale, n=500):
  rng = np.random.default_rng(0)
  return (scale * rng.standard_normal((n, 3))).astype(np.float32)


@pytest.mark.parametrize("t", [0.1, 1.0, 30.0])
def test_mean_entropy_equals_scipy(t):
  s = _similarities(5.0)
  assert temperature.mean_entropy(s, t) == pytest.approx(_entropy(s, t), 1e-12)


def test_blocks_do_not_matter(monkeypatch):
  s = _similarities(5.0)
  once = temperature.mean_entropy(s)
  monkeypatch.setattr(temperature, "_ROWS", 17)
  assert temperature.mean_entropy(s) == pytest.approx(once, rel=1e-12)


def test_order_in_a_row_does_not_matter_to_the_last_bit():
  s = _similarities(5.0)
  once = temperature.mean_entropy(s)
  for order in itertools.permutations(range(3)):
    assert temperature.mean_entropy(s[:, order]) == once


@settings(max_examples=30, deadline=None)
@given(
    log_scale=st.floats(-12, 12),
    target=st.floats(0.02, 1.09),
)
def test_match_meets_the_target(log_scale, target):
  s = _similarities(math.exp(log_scale))
  t = temperature.match(s, target)
  assert _entropy(s, t) == pytest.approx(target, abs=temperature.TOLERANCE)


def test_match_recovers_a_known_temperature():
  s = _similarities(100.0)
  assert temperature.match(s, _entropy(s, 42.0)) == pytest.approx(
      42.0, rel=1e-6
  )


@pytest.mark.parametrize("target", [0.0, 1.0986123, 1.2, -1.0, float("nan")])
def test_unreachable_target(target):
  with pytest.raises(AlignetError, match="no temperature gives"):
    temperature.match(_similarities(1.0), target)


def test_ties_bound_the_entropy_from_below():
  s = np.array([[1, 1, 0], [2, 1, 0]], np.float32)
  with pytest.raises(AlignetError, match="lies between 0.34657"):
    temperature.match(s, 0.3)
  t = temperature.match(s, 0.36)
  assert _entropy(s, t) == pytest.approx(0.36, abs=1e-8)


def test_equal_similarities_cannot_be_matched():
  with pytest.raises(AlignetError, match="no temperature gives"):
    temperature.match(np.ones((4, 3), np.float32), 0.9)


@pytest.mark.parametrize(
    "similarities, message",
    [
        (np.ones((2, 2), np.float32), "expected shape"),
        (np.ones((2, 3), np.int32), "expected floats"),
        (np.ones((0, 3), np.float32), "at least one row"),
        (np.full((2, 3), np.nan, np.float32), "row 0 holds a NaN"),
    ],
)
def test_bad_target_file(tmp_path, similarities, message):
  path = tmp_path / "a.npz"
  files.save_npz(path, {"similarities": similarities})
  with pytest.raises(AlignetError, match=message):
    temperature.target_entropy(path)
