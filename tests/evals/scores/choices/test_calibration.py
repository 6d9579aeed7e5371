"""The calibration error as a function of weights, against repeated rows."""

from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import calibration
from alignet.evals.scores.choices import choice_scores
from alignet.evals.scores.choices import probabilistic
import numpy as np
import pytest


@pytest.fixture(name="rows")
def _rows():
  rng = np.random.default_rng(0)
  log_p = probabilistic.log_probabilities(rng.normal(size=(90, 3)) * 2)
  return log_p, rng.dirichlet([1, 1, 1], 90)


@pytest.mark.parametrize("given", [True, False])
def test_weights_are_repetitions(rows, given):
  log_p, p = rows
  p = p if given else None
  error = calibration.error(log_p, p)
  weights = np.random.default_rng(1).integers(0, 4, 90)
  repeated = np.repeat(np.arange(90), weights)
  for some, w in ((slice(None), np.ones(90)), (repeated, weights)):
    curve = probabilistic.calibration_curve(
        log_p[some], None if p is None else p[some]
    )
    assert error(w) == pytest.approx(curve.expected_calibration_error)
  inside = np.arange(90) % 3 == 0
  assert error[inside](np.ones(30)) == pytest.approx(
      error(inside.astype(float))
  )


def test_resamples_are_those_of_the_means(rows):
  log_p, p = rows
  objects = np.random.default_rng(2).integers(0, 12, (90, 3))
  found = choice_scores.summarise(
      {
          "error": calibration.error(log_p, p),
          "kl": probabilistic.kl_divergence(log_p, p),
      },
      objects,
      seed=3,
      resamples=40,
      baseline={"error": calibration.error(np.log(p)), "kl": np.zeros(90)},
  )
  draws = bootstrap.draws(
      lambda w: calibration.error(log_p, p)(w)
      - calibration.error(np.log(p))(w),
      objects,
      rng=np.random.default_rng(3),
      resamples=40,
  )
  difference = found["error"]["difference"]
  assert difference["se"] == pytest.approx(np.std(draws, ddof=1))
  assert found["error"]["low"] < found["error"]["mean"]
