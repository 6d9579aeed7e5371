"""Likelihood, Brier, calibration and temperature against written formulas."""

from alignet.errors import AlignetError
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics


def _softmax(s, t=1.0):
  e = np.exp(np.asarray(s, np.float64) / t)
  return e / e.sum(axis=1, keepdims=True)


@pytest.fixture(name="s")
def _s():
  return np.random.default_rng(0).normal(size=(200, 3))


@pytest.fixture(name="pi")
def _pi():
  return np.random.default_rng(1).dirichlet([1, 1, 1], 200)


def test_published_figures_of_vice(test_data):
  p = np.load(test_data / "things" / "vice_triplet_probabilities.npy")
  log_p = np.log(p.astype(np.float64))
  assert odd_one_out.accuracy(p).mean() == pytest.approx(0.63805, abs=1e-9)
  assert probabilistic.nll(log_p).mean() == pytest.approx(0.8334, abs=5e-5)
  assert probabilistic.entropy(log_p).mean() == pytest.approx(0.794, abs=5e-4)
  assert probabilistic.brier(log_p).mean() == pytest.approx(0.4847, abs=5e-5)
  # Made of probabilities, near calibration: close to temperature 1.
  assert 0.9 < probabilistic.fit_temperature(log_p) < 1.2


def test_scores_against_scikit_learn_and_scipy(s, pi):
  p = _softmax(s, 0.7)
  log_p = probabilistic.log_probabilities(s, 0.7)
  choice = np.zeros(len(p), int)
  close = dict(abs=1e-10)
  assert probabilistic.nll(log_p).mean() == pytest.approx(
      metrics.log_loss(choice, p, labels=[0, 1, 2]), **close
  )
  assert probabilistic.brier(log_p).mean() == pytest.approx(
      metrics.brier_score_loss(
          choice, p, labels=[0, 1, 2], scale_by_half=False
      ),
      **close,
  )
  rows = dict(rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(
      probabilistic.kl_divergence(log_p, pi), stats.entropy(pi.T, p.T), **rows
  )
  np.testing.assert_allclose(
      probabilistic.entropy(log_p), stats.entropy(p.T), **rows
  )
  np.testing.assert_allclose(
      probabilistic.cross_entropy(log_p, pi),
      stats.entropy(pi.T, p.T) + stats.entropy(pi.T),
      **rows,
  )
  # A person's choice drawn from pi, as scikit-learn weighs it.
  drawn = np.repeat(np.arange(3)[None], len(p), axis=0).ravel()
  weighed = metrics.log_loss(
      drawn, np.repeat(p, 3, axis=0), sample_weight=pi.ravel()
  )
  assert probabilistic.cross_entropy(log_p, pi).mean() == pytest.approx(
      weighed, **close
  )


def test_scores_against_formulas(s, pi):
  p = _softmax(s, 0.7)
  log_p = probabilistic.log_probabilities(s, 0.7)
  close = dict(rtol=1e-12, atol=1e-14)
  np.testing.assert_allclose(log_p, np.log(p), **close)
  np.testing.assert_allclose(
      probabilistic.nll(log_p), -np.log(p[:, 0]), **close
  )
  ce = -(pi * np.log(p)).sum(1)
  np.testing.assert_allclose(
      probabilistic.cross_entropy(log_p, pi), ce, **close
  )
  np.testing.assert_allclose(
      probabilistic.kl_divergence(log_p, pi),
      ce + (pi * np.log(pi)).sum(1),
      **close,
  )
  np.testing.assert_allclose(
      probabilistic.entropy(log_p), -(p * np.log(p)).sum(1), **close
  )
  np.testing.assert_allclose(
      probabilistic.brier(log_p, pi), ((p - pi) ** 2).sum(1), **close
  )
  np.testing.assert_allclose(
      probabilistic.brier(log_p), ((p - [1, 0, 0]) ** 2).sum(1), **close
  )


def test_temperature_a_row(s):
  t = np.random.default_rng(2).uniform(0.1, 3, len(s))
  np.testing.assert_allclose(
      probabilistic.log_probabilities(s, t),
      np.log(_softmax(s, t[:, None])),
      rtol=1e-10,
      atol=1e-14,
  )


def test_zero_probabilities():
  with np.errstate(divide="ignore"):
    log_p = np.log([[1.0, 0, 0], [0, 1, 0]])
  np.testing.assert_array_equal(probabilistic.nll(log_p), [0, np.inf])
  np.testing.assert_array_equal(probabilistic.entropy(log_p), [0, 0])
  np.testing.assert_array_equal(probabilistic.brier(log_p), [0, 2])
  pi = np.array([[1.0, 0, 0], [0, 1, 0]])
  np.testing.assert_array_equal(probabilistic.kl_divergence(log_p, pi), [0, 0])


def test_extreme_similarities_stay_finite():
  s = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e300, 0, 0]])
  log_p = probabilistic.log_probabilities(s)
  np.testing.assert_allclose(probabilistic.nll(log_p), [0, 2e4, 0])


