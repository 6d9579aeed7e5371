"""The stages of a pipeline: read artefacts, call the library, write artefacts.

Each function takes its output folder, then paths of inputs and plain
parameters. What a file holds is said in the library function that writes it.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet import config_files
from alignet import files
from alignet import sampling
from alignet import transforms
from alignet import triplet_io
from alignet import triplet_verify
from alignet.data import images as images_lib
from alignet.data import shapes as shapes_lib
from alignet.data import trials as trials_lib
from alignet.errors import AlignetError
from alignet.pipeline.runner import stage
import numpy as np

Path = pathlib.Path


@stage(version=1)
def shapes(
    out: Path, *, seed: int, train_per_concept: int, test_per_concept: int
) -> None:
  """The embedded world: train and test images, simulated observers.

  Writes the image stores `train` and `test`, `embedding.npy` (concepts, dims)
  float32 of the simulated observers and `held_out.npy` (concepts,) bool.
  """
  world = shapes_lib.make_world(seed)
  n = len(world.names)
  for number, (split, per_concept) in enumerate(
      (("train", train_per_concept), ("test", test_per_concept))
  ):
    concepts = np.repeat(np.arange(n), per_concept)
    store = images_lib.ImageStore(
        images=shapes_lib.render(world, concepts, seed=2 * seed + number),
        filenames=np.array(
            [f"{split}/{i:06d}.png" for i in range(len(concepts))]
        ),
        labels=shapes_lib.levels(world, concepts),
        meta={"source": "shapes", "split": split, "seed": seed},
    )
    images_lib.write(out / split, store)
  files.save_npy(out / "embedding.npy", world.embedding)
  files.save_npy(out / "held_out.npy", world.held_out)


@stage(version=1)
def cifar100_things(
    out: Path,
    *,
    data_dir: Path,
    concepts: Path,
    embedding: Path,
    train_features: Path,
    test_features: Path,
    model: str,
    held_out: int,
    seed: int,
) -> None:
  """CIFAR-100 with THINGS concepts, VICE, and given representations.

  Writes the image stores `train` and `test` (level "concept" is the row of
  concepts.tsv), the representations `train_features` and `test_features`,
  `embedding.npy` and `held_out.npy`.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.data import concepts as concepts_lib
  from alignet.data import tfds_images
  from alignet.data import things
  from alignet.representations import given

  table = things.read_concepts(concepts)
  features = dict(train=train_features, test=test_features)
  for split in ("train", "test"):
    store = tfds_images.read("cifar100", split, data_dir=data_dir)
    classes = store.labels["subordinate"].names
    labels = things.add_concepts(
        store.labels, things.of_cifar100(classes, table), table
    )
    images_lib.write(out / split, dataclasses.replace(store, labels=labels))
    given.import_features(
        out / f"{split}_features",
        features=features[split],
        images=out / split,
        model=model,
        layer="pooled features",
        source=f"cifar100:{split}",
    )
  concepts_lib.write_split(out, labels["concept"], held_out, seed=seed)
  files.save_npy(
      out / "embedding.npy", things.read_embedding(embedding, concepts)
  )


@stage(
    version=1,
    resumable=True,
    reads=lambda params: config_files.resolve(params["config"]),
)
def train(out: Path, *, config: str, **fields: Any) -> None:
  """A Kauldron training; `fields` override those of the config.

  Writes the trainer's workdir: checkpoints, scalars, weights.safetensors.
  """
  # pylint: disable=g-import-not-at-top
  from alignet import train as train_lib
  from kauldron import kd

  cfg = config_files.load(config)
  cfg.workdir = str(out)
  override(cfg, fields, config)
  train_lib.train(kd.konfig.resolve(cfg))


def override(cfg: Any, fields: Mapping[str, Any], where: str) -> None:
  """Sets fields of a nested config, in place; each must be there.

  Args:
    cfg: a config.
    fields: nested values; a path becomes text.
    where: name of the config, for the message.
  """
  for key, value in fields.items():
    if key not in cfg:
      raise AlignetError(f"the config {where} has no field {key!r}")
    if isinstance(value, Mapping):
      override(cfg[key], value, where)
    else:
      cfg[key] = str(value) if isinstance(value, pathlib.Path) else value


