"""From single people's choices to a teacher: folds, VICE, transform, scores."""

from collections.abc import Mapping
import dataclasses
import pathlib
import shutil
from typing import Any

from alignet import transforms
from alignet.io import files
from alignet.io import json_files
from alignet.pipeline.runner import stage
import numpy as np

Path = pathlib.Path


@stage(version=2)
def choices(
    out: Path,
    *,
    choices: Path,
    concepts: Path,
    format: str,  # pylint: disable=redefined-builtin
    on_impossible: str = "error",
    on_unknown: str = "error",
) -> None:
  """Reads choices about listed concepts; writes triplets.npy, report.json.

  And `participants.npy` where the choices say whose they are. `format` is one
  of `uncertainty_distillation.human.CHOICES_FORMATS`; `concepts` THINGS'
  concepts.tsv or a file of names.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.human import readers
  from uncertainty_distillation import human

  found = human.read_choices(
      choices,
      format,
      readers.read_names(concepts),
      on_impossible=on_impossible,
      on_unknown=on_unknown,
  )
  files.save_npy(out / "triplets.npy", found.triplets)
  if found.participant is not None:
    files.save_npy(out / "participants.npy", found.participant)
  json_files.write(
      out / "report.json",
      {"concepts": found.n_concepts, **dataclasses.asdict(found.report)},
  )


@stage(version=1, resumable=True)
def vice(out: Path, *, choices: Path, **settings: Any) -> None:
  """VICE of the concepts that choices are about: vice.npz.

  Rows of the others are zero, with standard deviation one; nothing reads them.
  `settings` are fields of `uncertainty_distillation.vice.Config`.
  """
  _fit_vice(out, _read(choices), settings)


@stage(version=3)
def teach_posterior(
    out: Path,
    *,
    representations: Path,
    vice: Path,
    choices: Path,
    level: str,
    seed: int,
    samples: int,
    **settings: Any,
) -> None:
  """Uncertainty distillation of VICE's posterior predictive: transform.npz.

  Its temperature is fitted to people's choices. `settings` are fields of
  `uncertainty_distillation.config.Config`.
  """
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import fit

  features, ids, columns = _labelled(representations, level)
  judgments, embedding = _posterior(vice, ids, samples, seed)
  transform, found = fit.fit(
      *(features, ids, judgments),
      fit.Config(seed=seed, **settings),
      embedding=embedding,
      calibration=_read(choices),
  )
  transforms.save(
      out / "transform.npz",
      dataclasses.replace(transform, meta=found),
      columns=columns,
  )


@stage(version=1, resumable=True)
def cross_validate_choices(
    out: Path,
    *,
    representations: Path,
    choices: Path,
    level: str,
    seed: int,
    samples: int,
    folds: int,
    trials: int,
    vice: Mapping[str, Any],
    teacher: Mapping[str, Any],
) -> None:
  """Teacher, ridge regression and raw on concepts they saw no choice about.

  On each fold of the concepts VICE is fitted to the choices among the others,
  `fold{i}/vice.npz`, and the first two learn from its posterior predictive.
  People's choices about the fold, at most `trials`, are scored; all
  temperatures are fitted to choices among the others. Writes what
  `crossval_report.write` does.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.human import judgments as judgments_lib
  from uncertainty_distillation import crossval
  from uncertainty_distillation import crossval_report
  from uncertainty_distillation import fit

  features, ids, _ = _labelled(representations, level)
  judgments = _read(choices)

  def learn(held_out, fold):
    folder = out / f"fold{fold}"
    if not (folder / "vice.npz").is_file():
      others = judgments_lib.within(judgments, ~held_out)
      _fit_vice(folder, others, {"seed": seed, **vice})
    rest = ids[~held_out[ids]]
    return _posterior(folder / "vice.npz", rest, samples, seed)

  result = crossval.cross_validate(
      *(features, ids, judgments),
      crossval.standard_methods([fit.Config(**teacher)]),
      learn=learn,
      folds=folds,
      seeds=(seed,),
      trials=trials,
  )
  crossval_report.write(out, crossval_report.make(result, seed=seed))


@stage(version=2)
def choices_report(
    out: Path, *, cross_validation: Path, choices: Path, vice: Path
) -> None:
  """Scores, what was read, and VICE of all concepts: results.json."""
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import vice as vice_lib

  embedding = vice_lib.load(vice)
  found = {
      key: embedding.meta[key] for key in ("steps", "stable", "validation")
  }
  json_files.write(
      out / "results.json",
      {
          "cross_validation": json_files.read(cross_validation),
          "choices": json_files.read(choices / "report.json"),
          "vice": {**found, "dimensions": embedding.mu.shape[1]},
      },
  )


def _labelled(representations, level):
  """Features and concept of each image that has one; columns."""
  # pylint: disable=g-import-not-at-top
  from alignet.representations import store as store_lib

  reps = store_lib.open(representations)
  ids = reps.labels[level].ids
  rows = np.flatnonzero(ids >= 0)
  return np.asarray(reps.features[rows], np.float32), ids[rows], reps.columns


def _read(choices):
  """What the stage `choices` has written, as judgments."""
  # pylint: disable=g-import-not-at-top
  from alignet.human import judgments as judgments_lib

  arrays = {
      name: files.load_npy(choices / f"{name}.npy", what=name, kinds="iu")
      for name in ("triplets", "participants")
      if (choices / f"{name}.npy").is_file()
  }
  n = json_files.read(choices / "report.json")["concepts"]
  return judgments_lib.from_choices(**arrays, n_concepts=n)


def _fit_vice(out, choices, settings) -> None:
  """Writes vice.npz; goes on where it was interrupted."""
  # pylint: disable=g-import-not-at-top
  from alignet.human import judgments as judgments_lib
  from uncertainty_distillation import vice as vice_lib

  # Concepts that nobody judged would count as objects without a weight.
  used = np.unique(choices.triplets)
  number = np.full(choices.n_concepts, -1)
  number[used] = np.arange(len(used))
  found = vice_lib.fit(
      judgments_lib.renumber(choices, number),
      vice_lib.Config(**settings),
      checkpoint=out / "state",
  )
  mu = np.zeros((choices.n_concepts, found.mu.shape[1]), np.float32)
  sigma = np.ones_like(mu)
  mu[used], sigma[used] = found.mu, found.sigma
  vice_lib.save(
      out / "vice.npz",
      vice_lib.Embedding(
          mu=mu, sigma=sigma, meta={**found.meta, "used": used.tolist()}
      ),
      overwrite=True,
  )
  shutil.rmtree(out / "state")


def _posterior(vice, ids, samples, seed):
  """Posterior predictive about concepts with images, and the mean (n, k)."""
  # pylint: disable=g-import-not-at-top
  from alignet.human import readers
  from uncertainty_distillation import vice as vice_lib

  embedding = vice_lib.load(vice)
  judgments = vice_lib.from_posterior(
      embedding,
      concepts=np.intersect1d(ids, embedding.meta["used"]),
      samples=samples,
      seed=seed,
  )
  return (
      judgments,
      readers.Posterior(mu=embedding.mu, sigma=embedding.sigma).mean,
  )