def test_refuses_what_is_no_log_probability(s):
  with pytest.raises(AlignetError, match=r"pass log_probabilities"):
    probabilistic.nll(s)
  with pytest.raises(AlignetError, match=r"pass log_probabilities"):
    probabilistic.nll(np.full((2, 3), np.nan))
  for temperature in (0, -1, np.nan):
    with pytest.raises(AlignetError, match="positive"):
      probabilistic.log_probabilities(s, temperature)
  with pytest.raises(AlignetError, match="one number or 200"):
    probabilistic.log_probabilities(s, np.ones(3))


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_calibrated_choices_have_small_error(binning):
  """Choices drawn from the probabilities: the error is sampling noise only."""
  rng = np.random.default_rng(0)
  p = rng.dirichlet([1, 1, 1], 40_000)
  # The choice goes to column 0.
  choice = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)
  columns = (choice[:, None] + np.arange(3)) % 3
  p = np.take_along_axis(p, columns, axis=1)
  curve = probabilistic.calibration_curve(np.log(p), binning=binning)
  assert curve.expected_calibration_error < 0.01
  np.testing.assert_allclose(curve.outcome, curve.confidence, atol=0.05)
  # Sharpened probabilities are over-confident.
  sharp = probabilistic.log_probabilities(np.log(p), 0.4)
  curve = probabilistic.calibration_curve(sharp, binning=binning)
  assert curve.expected_calibration_error > 0.1
  assert (curve.outcome < curve.confidence).all()


def test_calibration_by_hand():
  p = np.array(
      [
          [0.5, 0.25, 0.25],
          [0.2, 0.6, 0.2],
          [0.9, 0.05, 0.05],
          [0.45, 0.45, 0.1],
          [0.05, 0.9, 0.05],
      ]
  )
  curve = probabilistic.calibration_curve(np.log(p), bins=2)
  np.testing.assert_array_equal(curve.count, [2, 3])
  np.testing.assert_allclose(curve.confidence, [0.475, 0.8])
  np.testing.assert_allclose(curve.outcome, [0.75, 1 / 3])
  assert curve.expected_calibration_error == pytest.approx(
      (2 * 0.275 + 3 * (0.8 - 1 / 3)) / 5
  )
  pi = np.array([[0.1, 0.6, 0.3]] * 5)
  curve = probabilistic.calibration_curve(np.log(p), pi, bins=2)
  np.testing.assert_allclose(
      curve.outcome, [(0.1 + 0.35) / 2, (0.6 + 0.1 + 0.6) / 3]
  )


def test_equal_mass_bins(s):
  log_p = probabilistic.log_probabilities(s)
  curve = probabilistic.calibration_curve(log_p, bins=8, binning="mass")
  np.testing.assert_array_equal(curve.count, [25] * 8)
  order = np.random.default_rng(0).permutation(len(s))
  again = probabilistic.calibration_curve(log_p[order], bins=8, binning="mass")
  np.testing.assert_allclose(again.outcome, curve.outcome)
  same = np.log(np.full((7, 3), 1 / 3))
  curve = probabilistic.calibration_curve(same, bins=4, binning="mass")
  np.testing.assert_array_equal(curve.count, [7])
  with pytest.raises(AlignetError, match="'width' or 'mass'"):
    probabilistic.calibration_curve(log_p, binning="other")


@pytest.mark.parametrize("scale", [1e-30, 1e-4, 1.0, 1e5, 1e30])
@pytest.mark.parametrize("t", [0.01, 1.0, 40.0])
def test_temperature_is_recovered_at_any_scale(s, scale, t):
  pi = _softmax(s, t)
  fitted = probabilistic.fit_temperature(s * scale, pi)
  assert fitted / scale == pytest.approx(t, rel=1e-6)


def _choices(n=2000):
  """Similarities whose column 0 was drawn at temperature .5."""
  rng = np.random.default_rng(3)
  s = rng.normal(size=(n, 3))
  draw = (rng.random((n, 1)) > _softmax(s, 0.5).cumsum(axis=1)[:, :2]).sum(1)
  return np.take_along_axis(s, (draw[:, None] + np.arange(3)) % 3, axis=1)


def test_temperature_minimises_the_nll():
  s = _choices()
  fitted = probabilistic.fit_temperature(s)
  assert fitted == pytest.approx(0.5, rel=0.1)

  def nll(t):
    return -np.log(_softmax(s, t)[:, 0]).mean()

  grid = np.exp(np.linspace(np.log(0.05), np.log(50), 2001))
  losses = [nll(t) for t in grid]
  assert nll(fitted) <= min(losses)
  assert fitted == pytest.approx(grid[np.argmin(losses)], rel=0.01)


