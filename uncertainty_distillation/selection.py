"""What a fit chooses by its judgments: steps, and the scale of the start."""

from collections.abc import Callable
from typing import Any

from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
import numpy as np
from uncertainty_distillation import training_loop
from uncertainty_distillation.config import Config


def choose_steps(
    objects: training_loop.Objects,
    pool: training_loop.Pool,
    judgments: Judgments,
    train: Callable[[training_loop.Pool], list[training_loop.Params]],
    config: Config,
    *,
    calibration: Judgments | None = None,
    blocks: np.ndarray | None = None,
) -> tuple[int, dict[str, Any]]:
  """The number of steps with the smallest mean KL on inner held-out concepts.

  Args:
    objects: the representations of the concepts.
    pool: the judgments.
    judgments: the same.
    train: trains on some of them; parameters after 0, `every`, ... steps.
    config: how many folds, and how far apart evaluations are.
    calibration: see `fit.prepare`.
    blocks: see `fit.prepare`; of these concepts.

  Returns:
    The number, and the scores there.

  Raises:
    AlignetError: no judgment lies within a fold.
  """
  n = judgments.n_concepts
  folds = judgments_lib.inner_folds(
      n, min(config.inner_folds, n // 3), seed=config.seed + 1, blocks=blocks
  )
  evaluate = lambda history, pool: [
      training_loop.evaluate(params, objects, pool, seed=config.seed)
      for params in history
  ]
  if calibration is not None:
    answers = training_loop.make_pool(
        calibration.triplets, calibration.probabilities
    )
  curves, best_scores, outcomes = [], [], []
  for fold in folds:
    inside = np.isin(np.arange(n), fold)
    held = inside[judgments.triplets]
    training = np.flatnonzero(~held.any(axis=1))
    validation = np.flatnonzero(held.all(axis=1))
    if not (len(training) and len(validation)):
      continue
    history = train(training_loop.restrict(pool, training))
    outcome = evaluate(history, training_loop.restrict(pool, validation))
    scores = [score(s, p) for s, p in outcome]
    curves.append([x["kl"] for x in scores])
    best_scores.append(scores)
    if calibration is None:
      outcomes.append(outcome)
    elif len(rows := np.flatnonzero(inside[calibration.triplets].all(axis=1))):
      outcomes.append(evaluate(history, training_loop.restrict(answers, rows)))
  if not curves:
    raise AlignetError(
        "no judgment lies wholly within held-out concepts, so the number of"
        " steps cannot be chosen; give more judgments, or set --inner_folds=0"
    )
  if not outcomes:
    raise AlignetError(
        "no judgment to calibrate on lies wholly within held-out concepts, so"
        " no temperature can be fitted; give more of them"
    )
  best = int(ties.first_largest(-np.mean(curves, axis=0)))
  inner = {
      key: float(np.mean([scores[best][key] for scores in best_scores]))
      for key in best_scores[0][best]
  }
  inner["kl_curve"] = np.mean(curves, axis=0).tolist()
  inner["folds"] = len(curves)
  # Of inner held-out concepts, so that no trial it is applied to shaped it.
  inner["temperature"] = probabilistic.fit_temperature(
      *(np.concatenate(x) for x in zip(*(o[best] for o in outcomes)))
  )
  return best * config.optimisation.every, inner


def score(
    similarities: np.ndarray, probabilities: np.ndarray
) -> dict[str, float]:
  """Agreement, expected accuracy, cross-entropy and KL of similarities."""
  log_p = probabilistic.log_probabilities(similarities)
  values = {
      "agreement": odd_one_out.modal(similarities, probabilities),
      "expected": odd_one_out.expected(similarities, probabilities),
      "cross_entropy": probabilistic.cross_entropy(log_p, probabilities),
      "kl": probabilistic.kl_divergence(log_p, probabilities),
  }
  return {name: float(value.mean()) for name, value in values.items()}


def best_scale(
    params: training_loop.Params,
    objects: training_loop.Objects,
    pool: training_loop.Pool,
    seed: int,
) -> training_loop.Params:
  """The start, scaled to the smallest KL on the judgments to learn from."""
  scales = np.geomspace(1 / 64, 64, 25)
  values = []
  for scale in scales:
    scaled = {**params, "weights": params["weights"] * scale}
    s, p = training_loop.evaluate(scaled, objects, pool, seed=seed)
    values.append(score(s, p)["kl"])
  scale = scales[int(ties.first_largest(-np.array(values)))]
  return {**params, "weights": params["weights"] * scale}
