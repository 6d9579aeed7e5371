"""Reliability of a mean RDM: by enumeration, and as a bound."""

import itertools

from alignet.errors import AlignetError
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.evals.scores.rdms import rsa_reliability
import numpy as np
import pytest
from scipy import stats


def _world(subjects, noise, n=40, seed=0):
  rng = np.random.default_rng(seed)
  truth = rng.random((n, n))
  human = truth + noise * rng.normal(size=(subjects, n, n))
  return truth + truth.T, human + human.transpose(0, 2, 1)


def test_by_enumeration():
  _, human = _world(4, 0.5)
  values = [rsa.upper(h) for h in human]
  wanted = np.mean(
      [
          stats.spearmanr(
              sum(values[i] for i in half),
              sum(values[i] for i in range(4) if i not in half),
          ).statistic
          for half in itertools.combinations(range(4), 2)
      ]
  )
  found = rsa_reliability.of_mean_rdm(
      human, rng=np.random.default_rng(0), splits=2000
  )
  assert found.split_half == pytest.approx(wanted, abs=0.003)
  assert found.reliability == pytest.approx(
      2 * found.split_half / (1 + found.split_half), abs=1e-12
  )


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_the_truth_reaches_the_bound(noise):
  found, bounds = [], []
  for seed in range(8):
    truth, human = _world(6, noise, seed=seed)
    found.append(
        rank_correlation.correlate(
            rsa.upper(truth), rsa.upper(human.mean(axis=0)), "pearson"
        )
    )
    bounds.append(
        rsa_reliability.of_mean_rdm(
            human, "pearson", rng=np.random.default_rng(0), splits=20
        ).bound
    )
  assert np.mean(found) == pytest.approx(np.mean(bounds), abs=0.02)


def test_noise_has_no_reliability_and_one_subject_none():
  _, human = _world(4, 1e6)
  found = rsa_reliability.of_mean_rdm(human, rng=np.random.default_rng(0))
  assert found.bound < 0.35
  with pytest.raises(AlignetError, match="at least two subjects"):
    rsa_reliability.of_mean_rdm(human[:1], rng=np.random.default_rng(0))
