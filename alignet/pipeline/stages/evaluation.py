"""Trials, scores of models on them, and the report."""

from collections.abc import Mapping
import pathlib

from alignet import transforms
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.io import json_files
from alignet.pipeline.runner import stage
from alignet.triplets import npz
from alignet.triplets import sampling
import numpy as np

Path = pathlib.Path


@stage(version=1)
def trials_by_level(
    out: Path,
    *,
    images: Path,
    embedding: Path,
    held_out: Path,
    concept_level: str,
    group_level: str,
    n: int,
    seed: int,
) -> None:
  """Trials on images of held-out concepts, at three levels of abstraction.

  across: three groups; border: two images of one group and one of another;
  within: three images of one group. Writes a file each and left_out.json, the
  number of triplets without a clear answer that were passed over.
  """
  store = images_lib.open_store(images)
  groups = _held_out_labels(store, held_out, concept_level, group_level)
  left_out = {
      name: _write_trials(
          out / f"{name}.npz",
          store,
          concept_level,
          embedding,
          groups,
          rule,
          n,
          seed + number,
      )
      for number, (name, rule) in enumerate(
          (("across", "between"), ("border", "border"), ("within", "within"))
      )
  }
  json_files.write(out / "left_out.json", left_out)


@stage(version=1)
def trials_of_concepts(
    out: Path,
    *,
    images: Path,
    embedding: Path,
    held_out: Path,
    concept_level: str,
    name: str,
    n: int,
    seed: int,
) -> None:
  """Trials on single images of three different held-out concepts."""
  store = images_lib.open_store(images)
  concepts = _held_out_labels(store, held_out, concept_level, concept_level)
  left_out = _write_trials(
      out / f"{name}.npz",
      store,
      concept_level,
      embedding,
      concepts,
      "between",
      n,
      seed,
  )
  json_files.write(out / "left_out.json", {name: left_out})


def _held_out_labels(store, held_out, concept_level, group_level):
  """Group of each image of a held-out concept, -1 of the others."""
  hidden = files.load_npy(held_out, what="held-out concepts", shape=(None,))
  concepts = store.labels[concept_level].ids
  eligible = (concepts >= 0) & hidden[np.maximum(concepts, 0)]
  return np.where(eligible, store.labels[group_level].ids, -1)


def _write_trials(path, store, level, embedding, groups, rule, n, seed) -> int:
  plan = sampling.plan(groups, rule)
  rows, logits, left_out = trials_lib.make(
      lambda start, stop: plan.rows(seed, start, stop),
      store.labels[level].ids,
      files.load_npy(embedding, what="embedding", shape=(None, None)),
      n=n,
  )
  npz.write(path, store.filenames, rows, logits)
  return left_out