@stage(version=1)
def represent(out: Path, *, weights: Path, tap: str, **stores: Path) -> None:
  """Representations of image stores by a model, a folder each."""
  # pylint: disable=g-import-not-at-top
  from alignet.models import checkpoints
  from alignet.representations import extract
  from alignet.representations import store as store_lib

  model, params = checkpoints.load(weights)
  for name, path in sorted(stores.items()):
    store = images_lib.open_store(path)
    store_lib.write(
        out / name,
        extract.extract(model, params, store.images, tap=tap),
        store.filenames,
        store.labels,
        {
            "layer": tap,
            "weights": files.sha256(weights),
            "source": dict(store.meta),
        },
    )


@stage(version=1)
def teach(
    out: Path,
    *,
    representations: Path,
    embedding: Path,
    held_out: Path,
    level: str,
    seed: int,
    per_concept: int = 0,
    **settings: Any,
) -> None:
  """Uncertainty distillation on the images of the concepts not held out.

  Writes transform.npz. Targets are `soft_point`: the softmax of the embedding's
  dot products. `per_concept` limits the images of a concept (0: all);
  `settings` are fields of `uncertainty_distillation.config.Config`.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.representations import store as store_lib
  from uncertainty_distillation import fit
  from uncertainty_distillation import judgments

  reps = store_lib.open(representations)
  vectors = files.load_npy(embedding, what="embedding", shape=(None, None))
  hidden = files.load_npy(held_out, what="held-out concepts", shape=(None,))
  concepts = reps.labels[level].ids
  # The held-out concepts' rows never reach the fit, images or judgments.
  kept = ~hidden & np.isin(np.arange(len(hidden)), concepts)
  renumbered = np.cumsum(kept) - 1
  rows = np.flatnonzero((concepts >= 0) & kept[np.maximum(concepts, 0)])
  if per_concept:
    rows = _first_of_each(rows, concepts[rows], per_concept)
  transform, report = fit.fit(
      np.asarray(reps.features[rows], np.float32),
      renumbered[concepts[rows]],
      judgments.from_embedding(vectors[kept], seed=seed),
      fit.Config(seed=seed, **settings),
      embedding=vectors[kept],
  )
  transforms.save(
      out / "transform.npz", dataclasses.replace(transform, meta=report)
  )


def _first_of_each(rows, concepts, most) -> np.ndarray:
  """At most so many rows of each concept, the first ones."""
  order = np.argsort(concepts, kind="stable")
  counts = np.unique(concepts[order], return_counts=True)[1]
  rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
  return np.sort(rows[order[rank < most]])


@stage(version=1)
def cluster(
    out: Path,
    *,
    representations: Path,
    k: int,
    seed: int,
    transform: Path | None = None,
) -> None:
  """k-means of raw or transformed representations; writes clusters.npz."""
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib

  clusters = kmeans.fit(
      store_lib.open(representations).features,
      k,
      seed=seed,
      transform=transforms.load(transform) if transform else None,
  )
  kmeans.save(out / "clusters.npz", clusters)


@stage(version=1)
def sample(
    out: Path,
    *,
    clusters: Path,
    strategy: str,
    n: int,
    seed: int,
    law: str = "groups",
) -> None:
  """Triplets of images by a rule over clusters; writes triplets.npz."""
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans

  labels = kmeans.load(clusters).assignments
  sampling.write(out / "triplets.npz", labels, strategy, n, seed=seed, law=law)


@stage(version=1, resumable=True)
def respond(
    out: Path,
    *,
    representations: Path,
    triplets: Path,
    transform: Path | None = None,
    temperature_from: Path | None = None,
    clusters: Path | None = None,
) -> None:
  """Responses to triplets, verified; writes alignet.npz and verify.json."""
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib
  from response_generation import respond as respond_lib

  path = out / "alignet.npz"
  respond_lib.respond(
      representations=representations,
      triplets=triplets,
      out=path,
      transform=transform,
      temperature_from=temperature_from,
      overwrite=path.exists(),
  )
  reps = store_lib.open(representations)
  _, meta = sampling.read(triplets)
  verification = triplet_verify.verify(
      path,
      image_filenames=reps.filenames,
      labels=kmeans.load(clusters).assignments if clusters else None,
      rule=sampling.parse(meta["strategy"]).rule if clusters else None,
      features=reps.features if transform else None,
      transform=transforms.load(transform) if transform else None,
  )
  outcome = verification.to_json() | {"path": path.name}
  files.write_json(out / "verify.json", outcome, overwrite=True)
  failed = [c.message for c in verification.checks if c.status == "fail"]
  if failed:
    raise AlignetError(f"the responses are not in order: {failed[0]}")


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
  files.write_json(out / "left_out.json", left_out)


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
  files.write_json(out / "left_out.json", {name: left_out})


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
  triplet_io.write(path, store.filenames, rows, logits)
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
) -> None:
  """Scores of one model; writes scores.npz and the test features.

  pre_logits by cosine on each set of trials (`{set}/modal`, `{set}/expected`),
  a triplet head's dot beside it (`{set}/head_dot`), and whether each test image
  is classified correctly by its 10 nearest training images (`knn`).
  """
  # pylint: disable=g-import-not-at-top
  from alignet.evals import trials as evals
  from alignet.models import checkpoints
  from alignet.representations import extract
  from alignet.scores import knn

  model, params = checkpoints.load(weights)
  train_store, test_store = map(images_lib.open_store, (train, test))
  features = extract.extract(model, params, test_store.images)
  sets = trials_lib.read_folder(trials)
  scores = {}
  for name, set_ in sets.items():
    for key, rows in evals.agreement(features, set_, "cosine").items():
      scores[f"{name}/{key}"] = rows
  if model.triplet_dim:
    head = extract.extract(
        model, params, test_store.images, tap="triplet_logits"
    )
    for name, set_ in sets.items():
      scores[f"{name}/head_dot"] = evals.agreement(head, set_, "dot")["modal"]
  scores["knn"] = knn.accuracy(
      extract.extract(model, params, train_store.images),
      train_store.labels[class_level].ids,
      features,
      test_store.labels[class_level].ids,
      k=10,
  )
  files.save_npz(out / "scores.npz", scores)
  files.save_npy(out / "features.npy", features)


@stage(version=1)
def evaluate_teacher(
    out: Path, *, representations: Path, transform: Path, trials: Path
) -> None:
  """Scores of the teacher and of the raw representations on the trials.

  Writes scores.npz: `{set}/dot` and `{set}/cosine` of the transformed, and
  `{set}/raw` (cosine) of the raw representations, each with `…_expected`.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.evals import trials as evals
  from alignet.representations import store as store_lib

  raw = np.asarray(store_lib.open(representations).features, np.float32)
  aligned = transforms.load(transform)(raw)
  scores = {}
  for name, set_ in trials_lib.read_folder(trials).items():
    for key, features, kind in (
        ("dot", aligned, "dot"),
        ("cosine", aligned, "cosine"),
        ("raw", raw, "cosine"),
    ):
      rows = evals.agreement(features, set_, kind)
      scores[f"{name}/{key}"] = rows["modal"]
      scores[f"{name}/{key}_expected"] = rows["expected"]
  files.save_npz(out / "scores.npz", scores)


@stage(version=1)
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
) -> None:
  """All numbers and pictures: results.json, report_inputs.npz, report.html."""
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
      concepts=store.labels[concept_level].ids,
      left_out=files.read_json(trials / "left_out.json"),
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
          for name, path in models.items()
      },
      runs=runs,
      targets=targets,
      trials=sets,
      store=store,
      concept_level=concept_level,
      group_level=group_level,
      seed=seed,
      texts=texts,
      set_names=set_names,
  )
  files.write_json(out / "results.json", results)
  inputs_lib.save_inputs(out, inputs)
  comparison.comparison_page(out / "report.html", results, inputs)
