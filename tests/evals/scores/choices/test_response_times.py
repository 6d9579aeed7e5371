"""Response times against loops and SciPy."""

from alignet.evals.scores.choices import response_times
import numpy as np
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
