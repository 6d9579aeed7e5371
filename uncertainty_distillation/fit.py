"""Fits a teacher transform: features + judgments -> Transform and report.

The default start, "ridge", is what works for few concepts. A map from a
thousand features trained directly on the judgments of a few hundred concepts
fits them by heart (with one image each of 334 concepts, held-out agreement
stays near .50, whatever the regulariser). So a ridge regression first takes
the features to the space of the human embedding, and uncertainty distillation
trains the map *within* that space, from the identity, on predictions in which
each concept was left out. The two maps multiply to one transform. With the
starts "identity" and "small" the objective trains the whole map, as gLocal
does.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

from alignet import transforms
from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
import jax.numpy as jnp
import numpy as np
from uncertainty_distillation import initial_transform
from uncertainty_distillation import inputs
from uncertainty_distillation import objective
from uncertainty_distillation import training_loop
from uncertainty_distillation.config import Config

_FEWEST = 6


def fit(
    features: np.ndarray,
    concepts: np.ndarray | None,
    judgments: Judgments,
    config: Config | None = None,
    *,
    embedding: np.ndarray | None = None,
    calibration: Judgments | None = None,
    blocks: np.ndarray | None = None,
    local_images: np.ndarray | None = None,
) -> tuple[transforms.Transform, dict[str, Any]]:
  """Fits a teacher on all given concepts that have images and judgments.

  Args:
    features: (n, d) floats; row i shows concept `concepts[i]`.
    concepts: (n,) integers in [0, judgments.n_concepts); None where row i
      shows concept i.
    judgments: what people said, or an embedding of it says.
    config: how; None for the defaults.
    embedding: (n_concepts, k) human embedding, where there is one: what the
      ridge regression predicts. Without it, `point.embedding` of the
      judgments takes its place.
    calibration: what the temperature is fitted to, where that is not the
      judgments: people's choices for a teacher of their posterior.
    blocks: (n_concepts,) integers, category of each concept: inner folds hold
      categories out whole. None for folds of single concepts.
    local_images: (m, d) representations of any images, whose neighbourhoods
      (before standardisation) glocal keeps; needed where the config's alpha is
      above 0, and only there.

  Returns:
    The transform, and a JSON-serialisable report: the number of steps chosen,
    the temperature that suits inner held-out concepts (similarities are to be
    divided by it; the transform is not) and, under "inner", the scores on
    inner held-out concepts (no number needs a concept that was not given).

  Raises:
    AlignetError: lengths that differ, concepts out of range, a NaN, too few
      concepts or judgments, a loss that becomes NaN.
  """
  config = config or Config()
  features, concepts = inputs.check_features(
      features, concepts, judgments.n_concepts
  )
  if embedding is not None:
    embedding = files.check_array(
        embedding, "embedding", shape=(judgments.n_concepts, None), kinds="f"
    )
    files.check_finite(embedding, "embedding")
  seen = np.zeros(judgments.n_concepts, bool)
  seen[concepts] = True
  usable = judgments_lib.within(judgments, seen)
  # From here on concepts are numbered 0 to n - 1 among those in use.
  used = np.unique(usable.triplets)
  if len(used) < _FEWEST:
    raise AlignetError(
        f"expected at least {_FEWEST} concepts with both images and judgments,"
        f" found {len(used)}"
    )
  number = np.full(judgments.n_concepts, -1)
  number[used] = np.arange(len(used))
  rows = np.flatnonzero(number[concepts] >= 0)
  concepts = number[concepts[rows]]
  features = features if len(rows) == len(features) else features[rows]
  local = judgments_lib.renumber(usable, number)
  if calibration is not None:
    calibration = judgments_lib.renumber(calibration, number)
  if blocks is not None:
    blocks = files.check_array(
        blocks, "blocks", shape=(judgments.n_concepts,), kinds="iu"
    )[used]
    if len(np.unique(blocks)) < 2:
      raise AlignetError(
          "blocks: expected at least two categories among the concepts to learn"
          " from, found one; leave --blocks out"
      )
  report = {
      "concepts": len(used),
      "images": len(rows),
      "triplets": len(local),
      "triplets_without_images": len(judgments) - len(local),
      "config": dataclasses.asdict(config),
  }
  if config.start == "ridge":
    base, x, report["ridge"] = initial_transform.cross_fitted_ridge(
        features,
        concepts,
        local,
        None if embedding is None else embedding[used],
        input_map=config.input_map,
        kind=config.standardise,
        width=config.width,
        seed=config.seed,
        blocks=blocks,
    )
  else:
    input_map = "none" if config.input_map == "auto" else config.input_map
    base, x = initial_transform.plain(features, input_map, config.standardise)
  objects = training_loop.make_objects(x, concepts)
  images = _local(local_images, features.shape[1], base, config)
  weights, bias, chosen = _distil(
      objects, local, calibration, blocks, config, images
  )
  transform = transforms.fold(_compose(base, weights, bias))
  report |= chosen
  return dataclasses.replace(transform, meta=report), report


def tune(
    features: np.ndarray,
    concepts: np.ndarray | None,
    judgments: Judgments,
    configs: Sequence[Config],
    *,
    local_images: np.ndarray | None = None,
    **options: Any,
) -> tuple[transforms.Transform, dict[str, Any]]:
  """`fit` with the config that does best on inner held-out concepts.

  Args:
    features: see `fit`.
    concepts: see `fit`.
    judgments: see `fit`.
    configs: to choose from by the smallest KL; all with inner folds, unless
      there is only one.
    local_images: see `fit`; for those with an alpha above 0, if there are any.
    **options: see `fit`.

  Returns:
    As `fit`; with several configs, the report also holds the smallest KL of
    each, in order, as "tuned".

  Raises:
    AlignetError: as `fit`, or several configs without inner folds.
  """
  if len(configs) > 1 and not all(config.inner_folds for config in configs):
    raise AlignetError(
        f"{len(configs)} settings to choose from, but no inner folds to choose"
        " on; set --inner_folds to at least 2"
    )
  local = any(config.optimisation.alpha for config in configs)
  found = []
  for config in configs:
    use = config.optimisation.alpha or not local
    options["local_images"] = local_images if use else None
    found.append(fit(features, concepts, judgments, config, **options))
  if len(found) == 1:
    return found[0]
  losses = [min(report["inner"]["kl_curve"]) for _, report in found]
  transform, report = found[int(ties.first_largest(-np.array(losses)))]
  report = {**report, "tuned": losses}
  return dataclasses.replace(transform, meta=report), report


def _local(images, d, base, config):
  """Shuffled images for glocal's local term, or None."""
  if (config.optimisation.alpha > 0) != (images is not None):
    raise AlignetError(
        "the local term needs both: images (--local=L.npy) and alpha above 0"
        f" (--alpha); found alpha {config.optimisation.alpha} and"
        f" {'no' if images is None else len(images)} images"
    )
  if images is None:
    return None
  images = files.check_array(images, "local images", shape=(None, d), kinds="f")
  files.check_finite(images, "local images")
  if len(images) < 2:
    raise AlignetError(
        f"local images: expected two or more, found {len(images)}"
    )
  order = np.random.default_rng([config.seed, 0x6C6F63]).permutation(
      len(images)
  )
  images = images[order]
  return objective.Local(
      original=jnp.asarray(transforms.map_input(images, base.input_map)),
      inputs=jnp.asarray(base(images)),
  )


