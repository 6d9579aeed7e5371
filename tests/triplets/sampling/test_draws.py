from alignet.triplets.sampling import rules as draws
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import scipy.stats

_U = st.integers(0, 2**53 - 1).map(lambda x: x * 2.0**-53)


def test_uniforms_are_philox_by_counter():
  """Against numpy's own generator, drawn one after another."""
  stream = np.random.Philox(key=7).random_raw(50 * draws.DRAWS)
  expected = (stream >> np.uint64(11)).reshape(50, -1) / 2.0**53
  np.testing.assert_array_equal(draws.uniforms(7, 0, 50), expected)
  np.testing.assert_array_equal(draws.uniforms(7, 13, 31), expected[13:31])
  assert draws.uniforms(7, 5, 5).shape == (0, draws.DRAWS)


def test_uniforms_do_not_change():
  """What seed 0 gives; a change of this changes every sampled file."""
  np.testing.assert_array_equal(
      (draws.uniforms(0, 10**12, 10**12 + 1)[0, :3] * 2**53).astype(np.int64),
      [3061456641316386, 6124874927195058, 6008763493870520],
  )


def test_uniforms_look_uniform():
  u = draws.uniforms(1, 0, 20_000)
  assert u.min() >= 0 and u.max() < 1
  for column in u.T:
    assert scipy.stats.kstest(column, "uniform").pvalue > 1e-4
  correlation = np.corrcoef(u.T) - np.eye(draws.DRAWS)
  assert np.abs(correlation).max() < 0.04


@given(_U, st.integers(1, 2**31))
def test_integers_are_in_range(u, m):
  assert 0 <= draws.integers(np.array(u), m) < m


@pytest.mark.parametrize("m", [1, 2, 3, 1000, 2**31 - 1, 2**31, 2**52 + 1])
def test_largest_uniform_number_stays_in_range(m):
  assert draws.integers(np.array(1 - 2.0**-53), m) == m - 1
  assert draws.integers(np.array(0.0), m) == 0


@given(st.integers(3, 6), st.integers(1, 3))
def test_distinct_takes_each_choice_equally_often(m, count):
  """On a grid of all draws every ordered choice comes up once."""
  grids = np.meshgrid(
      *[(np.arange(m - c) + 0.5) / (m - c) for c in range(count)]
  )
  u = np.stack([g.ravel() for g in grids], axis=1)
  found = draws.different(u, m)
  assert found.min() >= 0 and found.max() < m
  assert all(len(set(row)) == count for row in found.tolist())
  assert len({tuple(row) for row in found.tolist()}) == len(u)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_skip_reaches_all_but_the_interval(start, length, rest):
  total = start + length + rest
  x = draws.skip(np.arange(total - length), start, length)
  assert x.tolist() == [*range(start), *range(start + length, total)]
