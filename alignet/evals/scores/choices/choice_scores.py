"""All scores of a model on odd-one-out judgments, with intervals.

Rows first, numbers then: a score is an array with a number a judgment, so that
it can be averaged, resampled, and compared with another model's, judgment by
judgment. The calibration error is no mean: it is a function of the judgments'
weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import calibration
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
import numpy as np

Rows = Mapping[str, np.ndarray | calibration.Error]


def of_choices(
    similarities: np.ndarray,
    *,
    rng: np.random.Generator,
    participants: np.ndarray | None = None,
) -> Rows:
  """Scores against choices.

  Args:
    similarities: (n, 3), the pair that was chosen in column 0.
    rng: deals the rows out for the fitted temperatures.
    participants: (n,) integers; adds nll_participant.

  Returns:
    accuracy (ties 1/k); nll and brier at temperature 1, nll_fitted and
    brier_fitted with one temperature fitted on other rows, nll_participant with
    one a person; (n,) float64 each, nats. Also calibration_error and
    calibration_error_fitted.
  """
  log_p = probabilistic.log_probabilities(similarities)
  fitted = probabilistic.log_probabilities(
      similarities,
      probabilistic.cross_fitted_temperatures(similarities, rng=rng),
  )
  rows = {
      "accuracy": odd_one_out.accuracy(similarities),
      "nll": probabilistic.nll(log_p),
      "brier": probabilistic.brier(log_p),
      "nll_fitted": probabilistic.nll(fitted),
      "brier_fitted": probabilistic.brier(fitted),
      "calibration_error": calibration.error(log_p),
      "calibration_error_fitted": calibration.error(fitted),
  }
  if participants is not None:
    own = probabilistic.group_temperatures(similarities, participants, rng=rng)
    rows["nll_participant"] = probabilistic.nll(
        probabilistic.log_probabilities(similarities, own)
    )
  return rows


def of_probabilities(
    similarities: np.ndarray,
    probabilities: np.ndarray,
    *,
    rng: np.random.Generator,
) -> Rows:
  """Scores against choice probabilities.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    probabilities: (n, 3) of the observers, same order.
    rng: deals the rows out for the fitted temperature.

  Returns:
    modal, expected; cross_entropy, kl and brier at temperature 1, and the same
    `…_fitted` with one temperature fitted on other rows; (n,) float64 each.
    Also calibration_error and calibration_error_fitted.
  """
  rows = {
      "modal": odd_one_out.modal(similarities, probabilities),
      "expected": odd_one_out.expected(similarities, probabilities),
  }
  temperatures = probabilistic.cross_fitted_temperatures(
      similarities, probabilities, rng=rng
  )
  for end, temperature in (("", 1.0), ("_fitted", temperatures)):
    log_p = probabilistic.log_probabilities(similarities, temperature)
    rows |= {
        f"cross_entropy{end}": probabilistic.cross_entropy(
            log_p, probabilities
        ),
        f"kl{end}": probabilistic.kl_divergence(log_p, probabilities),
        f"brier{end}": probabilistic.brier(log_p, probabilities),
        f"calibration_error{end}": calibration.error(log_p, probabilities),
    }
  return rows


def summarise(
    rows: Rows,
    objects: np.ndarray,
    *,
    seed: int,
    participants: np.ndarray | None = None,
    baseline: Rows | None = None,
    resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
  """Means with intervals, and paired differences from a baseline.

  Args:
    rows: score to (n,) values, or to a calibration error of n rows.
    objects: (n, 3) integers, drawn anew in each resample.
    seed: of the bootstrap; equal seeds give equal resamples.
    participants: (n,) integers, drawn anew, too.
    baseline: the same scores of another model on the same judgments.
    resamples: of the bootstrap; 0 for none.

  Returns:
    Score to mean, n and, with resamples, se, low, high (95 %), or no_interval,
    the reason; with a baseline also `baseline`, its mean, and `difference`,
    mean (and se, low, high).

  Raises:
    AlignetError: other scores, or another number of judgments, of the baseline.
  """
  names = list(rows)
  models = [rows]
  if baseline is not None:
    if set(baseline) != set(rows):
      raise AlignetError(
          f"baseline: expected the scores {', '.join(names)}, found"
          f" {', '.join(baseline)}"
      )
    for name in names:
      if len(baseline[name]) != len(rows[name]):
        raise AlignetError(
            f"baseline: expected {len(rows[name])} judgments, found"
            f" {len(baseline[name])}"
        )
    models.append({name: baseline[name] for name in names})
  statistic = _statistic(models)
  means = statistic(np.ones(len(objects)))
  draws = np.empty((0, *means.shape))
  if resamples:
    draws = bootstrap.draws(
        statistic,
        objects,
        rng=np.random.default_rng(seed),
        participants=participants,
        resamples=resamples,
    )
  drawn = min(len(objects), len(np.unique(objects)))
  out = {}
  for i, name in enumerate(names):
    out[name] = {
        **bootstrap.score(means[0, i], draws[:, 0, i], n=drawn),
        "n": len(objects),
    }
    if baseline is not None:
      out[name]["baseline"] = float(means[1, i])
      out[name]["difference"] = bootstrap.score(
          means[0, i] - means[1, i],
          draws[:, 0, i] - draws[:, 1, i],
          n=drawn,
      )
  return out


def _statistic(models: Sequence[Rows]) -> bootstrap.Statistic:
  """(n,) weights -> (models, scores), all models with the same scores."""
  columns = [list(rows.values()) for rows in models]
  means = [i for i, x in enumerate(columns[0]) if isinstance(x, np.ndarray)]
  others = [i for i in range(len(columns[0])) if i not in means]
  table = np.array([rows[i] for rows in columns for i in means])

  def statistic(weights):
    out = np.empty((len(models), len(columns[0])))
    out[:, means] = (table @ weights).reshape(len(models), -1) / weights.sum()
    out[:, others] = [[rows[i](weights) for i in others] for rows in columns]
    return out

  return statistic