@hypothesis.given(
    st.integers(0, 2**32 - 1), st.floats(-8, 8), st.floats(-100, 100)
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_temperature_follows_scale_and_ignores_shift(seed, power, shift):
  rng = np.random.default_rng(seed)
  # Rows of very different scales.
  s = rng.normal(size=(30, 3)) * np.exp(rng.normal(size=(30, 1)) * 2)
  pi = rng.dirichlet([1, 1, 1], 30) * 0.9
  pi[:, 0] += 0.1
  base = probabilistic.fit_temperature(s, pi)
  moved = probabilistic.fit_temperature((s + shift) * 10.0**power, pi)
  hypothesis.assume(base < 1e4)
  assert moved == pytest.approx(base * 10.0**power, rel=1e-4)


def test_temperature_without_a_minimum():
  right = np.array([[2.0, 1, 0]] * 8)
  wrong = right[:, ::-1]
  assert probabilistic.fit_temperature(np.ones((4, 3))) == 1
  # Never right: uniform is the best that T can do.
  t = probabilistic.fit_temperature(wrong)
  np.testing.assert_allclose(_softmax(wrong, t), 1 / 3, atol=1e-5)
  # Always right: as sure as eight right choices allow.
  t = probabilistic.fit_temperature(right)
  assert -np.log(_softmax(right, t)[0, 0]) == pytest.approx(np.log(10 / 9))
  more = np.repeat(right, 100, axis=0)
  assert 0 < probabilistic.fit_temperature(more) < t
  # Ties, the rest right: the limit of the loss is above 0.
  tied = np.concatenate([right, [[1.0, 1, 0]]])
  t = probabilistic.fit_temperature(tied)
  loss = -np.log(_softmax(tied, t)[:, 0]).mean()
  assert loss == pytest.approx(np.log(2) / 9 + np.log(11 / 10))
  # The difference that decides is far smaller than the others.
  close = np.array([[0, -1e-9, -1.0]] * 8)
  assert probabilistic.fit_temperature(close) < 1e-9


def test_cross_fitting_uses_the_other_half_only():
  s = _choices(400)
  t = probabilistic.cross_fitted_temperatures(s, rng=np.random.default_rng(0))
  values, counts = np.unique(t, return_counts=True)
  np.testing.assert_array_equal(counts, [200, 200])
  for value in values:
    other = s[t != value]
    assert probabilistic.fit_temperature(other) == pytest.approx(value)
  again = probabilistic.cross_fitted_temperatures(
      s, rng=np.random.default_rng(0)
  )
  np.testing.assert_array_equal(again, t)
  with pytest.raises(AlignetError, match="2 folds and 1 row"):
    probabilistic.cross_fitted_temperatures(s[:1], rng=np.random.default_rng(0))


def test_each_person_gets_a_temperature():
  rng = np.random.default_rng(0)
  n, truth = 4000, np.array([0.5, 2.0, 8.0])
  people = np.repeat([4, 9, 11], n)
  z = rng.normal(size=(3 * n, 3)) * 4
  p = np.exp(probabilistic.log_probabilities(z, np.repeat(truth, n)))
  choice = (rng.random((3 * n, 1)) > p.cumsum(axis=1)).sum(axis=1)
  # Odd one last: the pair that was chosen moves to column 0.
  s = np.take_along_axis(z, (choice[:, None] + [0, 1, 2]) % 3, axis=1)
  found = probabilistic.group_temperatures(
      s, people, rng=np.random.default_rng(1)
  )
  for person, t in zip((4, 9, 11), truth):
    rows = found[people == person]
    assert len(np.unique(rows)) == 2
    np.testing.assert_allclose(rows, t, rtol=0.12)
  pooled = probabilistic.cross_fitted_temperatures(
      s, rng=np.random.default_rng(1)
  )
  own, shared = (
      probabilistic.nll(probabilistic.log_probabilities(s, t)).mean()
      for t in (found, pooled)
  )
  assert own < shared - 0.02


def test_people_with_few_choices_share_a_temperature():
  rng = np.random.default_rng(0)
  s = rng.normal(size=(60, 3)) + [1, 0, 0]
  people = np.r_[np.zeros(55, int), np.ones(5, int)]
  found = probabilistic.group_temperatures(
      s, people, rng=np.random.default_rng(1)
  )
  pooled = probabilistic.cross_fitted_temperatures(
      s, rng=np.random.default_rng(1)
  )
  np.testing.assert_array_equal(found[55:], pooled[55:])
  assert set(found[:55]).isdisjoint(pooled)
