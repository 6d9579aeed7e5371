"""From single people's choices to a teacher: folds, VICE, transform, scores."""

from collections.abc import Mapping
import dataclasses
import pathlib
import shutil
from typing import Any

from alignet import files
from alignet import similarity
from alignet import transforms
from alignet.pipeline.runner import stage
import numpy as np

Path = pathlib.Path


@stage(version=1)
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

  `format` is one of `uncertainty_distillation.human.CHOICES_FORMATS`;
  `concepts` THINGS' concepts.tsv or a file of names.
  """
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import human
  from uncertainty_distillation import readers

  found = human.read_choices(
      choices,
      format,
      readers.read_names(concepts),
      on_impossible=on_impossible,
      on_unknown=on_unknown,
  )
  files.save_npy(out / "triplets.npy", found.triplets)
  files.write_json(
      out / "report.json",
      {"concepts": found.n_concepts, **dataclasses.asdict(found.report)},
  )


@stage(version=1)
def concept_folds(
    out: Path, *, representations: Path, level: str, folds: int, seed: int
) -> None:
  """Disjoint folds of the concepts that have images: `fold{i}/held_out.npy`."""
  # pylint: disable=g-import-not-at-top
  from alignet.data import concepts as concepts_lib
  from alignet.representations import store as store_lib

  labels = store_lib.open(representations).labels[level]
  concepts_lib.write_folds(out, labels, folds, seed=seed)


@stage(version=1, resumable=True)
def vice(
    out: Path,
    *,
    triplets: Path,
    report: Path,
    held_out: Path | None = None,
    **settings: Any,
) -> None:
  """VICE of the concepts not held out, from choices among these: vice.npz.

  Rows of held-out concepts are zero, with standard deviation one; nothing reads
  them. `settings` are fields of `uncertainty_distillation.vice.Config`.
  """
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import judgments as judgments_lib
  from uncertainty_distillation import vice as vice_lib

  rows = files.load_npy(triplets, what="triplets", shape=(None, 3), kinds="iu")
  n = files.read_json(report)["concepts"]
  kept = np.ones(n, bool)
  if held_out is not None:
    kept = ~files.load_npy(held_out, what="held-out concepts", shape=(n,))
  rows = rows[kept[rows].all(axis=1)]
  # Concepts that nobody judged would count as objects without a weight.
  used = np.unique(rows)
  judgments = judgments_lib.from_choices(
      np.searchsorted(used, rows), n_concepts=len(used)
  )
  found = vice_lib.fit(
      judgments, vice_lib.Config(**settings), checkpoint=out / "state"
  )
  mu = np.zeros((n, found.mu.shape[1]), np.float32)
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


@stage(version=2)
def teach_posterior(
    out: Path,
    *,
    representations: Path,
    vice: Path,
    triplets: Path,
    level: str,
    seed: int,
    samples: int,
    held_out: Path | None = None,
    **settings: Any,
) -> None:
  """Uncertainty distillation of VICE's posterior predictive: transform.npz.

  Its temperature is fitted to people's choices, the `triplets`.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.representations import store as store_lib
  from uncertainty_distillation import fit
  from uncertainty_distillation import judgments as judgments_lib
  from uncertainty_distillation import readers
  from uncertainty_distillation import vice as vice_lib

  reps = store_lib.open(representations)
  embedding = vice_lib.load(vice)
  kept = np.zeros(len(embedding.mu), bool)
  kept[embedding.meta["used"]] = True
  if held_out is not None:
    kept &= ~files.load_npy(
        held_out, what="held-out concepts", shape=kept.shape
    )
  ids = reps.labels[level].ids
  rows = np.flatnonzero((ids >= 0) & kept[np.maximum(ids, 0)])
  choices = files.load_npy(
      triplets, what="triplets", shape=(None, 3), kinds="iu"
  )
  transform, report = fit.fit(
      np.asarray(reps.features[rows], np.float32),
      ids[rows],
      vice_lib.from_posterior(
          embedding, concepts=ids[rows], samples=samples, seed=seed
      ),
      fit.Config(seed=seed, **settings),
      embedding=readers.Posterior(mu=embedding.mu, sigma=embedding.sigma).mean,
      calibration=judgments_lib.from_choices(choices, n_concepts=len(kept)),
  )
  transforms.save(
      out / "transform.npz", dataclasses.replace(transform, meta=report)
  )


