"""Response times against loops and SciPy."""

from alignet.errors import AlignetError
from alignet.scores import response_times
import numpy as np
import pytest
from scipy import stats


def test_z_scores_by_loops():
  rng = np.random.default_rng(0)
  people = rng.integers(0, 4, 60) * 7
  times = rng.lognormal(1 + people / 7, 0.5)
  times[3], times[4], times[5] = 0, np.nan, -1
  found = response_times.z_scores(times, people)
  usable = np.isfinite(times) & (times > 0)
  assert np.isnan(found[3:6]).all()
  for person in set(people.tolist()):
    rows = usable & (people == person)
    np.testing.assert_allclose(
        found[rows], stats.zscore(np.log(times[rows])), atol=1e-10
    )


def test_equal_times_tell_nothing():
  z = response_times.z_scores(np.array([0.3, 0.3, 0.3]), np.zeros(3, int))
  assert np.isnan(z).all()


def test_correlation_is_within_people():
  rng = np.random.default_rng(0)
  people = np.repeat([0, 1], 100)
  uncertainty = rng.random(200)
  # One person is slow throughout and saw what the model is sure about.
  uncertainty[:100] *= 0.1
  scale = np.where(people == 0, 100, 1)
  times = scale * np.exp(uncertainty + 0.01 * rng.normal(size=200))
  found = response_times.correlation(uncertainty, times, people)
  z = np.concatenate([stats.zscore(np.log(times[people == p])) for p in (0, 1)])
  wanted = stats.spearmanr(uncertainty, z).statistic
  assert found == pytest.approx(wanted, abs=1e-10)
  assert stats.spearmanr(uncertainty, times).statistic < 0 < found


def test_refused():
  with pytest.raises(AlignetError, match="found 2 usable times"):
    response_times.correlation(
        np.arange(4.0), np.array([1.0, 2.0, -1.0, 0.0]), np.zeros(4, int)
    )
