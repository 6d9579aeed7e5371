"""Correlations against SciPy, definitions and rsatoolbox's figures."""

import itertools

from alignet.errors import AlignetError
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
import numpy as np
import pytest
from scipy import stats


@pytest.mark.parametrize("decimals", [1, 8])
def test_against_scipy_and_definitions(decimals):
  rng = np.random.default_rng(0)
  a, b = rng.random((2, 40)).round(decimals)
  assert rank_correlation.correlate(a, b, "spearman") == pytest.approx(
      stats.spearmanr(a, b).statistic, abs=1e-12
  )
  assert rank_correlation.correlate(a, b, "pearson") == pytest.approx(
      np.corrcoef(a, b)[0, 1], abs=1e-12
  )
  concordance = sum(
      np.sign((a[i] - a[j]) * (b[i] - b[j]))
      for i, j in itertools.combinations(range(40), 2)
  )
  assert rank_correlation.correlate(a, b, "tau-a") == pytest.approx(
      concordance / (40 * 39 / 2), abs=1e-12
  )


def test_tau_a_of_ties_by_hand():
  # Pairs: (0, 1) is tied in a, (0, 2) and (1, 2) are concordant: 2 of 3.
  assert rank_correlation.correlate(
      np.array([1, 1, 2]), np.array([1, 2, 3]), "tau-a"
  ) == pytest.approx(2 / 3)
  # tau-b would be 1 there for a model that predicts the tie.
  assert rank_correlation.correlate(
      np.array([1, 1, 2]), np.array([1, 1, 3]), "tau-a"
  ) == pytest.approx(2 / 3)


# By compare and boot_noise_ceiling of rsatoolbox 0.3.2, of the arrays below.
_RSATOOLBOX = {
    "spearman": (
        [
            *(-0.018431933625497728, -0.09753925359161017),
            *(-0.18866054632642637, -0.04728948121285427),
            -0.009790399737670711,
        ],
        0.5810791943532994,
        0.7385894294609117,
    ),
    "tau-a": (
        [
            *(-0.011188811188811189, -0.07132867132867132),
            *(-0.11002331002331002, -0.02937062937062937, 0.0),
        ],
        0.4081118881118881,
        0.540885780885781,
    ),
    "pearson": (
        [
            *(-0.04734575778558002, -0.05341819439967659),
            *(-0.14799772880179932, -0.04636377415359215),
            -0.09431497934504895,
        ],
        0.6019312711874674,
        0.7563829511194614,
    ),
}


@pytest.mark.parametrize("method", rank_correlation.METHODS)
def test_rsatoolbox_says_the_same(method):
  rng = np.random.default_rng(0)
  human = rng.random((12, 12)) + rng.random((5, 12, 12))
  human = np.round((human + human.transpose(0, 2, 1)) / 2 * 10)
  model = np.round(rng.random((12, 12)) * 6)
  model = (model + model.T) / 2
  values, lower, upper = _RSATOOLBOX[method]
  np.testing.assert_allclose(
      rsa.per_subject(model, human, method), values, atol=1e-10
  )
  ceiling = rsa.noise_ceiling(human, method)
  assert (ceiling.lower, ceiling.upper) == pytest.approx(
      (lower, upper), abs=1e-10
  )


@pytest.mark.parametrize(
    "a, b, method, message",
    [
        ([1.0, 2.0], [3.0, 3.0], "tau-a", "found 3 everywhere in the second"),
        ([], [], "spearman", "found none"),
        ([1.0, 2.0], [3.0], "spearman", "expected shape"),
        ([1.0, 2.0], [3.0, 4.0], "tau-b", "expected one of spearman"),
    ],
)
def test_refused(a, b, method, message):
  with pytest.raises(AlignetError, match=message):
    rank_correlation.correlate(np.array(a), np.array(b), method)


def test_weights_are_repetitions():
  rng = np.random.default_rng(0)
  a, b = rng.integers(0, 9, (3, 40)), rng.integers(0, 9, (2, 40))
  weights = rng.integers(0, 4, 40)
  of_rows = rank_correlation.weighted(
      a.astype(float), b.astype(float), weights.astype(float)
  )
  for i, j in np.ndindex(3, 2):
    x, y = (np.repeat(v, weights) for v in (a[i], b[j]))
    assert of_rows[i, j] == pytest.approx(stats.pearsonr(x, y).statistic)
    rho = rank_correlation.WeightedSpearman(a[i], b[j])
    assert rho(weights.astype(float)) == pytest.approx(
        stats.spearmanr(x, y).statistic
    )


def test_weights_that_leave_nothing_to_correlate():
  a, b = np.arange(4.0), np.array([1.0, 2, 2, 2])
  rho = rank_correlation.WeightedSpearman(a, b)
  assert np.isnan(rho(np.array([0.0, 1, 2, 1])))
  assert np.isnan(rho(np.zeros(4)))
  assert rho(np.array([1.0, 0, 0, 2])) == pytest.approx(1)
