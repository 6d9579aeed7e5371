"""Bootstrap of RDMs against enlarged matrices."""

from alignet.errors import AlignetError
from alignet.scores import rank_correlation
from alignet.scores import rsa
from alignet.scores import rsa_bootstrap
import numpy as np
import pytest


def _symmetric(values):
  return (values + np.swapaxes(values, -1, -2)) / 2


@pytest.fixture(name="human")
def _human():
  """Five subjects, rounded so that ties occur, around a common structure."""
  rng = np.random.default_rng(0)
  human = np.round(
      _symmetric(rng.random((12, 12)) + rng.random((5, 12, 12))) * 10
  )
  human[:, range(12), range(12)] = 0
  return human


@pytest.mark.parametrize("method", rank_correlation.METHODS)
def test_bootstrap_equals_enlarged_matrices(human, method):
  """Weights give what drawing rows and columns gives, ties included."""
  model = np.round(rsa.rdm(np.random.default_rng(1).normal(size=(12, 4))), 1)
  mean = human.mean(axis=0)
  rng = np.random.default_rng(7)
  expected = []
  for _ in range(60):
    drawn = rng.integers(12, size=12)
    i, j = np.triu_indices(12, 1)
    keep = drawn[i] != drawn[j]
    i, j = drawn[i[keep]], drawn[j[keep]]
    expected.append(rank_correlation.correlate(model[i, j], mean[i, j], method))
  found = rsa_bootstrap.interval(
      model, mean, method, rng=np.random.default_rng(7), resamples=60
  )
  low, high = np.quantile(expected, [0.025, 0.975])
  assert found.low == pytest.approx(low, abs=1e-12)
  assert found.high == pytest.approx(high, abs=1e-12)
  assert found.se == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
  assert (found.resamples, found.skipped) == (60, 0)


def test_bootstrap_skips_undefined_resamples():
  rng = np.random.default_rng(0)
  model = _symmetric(rng.random((3, 3)))
  found = rsa_bootstrap.interval(model, model, rng=rng, resamples=200)
  # All three stimuli must be drawn: 6 of 27 draws.
  assert found.resamples + found.skipped == 200
  assert 20 < found.resamples < 70
  assert found.low == pytest.approx(1) and found.high == pytest.approx(1)
  with pytest.raises(AlignetError, match="2 resamples or more"):
    rsa_bootstrap.interval(model, model, rng=rng, resamples=1)
  with pytest.raises(AlignetError, match="give no correlation"):
    rsa_bootstrap.interval(model[:2, :2], model[:2, :2], rng=rng, resamples=20)


@pytest.mark.parametrize("method", rank_correlation.METHODS)
def test_differences_are_of_the_same_resamples(human, method):
  mean = human.mean(axis=0)
  rng = np.random.default_rng(1)
  a, b = (rsa.rdm(rng.normal(size=(12, 4))) for _ in range(2))
  found = rsa_bootstrap.paired_difference(
      a, b, mean, method, rng=np.random.default_rng(7), resamples=40
  )
  rng = np.random.default_rng(7)
  expected = []
  for _ in range(40):
    drawn = rng.integers(12, size=12)
    i, j = np.triu_indices(12, 1)
    keep = drawn[i] != drawn[j]
    i, j = drawn[i[keep]], drawn[j[keep]]
    expected.append(
        rank_correlation.correlate(a[i, j], mean[i, j], method)
        - rank_correlation.correlate(b[i, j], mean[i, j], method)
    )
  assert found.se == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
  assert (found.low, found.high) == pytest.approx(
      np.quantile(expected, [0.025, 0.975]), abs=1e-12
  )
  same = rsa_bootstrap.paired_difference(
      a, a, mean, method, rng=np.random.default_rng(7), resamples=40
  )
  assert same.low == same.high == 0