@stage(version=1)
def evaluate(
    out: Path,
    *,
    weights: Path,
    train: Path,
    test: Path,
    trials: Path,
    class_level: str,
    class_test: Path | None = None,
) -> None:
  """Scores of one model; writes scores.npz and the test features.

  pre_logits by cosine on each set of trials (`{set}/modal`, `{set}/expected`),
  a triplet head's dot beside it (`{set}/head_dot`), and whether each test image
  is classified correctly by its 10 nearest training images (`knn`). Where the
  trials' images are of other classes, `class_test` has images to classify.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.evals import evaluation
  from alignet.evals import suite as suite_lib
  from alignet.evals.model import Model
  from alignet.models.formats import checkpoints
  from alignet.representations import extract

  model, params = checkpoints.load(weights)

  def represent(store, tap="pre_logits", kind="cosine"):
    return Model(
        features=extract.extract(model, params, store.images, tap=tap),
        filenames=store.filenames,
        labels=store.labels,
        kind=kind,
    )

  stores = [images_lib.open_store(p) for p in (train, test, class_test or test)]
  learned, asked = (
      _labels(stores[i], class_level, path)
      for i, path in ((0, train), (2, class_test or test))
  )
  if learned.names.tolist() != asked.names.tolist():
    raise AlignetError(
        f"{train} and {class_test or test} have other classes at the level"
        f" {class_level}, so that one cannot be classified by the other"
    )
  tested = represent(stores[1])
  classified = tested if class_test is None else represent(stores[2])
  scores = _on_trials(tested, trials, ("modal", "expected"))
  if model.triplet_dim:
    head = represent(stores[1], "triplet_logits", "dot")
    for name, rows in _on_trials(head, trials, ("modal",)).items():
      scores[name.replace("/modal", "/head_dot")] = rows
  classes = suite_lib.Suite(tasks=("knn",), level=class_level, resamples=0)
  scores["knn"] = suite_lib.evaluate(
      classes,
      evaluation.Models(model=classified, train=represent(stores[0])),
  ).rows["classes/knn"]
  files.save_npz(out / "scores.npz", scores)
  files.save_npy(out / "features.npy", tested.features)


def _on_trials(model, trials, wanted) -> dict[str, np.ndarray]:
  """`{set}/{score}` of each trial; who answered does not matter here."""
  # pylint: disable=g-import-not-at-top
  from alignet.evals import evaluation
  from alignet.evals import suite as suite_lib

  suite = suite_lib.Suite(trials={"simulated": trials}, resamples=0)
  found = suite_lib.evaluate(suite, evaluation.Models(model=model)).rows
  return {
      name.removeprefix("simulated/"): rows
      for name, rows in found.items()
      if name.endswith(tuple(f"/{score}" for score in wanted))
  }


def _labels(store, level, where):
  if level not in store.labels:
    raise AlignetError(
        f"{where} has no labels of level {level!r}; found"
        f" {', '.join(store.labels) or 'none'}"
    )
  return store.labels[level]


@stage(version=1)
def evaluate_teacher(
    out: Path,
    *,
    representations: Path,
    transform: Path,
    trials: Path,
    ridge: Path | None = None,
) -> None:
  """Scores of the teacher and of the raw representations on the trials.

  Writes scores.npz: `{set}/dot` and `{set}/cosine` of the transformed, and
  `{set}/raw` (cosine) of the raw representations, each with `…_expected`; with
  the transform `ridge` of a baseline also `{set}/ridge` (dot).
  """
  # pylint: disable=g-import-not-at-top
  from alignet.evals.model import Model
  from alignet.representations import store as store_lib

  opened = store_lib.open(representations)
  raw = np.asarray(opened.features, np.float32)
  load = lambda path: transforms.load_for(path, opened.path, opened.columns)
  aligned = load(transform)(raw)
  compared = [
      ("dot", aligned, "dot"),
      ("cosine", aligned, "cosine"),
      ("raw", raw, "cosine"),
  ]
  if ridge is not None:
    compared.append(("ridge", load(ridge)(raw), "dot"))
  scores = {}
  for key, features, kind in compared:
    model = Model(
        features=features, filenames=opened.filenames, labels={}, kind=kind
    )
    found = _on_trials(model, trials, ("modal", "expected"))
    for name, rows in found.items():
      of_set, _, score = name.rpartition("/")
      end = "" if score == "modal" else "_expected"
      scores[f"{of_set}/{key}{end}"] = rows
  files.save_npz(out / "scores.npz", scores)


@stage(version=1)
def pool(
    out: Path,
    *,
    models: Mapping[str, Mapping[str, Path]],
    trials: Mapping[str, Path],
    images: Path,
) -> None:
  """Joins the folds of a cross-validation: trials, and scores of each model.

  `trials` gives the folder of each fold, and `models` a folder with scores.npz
  of each model and fold; the trials are of `images`. Writes the folder `trials`
  and `{model}/scores.npz`; row r of the scores belongs to trial r. What is not
  about trials (`knn`) is joined, too, so that its mean is that of the folds.
  """
  sets, left_out = {}, {}
  for fold in sorted(trials):
    for path in sorted(trials[fold].glob("*.npz")):
      sets.setdefault(path.stem, []).append(npz.open(path))
    for name, n in json_files.read(trials[fold] / "left_out.json").items():
      left_out[name] = left_out.get(name, 0) + n
  names = images_lib.open_store(images).filenames
  for name, parts in sets.items():
    npz.write(
        out / "trials" / f"{name}.npz",
        names,
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.similarities for part in parts]),
    )
  json_files.write(out / "trials" / "left_out.json", left_out)
  for model, folders in models.items():
    parts = [
        files.load_npz(folders[fold] / "scores.npz", required=())
        for fold in sorted(trials)
    ]
    files.save_npz(
        out / model / "scores.npz",
        {key: np.concatenate([p[key] for p in parts]) for key in parts[0]},
    )


@stage(version=3)
def report(
    out: Path,
    *,
    models: Mapping[str, Path],
    runs: Mapping[str, Path],
    targets: Mapping[str, Path],
    teacher: Path,
    trials: Path,
    test: Path,
    concept_level: str,
    group_level: str,
    seed: int,
    texts: Mapping[str, str],
    set_names: Mapping[str, str],
    teacher_trials: Path | None = None,
    shown: Mapping[str, Path] | None = None,
    shown_trials: Path | None = None,
) -> None:
  """All numbers and pictures: results.json, report_inputs.npz, report.html.

  Pictures are of the models `shown`, folders with features.npy of the test
  images, on `shown_trials`; both are those of the numbers unless given. The
  same holds for the trials of the teacher's scores.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.pipeline import summary
  from alignet.report import comparison
  from alignet.report import inputs as inputs_lib

  store = images_lib.open_store(test)
  sets = trials_lib.read_folder(trials)
  results = summary.results(
      scores={
          name: files.load_npz(path / "scores.npz", required=("knn",))
          for name, path in models.items()
      },
      teacher=files.load_npz(teacher / "scores.npz", required=()),
      trials=sets,
      teacher_trials=trials_lib.read_folder(teacher_trials or trials),
      concepts=store.labels[concept_level].ids,
      left_out=json_files.read(trials / "left_out.json"),
      targets=targets,
      seed=seed,
  )
  results["meta"] = {
      "tap": "pre_logits",
      "similarity": "cosine",
      "observers": texts["observers"],
      "seed": seed,
      "versions": files.versions(),
  }
  inputs = summary.report_inputs(
      features={
          name: files.load_npy(path / "features.npy", what="features")
          for name, path in (shown or models).items()
      },
      runs=runs,
      targets=targets,
      trials=trials_lib.read_folder(shown_trials or trials),
      store=store,
      concept_level=concept_level,
      group_level=group_level,
      seed=seed,
      texts=texts,
      set_names=set_names,
  )
  json_files.write(out / "results.json", results)
  inputs_lib.save_inputs(out, inputs)
  comparison.comparison_page(out / "report.html", results, inputs)
