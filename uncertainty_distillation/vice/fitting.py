"""Fits a VICE embedding: judgments -> Embedding, or files -> file."""

import dataclasses
import hashlib
import os
import pathlib
import shutil
from typing import Any

from alignet.errors import AlignetError
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
from alignet.triplets import layout
import numpy as np
from uncertainty_distillation.vice import embedding as embedding_lib
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice import posterior
from uncertainty_distillation.vice import train
from uncertainty_distillation.vice.checkpoint import Checkpoint
from uncertainty_distillation.vice.config import Config
from uncertainty_distillation.vice.embedding import Embedding

_RESULT = "vice.npz"


def fit(
    judgments: Judgments,
    config: Config | None = None,
    *,
    checkpoint: files.Path | None = None,
    overwrite: bool = False,
) -> Embedding:
  """Fits the embedding of all objects and keeps the dimensions in use.

  Args:
    judgments: choices, or probabilities of the pairs.
    config: how; None for the defaults.
    checkpoint: folder in which the state is kept at every check and from
      which the same fit goes on; the caller removes it. None for none.
    overwrite: discard the state of another fit in that folder.

  Returns:
    The embedding, its dimensions sorted by their total weight, the sum of
    max(mu, 0). Its `meta` holds the config, the number of steps, whether the
    number of dimensions was `stable`, that number at each check
    (`dimensions`), the objects that have each kept dimension, and under
    `validation` the scores of the posterior predictive on the judgments left
    out: cross-entropy (nats), accuracy (`odd_one_out.expected`) and expected
    calibration error. These are random rows: their objects, and where people
    judged a triplet twice the triplet, may be among the training rows.

  Raises:
    AlignetError: too few judgments, a loss that becomes NaN, no dimension to
      keep, a checkpoint that cannot be used.
  """
  config = config or Config()
  state = None
  if checkpoint is not None:
    state = Checkpoint(
        folder=pathlib.Path(checkpoint),
        plan=plan(judgments, config),
        overwrite=overwrite,
    )
  training, _ = split(judgments, config)
  return finish(judgments, config, train.train(training, config, state))


def finish(
    judgments: Judgments, config: Config, result: train.Result
) -> Embedding:
  """The embedding that a training on `split(judgments)` led to; see `fit`."""
  _, validation = split(judgments, config)
  n_validation = 0 if validation is None else len(validation)
  n_training = len(judgments) - n_validation
  steps = len(result.curve) * config.check
  mu = np.asarray(result.params["mu"])
  sigma = np.exp(np.asarray(result.params["log_sigma"]))
  objects = np.asarray(
      objective.objects_per_dimension(result.params, alpha=config.alpha)
  )
  kept = np.flatnonzero(objects > config.min_objects)
  if not len(kept):
    raise AlignetError(
        f"no dimension has more than {config.min_objects} objects with a weight"
        f" after {steps} steps and {n_training} judgments; give more judgments"
        " or steps, or lower --min_objects"
    )
  total = np.maximum(mu[:, kept], 0).sum(axis=0)
  kept = kept[np.argsort(-total, kind="stable")]
  embedding = Embedding(mu=mu[:, kept], sigma=sigma[:, kept])
  meta = {
      **plan(judgments, config),
      "n_objects": judgments.n_concepts,
      "n_training": n_training,
      "n_validation": n_validation,
      "steps": steps,
      "stable": result.stable,
      "dimensions": result.curve,
      "objects_per_dimension": objects[kept].tolist(),
      "validation": validation and _score(embedding, validation, config),
  }
  return dataclasses.replace(embedding, meta=meta)