@stage(version=1)
def evaluate_choices(
    out: Path,
    *,
    representations: Path,
    transform: Path,
    triplets: Path,
    held_out: Path,
    level: str,
    seed: int,
) -> None:
  """Scores on people's choices about held-out concepts: scores.npz.

  `teacher` by dot product and `raw` by cosine, at the temperature fitted on
  choices about the other concepts: `{name}_accuracy`, `{name}_nll`; `concepts`
  (n, 3) of each choice.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.representations import store as store_lib
  from alignet.scores import odd_one_out
  from alignet.scores import probabilistic
  from uncertainty_distillation import crossval

  reps = store_lib.open(representations)
  ids = reps.labels[level].ids
  hidden = files.load_npy(held_out, what="held-out concepts", shape=(None,))
  seen = np.zeros(len(hidden), bool)
  seen[ids[ids >= 0]] = True
  rows = files.load_npy(triplets, what="triplets", shape=(None, 3), kinds="iu")
  rows = rows[seen[rows].all(axis=1)]
  trained = rows[~hidden[rows].any(axis=1)]
  scored = rows[hidden[rows].all(axis=1)]
  rng = np.random.default_rng([seed, 6])
  trained = trained[np.sort(rng.permutation(len(trained))[:8192])]
  labelled = np.flatnonzero(ids >= 0)
  draw = lambda t: labelled[crossval.draw_images(ids[labelled], t, rng)]
  images = {"trained": draw(trained), "scored": draw(scored)}
  raw = np.asarray(reps.features, np.float32)
  found = {"concepts": scored}
  loaded = transforms.load(transform)
  for name, z, kind in (
      ("teacher", loaded(raw), "dot"),
      ("raw", raw, "cosine"),
  ):
    s = {k: similarity.of_triplets(z, v, kind) for k, v in images.items()}
    temperature = loaded.meta.get("temperature", 1.0)
    if name == "raw":
      temperature = probabilistic.fit_temperature(s["trained"])
    log_p = probabilistic.log_probabilities(s["scored"], temperature)
    found[f"{name}_accuracy"] = odd_one_out.accuracy(s["scored"])
    found[f"{name}_nll"] = probabilistic.nll(log_p)
  files.save_npz(out / "scores.npz", found)


@stage(version=1)
def choices_report(
    out: Path,
    *,
    scores: Mapping[str, Path],
    report: Path,
    vice: Path,
    seed: int,
) -> None:
  """Pools the folds, with intervals over concepts: results.json."""
  # pylint: disable=g-import-not-at-top
  from alignet.scores import bootstrap
  from uncertainty_distillation import vice as vice_lib

  parts = [
      files.load_npz(path / "scores.npz", required=("concepts",))
      for _, path in sorted(scores.items())
  ]
  pooled = {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
  concepts = pooled.pop("concepts")
  pooled["accuracy_gain"] = pooled["teacher_accuracy"] - pooled["raw_accuracy"]
  pooled["nll_gain"] = pooled["raw_nll"] - pooled["teacher_nll"]
  results = {}
  for name, values in pooled.items():
    found = bootstrap.interval(
        values, concepts, rng=np.random.default_rng([seed, 2])
    )
    results[name] = {"value": found.mean, "low": found.low, "high": found.high}
  embedding = vice_lib.load(vice)
  files.write_json(
      out / "results.json",
      {
          "held_out_choices": len(concepts),
          "scores": results,
          "choices": files.read_json(report),
          "vice": {
              key: embedding.meta[key]
              for key in ("steps", "stable", "validation")
          }
          | {"dimensions": embedding.mu.shape[1]},
      },
  )
