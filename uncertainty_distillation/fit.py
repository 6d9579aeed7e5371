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

There is one recipe: `prepare`, then updates from `Prepared.start`, then
`finish`. `fit` does all three; Kauldron's trainer brings its own updates, see
`data`.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

from alignet import transforms
from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
import jax
import jax.numpy as jnp
import numpy as np
from uncertainty_distillation import initial_transform
from uncertainty_distillation import inputs
from uncertainty_distillation import objective
from uncertainty_distillation import selection
from uncertainty_distillation import training_loop
from uncertainty_distillation.config import Config

_FEWEST = 6


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
  """What is settled before the last training of a fit.

  Attributes:
    config: how the transform is fitted.
    base: what is done to features before the map that is trained.
    objects: the features after that, on the device.
    pool: the judgments to learn from.
    start: where the map starts.
    steps: updates to make.
    local: shuffled images of glocal's local term, or None.
    report: see `fit`.
  """

  config: Config
  base: transforms.Transform
  objects: training_loop.Objects
  pool: training_loop.Pool
  start: training_loop.Params
  steps: int
  local: objective.Local | None
  report: dict[str, Any]


def fit(
    features: np.ndarray,
    concepts: np.ndarray | None,
    judgments: Judgments,
    config: Config | None = None,
    **options: Any,
) -> tuple[transforms.Transform, dict[str, Any]]:
  """Fits a teacher on all given concepts that have images and judgments.

  Args:
    features: see `prepare`.
    concepts: see `prepare`.
    judgments: see `prepare`.
    config: how; None for the defaults.
    **options: see `prepare`.

  Returns:
    The transform, and a JSON-serialisable report: the number of steps chosen,
    the temperature that suits inner held-out concepts (similarities are to be
    divided by it; the transform is not) and, under "inner", the scores on
    inner held-out concepts (no number needs a concept that was not given).

  Raises:
    AlignetError: what `prepare` raises, a loss that becomes NaN.
  """
  prepared = prepare(
      features, concepts, judgments, config or Config(), **options
  )
  history = training_loop.train(
      prepared.start,
      prepared.objects,
      prepared.pool,
      steps=prepared.steps,
      seed=prepared.config.seed,
      optimisation=prepared.config.optimisation,
      local=prepared.local,
  )
  transform = finish(prepared, history[-1])
  return transform, transform.meta


def prepare(
    features: np.ndarray,
    concepts: np.ndarray | None,
    judgments: Judgments,
    config: Config,
    *,
    embedding: np.ndarray | None = None,
    calibration: Judgments | None = None,
    blocks: np.ndarray | None = None,
    local_images: np.ndarray | None = None,
) -> Prepared:
  """Chooses where training starts and how many updates it makes.

  Args:
    features: (n, d) floats; row i shows concept `concepts[i]`.
    concepts: (n,) integers in [0, judgments.n_concepts); None where row i
      shows concept i.
    judgments: what people said, or an embedding of it says.
    config: how.
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

  Raises:
    AlignetError: lengths that differ, concepts out of range, a NaN, too few
      concepts or judgments, a loss of an inner fold that becomes NaN.
  """
  features, concepts = inputs.check_features(
      features, concepts, judgments.n_concepts
  )
  if embedding is not None:
    embedding = files.check_matrix(
        embedding, "embedding", rows=judgments.n_concepts, kinds="f"
    )
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
    input_map = config.input_map
    if config.start_file:
      report["start"] = files.sha256(config.start)
    if input_map == "auto":
      given = config.start_file and transforms.load(config.start)
      input_map = given.input_map if given else "none"
    base, x = initial_transform.plain(features, input_map, config.standardise)
  objects = training_loop.make_objects(x, concepts)
  pool = training_loop.make_pool(local.triplets, local.probabilities)
  start = functools.partial(
      _start, config, x.shape[1], base=base, objects=objects
  )
  images = _local(local_images, features.shape[1], base, config)
  steps, inner = config.steps, None
  if config.inner_folds:
    train = lambda pool: training_loop.train(
        start(pool),
        objects,
        pool,
        steps=config.steps,
        seed=config.seed,
        optimisation=config.optimisation,
        local=images,
    )
    steps, inner = selection.choose_steps(
        *(objects, pool, local, train, config),
        calibration=calibration,
        blocks=blocks,
    )
  report |= {
      "steps": steps,
      "inner": inner,
      "temperature": inner["temperature"] if inner else 1.0,
  }
  return Prepared(
      config=config,
      base=base,
      objects=objects,
      pool=pool,
      start=start(pool),
      steps=steps,
      local=images,
      report=report,
  )


def finish(
    prepared: Prepared, params: training_loop.Params
) -> transforms.Transform:
  """The transform that updates from `prepared.start` led to.

  Args:
    prepared: what came before them.
    params: after `prepared.steps` of them.
  """
  base = prepared.base
  weights = np.asarray(params["weights"]).astype(np.float64)
  bias = np.asarray(params["bias"])
  transform = dataclasses.replace(
      base,
      weights=(base.weights @ weights).astype(np.float32),
      bias=(base.bias @ weights + bias).astype(np.float32),
  )
  return dataclasses.replace(transforms.fold(transform), meta=prepared.report)


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
  images = files.check_matrix(images, "local images", columns=d, kinds="f")
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


def _start(config, d, pool, *, base, objects) -> training_loop.Params:
  """Where a map of d dimensions starts that shall learn from the pool."""
  if config.start_file:
    moments = base.mean, base.std
    given = initial_transform.given(config.start, d, base.input_map, moments)
    return jax.tree.map(jnp.asarray, given)
  width = d if config.start == "ridge" else config.width or d
  eye = jnp.eye(d, width)
  if config.start == "small":
    return {"weights": 1e-3 * eye, "bias": jnp.full(width, 1e-3)}
  start = {"weights": eye, "bias": jnp.zeros(width)}
  return selection.best_scale(start, objects, pool, config.seed)