def to_file(
    *,
    triplets: files.Path,
    n_objects: int,
    out: files.Path,
    probabilities: files.Path | None = None,
    odd: str | None = None,
    numbered_from: int | None = None,
    config: Config | None = None,
    overwrite: bool = False,
) -> Embedding:
  """The same from npy files to `vice.npz`; run again, it goes on.

  The state is kept in the folder OUT.partial until `out` is there, whole. An
  `out` that was made of the same judgments, config and versions is left as it
  is.

  Args:
    triplets: (m, 3) integers in [0, n_objects), the odd one last.
    n_objects: number of objects.
    out: file to write.
    probabilities: (m, 3) of the pairs s01, s02, s12; None for hard choices.
    odd: column of the odd one in choices, see `layout.arranged`.
    numbered_from: number of the first object; None for 0.
    config: how; None for the defaults.
    overwrite: replace another `out`, and discard the state of another fit.

  Returns:
    The embedding that `out` holds.

  Raises:
    OutputExistsError: `out` holds something else and `overwrite` is false.
    AlignetError: what `judgments.from_choices` and `fit` raise, with the row;
      a file that cannot be read.
  """
  config = config or Config()
  judgments, inputs = read(
      triplets, probabilities, n_objects, odd, numbered_from
  )
  out = pathlib.Path(out)
  partial = out.with_name(out.name + ".partial")
  done = _finished(out, plan(judgments, config))
  if done is None:
    files.check_output(out, overwrite=overwrite)
    done = fit(judgments, config, checkpoint=partial, overwrite=overwrite)
    done = dataclasses.replace(done, meta={**done.meta, "inputs": inputs})
    embedding_lib.save(partial / _RESULT, done, overwrite=True)
    os.replace(partial / _RESULT, out)
  shutil.rmtree(partial, ignore_errors=True)
  return done


def read(
    triplets: files.Path,
    probabilities: files.Path | None,
    n_objects: int,
    odd: str | None = None,
    numbered_from: int | None = None,
) -> tuple[Judgments, dict[str, str]]:
  """The judgments of `to_file`, and the sha256 of each file."""
  given = {
      "triplets": (triplets, "iu"),
      "probabilities": (probabilities, "fiu"),
  }
  given = {name: x for name, x in given.items() if x[0]}
  arrays = {
      name: files.load_npy(path, what=name, shape=(None, 3), kinds=kinds)
      for name, (path, kinds) in given.items()
  }
  if odd and probabilities:
    raise AlignetError(
        "odd: probabilities say of each pair how likely it is; expected choices"
        " alone, or no --odd"
    )
  arrays["triplets"] = layout.arranged(
      *(arrays["triplets"], n_objects),
      odd=odd,
      numbered_from=numbered_from,
      what=str(triplets),
  )
  judgments = judgments_lib.from_choices(**arrays, n_concepts=n_objects)
  return judgments, {n: files.sha256(path) for n, (path, _) in given.items()}


def plan(judgments: Judgments, config: Config) -> dict[str, Any]:
  """What the result depends on."""
  digest = hashlib.sha256()
  for array in (judgments.triplets, judgments.probabilities):
    digest.update(np.ascontiguousarray(array))
  return {
      "config": dataclasses.asdict(config),
      "judgments": f"{digest.hexdigest()}-{judgments.n_concepts}",
      "versions": files.versions(),
  }


def _finished(out: pathlib.Path, plan: dict[str, Any]) -> Embedding | None:
  """What `out` holds, if this very plan has made it."""
  try:
    found = embedding_lib.load(out)
  except AlignetError:
    return None
  same = all(found.meta.get(key) == value for key, value in plan.items())
  return found if same else None


def split(
    judgments: Judgments, config: Config
) -> tuple[Judgments, Judgments | None]:
  """Training rows, and the validation rows if there are any.

  Raises:
    AlignetError: none are left to learn from.
  """
  n = len(judgments)
  held = round(config.validation * n)
  if held == n:
    raise AlignetError(
        f"validation: {config.validation} of {n} judgments leaves none to learn"
        " from; give more judgments or pass --validation=0"
    )
  if not held:
    return judgments, None
  rng = np.random.default_rng([config.seed, 0x76616C])
  rows = np.zeros(n, bool)
  rows[rng.choice(n, held, replace=False)] = True
  return tuple(judgments_lib.take(judgments, part) for part in (~rows, rows))


def _score(
    embedding: Embedding, judgments: Judgments, config: Config
) -> dict[str, float]:
  """Scores of the posterior predictive against judgments."""
  p, _ = posterior.posterior_predictive(
      embedding.mu,
      embedding.sigma,
      judgments.triplets,
      samples=config.samples,
      seed=config.seed,
  )
  pi = judgments.probabilities
  # The softmax of a very unlikely pair is 0 in float32.
  log_p = np.log(np.maximum(p, np.finfo(np.float32).tiny))
  curve = probabilistic.calibration_curve(log_p, pi)
  return {
      "cross_entropy": float(probabilistic.cross_entropy(log_p, pi).mean()),
      "accuracy": float(odd_one_out.expected(p, pi).mean()),
      "calibration_error": curve.expected_calibration_error,
  }