def _distil(objects, judgments, calibration, blocks, config, local):
  """Weights, bias, and the report of the choice of the number of steps."""
  pool = training_loop.make_pool(judgments.triplets, judgments.probabilities)
  d = objects.x.shape[1]
  width = d if config.start == "ridge" else config.width or d
  eye = jnp.eye(d, width)
  if config.start == "small":
    start = {"weights": 1e-3 * eye, "bias": jnp.full(width, 1e-3)}
  else:
    start = {"weights": eye, "bias": jnp.zeros(width)}

  def train(pool, steps):
    begin = start
    if config.start != "small":
      begin = _best_scale(start, objects, pool, config.seed)
    return training_loop.train(
        begin,
        objects,
        pool,
        steps=steps,
        seed=config.seed,
        optimisation=config.optimisation,
        local=local,
    )

  steps, inner = config.steps, None
  if config.inner_folds:
    steps, inner = _choose_steps(
        objects, judgments, calibration, blocks, pool, train, config
    )
  params = train(pool, steps)[-1]
  report = {
      "steps": steps,
      "inner": inner,
      "temperature": inner["temperature"] if inner else 1.0,
  }
  return np.asarray(params["weights"]), np.asarray(params["bias"]), report


def _choose_steps(objects, judgments, calibration, blocks, pool, train, config):
  """The number of steps with the smallest mean KL on inner held-out concepts.

  Returns:
    The number, and the scores there.
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
    history = train(training_loop.restrict(pool, training), config.steps)
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


def _best_scale(params, objects, pool, seed):
  """The start, scaled to the smallest KL on the judgments to learn from."""
  scales = np.geomspace(1 / 64, 64, 25)
  values = []
  for scale in scales:
    scaled = {**params, "weights": params["weights"] * scale}
    s, p = training_loop.evaluate(scaled, objects, pool, seed=seed)
    values.append(score(s, p)["kl"])
  scale = scales[int(ties.first_largest(-np.array(values)))]
  return {**params, "weights": params["weights"] * scale}


def _compose(base, weights, bias):
  """The base transform followed by another affine map."""
  weights = weights.astype(np.float64)
  return dataclasses.replace(
      base,
      weights=(base.weights @ weights).astype(np.float32),
      bias=(base.bias @ weights + bias).astype(np.float32),
  )
