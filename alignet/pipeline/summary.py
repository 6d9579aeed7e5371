"""From the stages' scores to the numbers and pictures of a report."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet import transforms
from alignet.data import decode
from alignet.data import images as images_lib
from alignet.evals.scores import bootstrap
from alignet.evals.scores import ties
from alignet.evals.scores.choices import odd_one_out
from alignet.human import trials as trials_lib
from alignet.report import dataset as dataset_lib
from alignet.report import inputs as inputs_lib
from alignet.report import projection
from alignet.representations import kmeans
from alignet.representations import store as store_lib
from alignet.triplets import npz
from alignet.triplets import similarity
from alignet.triplets.layout import ODD
import numpy as np

_GALLERY = 12
_THUMBNAIL = 96
_ROWS, _ROW = 12, 8
_MATRIX_IMAGES = 3


def results(
    *,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    teacher: Mapping[str, np.ndarray],
    trials: Mapping[str, trials_lib.Trials],
    teacher_trials: Mapping[str, trials_lib.Trials],
    concepts: np.ndarray,
    left_out: Mapping[str, int],
    targets: Mapping[str, pathlib.Path],
    seed: int,
) -> dict[str, Any]:
  """Every number of a comparison.

  The scores of a model are its agreement on each set of trials, by the cosine
  of pre_logits, and, where it has a triplet head, `{set}_head_dot`, by that
  head's dot product. A model without a head is compared by its cosine.

  Args:
    scores: model -> per-trial scores, as the stage `evaluate` writes them.
    teacher: scores of teacher and raw representations.
    trials: set -> trials.
    teacher_trials: set -> trials of the teacher's scores.
    concepts: (images,) concept of each image, for the bootstrap.
    left_out: set -> triplets passed over for want of a clear answer.
    targets: kind of responses -> AligNet npz.
    seed: seed of the bootstrap.

  Returns:
    Model -> {score: modal agreement, "class_accuracy", "intervals", "se",
    "expected", "difference_to_base"}, for aligned also "minus", the difference
    to each other model; "teacher", "teacher_intervals", "trials" and "targets"
    beside the models.
  """
  of_trials = {name: concepts[t.indices] for name, t in trials.items()}
  draws = lambda: np.random.default_rng([seed, 2])
  columns = {model: _columns(rows, trials) for model, rows in scores.items()}
  out = {}
  for model, rows in scores.items():
    entry = {"intervals": {}, "se": {}}
    for score, (name, values) in columns[model].items():
      found = bootstrap.interval(values, of_trials[name], rng=draws())
      entry[score] = found.mean
      entry["se"][score] = found.se
      entry["intervals"][score] = [found.low, found.high]
    entry["expected"] = {
        name: float(rows[f"{name}/expected"].mean()) for name in trials
    }
    entry["class_accuracy"] = float(rows["knn"].mean())
    if model != "base":
      entry["difference_to_base"] = _differences(
          columns[model], columns["base"], of_trials, draws
      )
    if model == "aligned":
      entry["minus"] = {
          other: _differences(columns[model], columns[other], of_trials, draws)
          for other in scores
          if other not in ("aligned", "base")
      }
    out[model] = entry
  out["teacher"] = {
      name: float(rows.mean()) for name, rows in sorted(teacher.items())
  }
  out["teacher_intervals"] = {}
  for name, rows in sorted(teacher.items()):
    t = teacher_trials[name.partition("/")[0]]
    found = bootstrap.interval(rows, concepts[t.indices], rng=draws())
    out["teacher_intervals"][name] = [found.low, found.high]
  out["trials"] = {
      name: {
          "n": len(t.indices),
          "left_out": left_out[name],
          "expected_ceiling": float(
              odd_one_out.ceiling(t.probabilities).mean()
          ),
      }
      for name, t in trials.items()
  }
  out["targets"] = {
      name: {
          "n": len(entropies),
          "mean_entropy_nats": float(entropies.mean()),
      }
      for name, entropies in _entropies(targets).items()
  }
  return out


def _columns(rows, trials) -> dict[str, tuple[str, np.ndarray]]:
  """Score -> its set of trials, and the scores of these."""
  columns = {name: (name, rows[f"{name}/modal"]) for name in trials}
  for name in trials:
    if f"{name}/head_dot" in rows:
      columns[f"{name}_head_dot"] = (name, rows[f"{name}/head_dot"])
  return columns


def _differences(model, other, of_trials, draws) -> dict[str, Any]:
  """Score -> difference of two models, paired on the same trials."""
  out = {}
  for score, (name, values) in model.items():
    found = bootstrap.paired_difference(
        values, other.get(score, other[name])[1], of_trials[name], rng=draws()
    )
    out[score] = {
        "value": found.mean,
        "se": found.se,
        "low": found.low,
        "high": found.high,
    }
  return out


def report_inputs(
    *,
    features: Mapping[str, np.ndarray],
    runs: Mapping[str, pathlib.Path],
    targets: Mapping[str, pathlib.Path],
    trials: Mapping[str, trials_lib.Trials],
    store: images_lib.ImageStore,
    concept_level: str,
    group_level: str,
    seed: int,
    texts: Mapping[str, str],
    set_names: Mapping[str, str],
) -> inputs_lib.ReportInputs:
  """Pictures of a comparison, of base and aligned where two are shown.

  Args:
    features: model -> (images, d) pre_logits of the test images.
    runs: model -> workdir of its training, for the learning curves.
    targets: kind of responses -> AligNet npz.
    trials: set -> trials.
    store: the test images.
    concept_level: level of the concepts.
    group_level: level by which matrices and maps are sorted and coloured.
    seed: seed of the choice of examples.
    texts: title, note, subtitle, observers, and paragraphs by section.
    set_names: set -> text shown for it.
  """
  rng = np.random.default_rng([seed, 3])
  shown = {name: features[name] for name in ("base", "aligned")}
  gallery = _gallery(shown, trials, store, concept_level, rng)
  used = np.unique(np.concatenate([t.indices for t in trials.values()]))
  groups = store.labels[group_level]
  concepts = store.labels[concept_level].ids
  rows = _some_of_each(concepts, used, _MATRIX_IMAGES, rng)
  rows = rows[np.lexsort((concepts[rows], groups.ids[rows]))]
  projections = {name: projection.pca_2d(x[used]) for name, x in shown.items()}
  return inputs_lib.ReportInputs(
      title=texts["title"],
      note=texts["note"],
      subtitle=texts["subtitle"],
      observers=texts["observers"],
      texts=texts,
      sets={
          **set_names,
          "class_accuracy": "class accuracy (10-NN)",
          **{
              f"{name}_head_dot": f"{text}, head's dot"
              for name, text in set_names.items()
          },
      },
      chance={
          score: 1 / 3
          for name in set_names
          for score in (name, f"{name}_head_dot")
      },
      **gallery,
      matrices={
          name: similarity.matrix(x[rows], kind="cosine")
          for name, x in shown.items()
      },
      matrix_groups=groups.ids[rows],
      matrix_subgroups=concepts[rows],
      matrix_label="cosine similarity of pre_logits",
      points={name: p.points for name, p in projections.items()},
      explained={name: p.explained for name, p in projections.items()},
      point_groups=groups.ids[used],
      group_names=tuple(str(name) for name in groups.names),
      curves=_curves(runs, set_names),
      entropies=_entropies(targets),
  )


def dataset(
    *,
    images: pathlib.Path,
    representations: pathlib.Path,
    clusters: pathlib.Path,
    responses: Mapping[str, pathlib.Path],
    transform: pathlib.Path,
    title: str,
    note: str,
    seed: int,
) -> dataset_lib.Dataset:
  """Counts and pictures of the answers for one's own images.

  Args:
    images: folder of the image files.
    representations: of those images.
    clusters: of the representations.
    responses: "aligned" and "untransformed" -> AligNet npz, same triplets.
    transform: the teacher.
    title: of the page.
    note: a caveat, or "".
    seed: of what is shown.
  """
  rng = np.random.default_rng([seed, 4])
  reps = store_lib.open(representations)
  found = kmeans.load(clusters)
  opened = {name: npz.open(path) for name, path in responses.items()}
  thumbnail = lambda i: decode.resize(
      decode.decode(
          (images / str(reps.filenames[i])).read_bytes(), str(reps.filenames[i])
      ),
      _THUMBNAIL,
  )
  sizes = np.bincount(found.assignments, minlength=len(found.centroids))
  large = np.flatnonzero(sizes >= min(_ROW, sizes.max()))
  shown = np.sort(_choose(large, _ROWS, rng))
  rows = [
      _choose(np.flatnonzero(found.assignments == c), _ROW, rng) for c in shown
  ]
  few = min(map(len, rows))
  rows = np.stack([row[:few] for row in rows])
  aligned = opened["aligned"]
  choices = _choices_of_same_rows(opened)
  differ = choices["untransformed"] != choices["aligned"]
  picked = np.concatenate(
      [
          _choose(np.flatnonzero(differ), _GALLERY // 2, rng),
          _choose(np.flatnonzero(~differ), _GALLERY // 2, rng),
      ]
  )
  # In any place: canonical rows have the odd one last.
  order = np.array([rng.permutation(3) for _ in picked])
  where = np.argsort(order, axis=1)
  triplets = np.take_along_axis(aligned.indices[picked], order, axis=1)
  pairs = np.stack(
      [order[:, a] + order[:, b] - 1 for a, b in ((0, 1), (0, 2), (1, 2))],
      axis=1,
  )
  p = similarity.choice_probabilities(aligned.similarities[picked])
  some = np.asarray(reps.features[rows.reshape(-1)], np.float32)
  skipped = reps.meta.get("skipped", {})
  counts = {
      "images": len(reps),
      "images left out, not decodable": len(skipped),
      "clusters": len(sizes),
      "clusters too small to sample from": len(found.meta["small_clusters"]),
      "triplets": len(aligned),
      "triplets on whose odd one the two disagree": int(differ.sum()),
  }
  return dataset_lib.Dataset(
      title=title,
      note=note,
      counts={name: f"{n:,}" for name, n in counts.items()},
      cluster_names=[f"cluster {c}: {sizes[c]} images" for c in shown],
      cluster_images=np.array([[thumbnail(i) for i in row] for row in rows]),
      triplets=np.array([[thumbnail(i) for i in row] for row in triplets]),
      names=np.vectorize(lambda name: pathlib.PurePosixPath(name).stem)(
          reps.filenames[triplets]
      ),
      odd={
          name: where[np.arange(len(picked)), odd[picked]]
          for name, odd in choices.items()
      },
      probabilities=np.take_along_axis(p, pairs, axis=1),
      matrices={
          "before": similarity.matrix(some, kind="cosine"),
          "after": similarity.matrix(
              transforms.load(transform)(some), kind="cosine"
          ),
      },
      matrix_groups=np.repeat(np.arange(len(shown)), few),
      entropies=_entropies(responses),
  )


def _choices_of_same_rows(opened) -> dict[str, np.ndarray]:
  """Position of each one's odd image in the rows of the aligned file."""
  own = opened["aligned"].indices
  choices = {}
  for name, file in opened.items():
    odd = file.indices[:, 2:]  # Canonical: the odd one is last.
    choices[name] = (own == odd).argmax(axis=1)
  return choices


def _gallery(shown, trials, store, level, rng) -> dict[str, Any]:
  """A few trials of each set, half of them such that the models differ."""
  sets = list(trials)
  parts = []
  for name in sets:
    t = trials[name]
    choices = {
        model: ties.first_largest(
            similarity.of_triplets(x, t.indices, "cosine")
        )
        for model, x in shown.items()
    }
    differ = choices["base"] != choices["aligned"]
    n = max(2, _GALLERY // len(sets))
    picked = np.concatenate(
        [
            _choose(np.flatnonzero(differ), n - n // 2, rng),
            _choose(np.flatnonzero(~differ), n // 2, rng),
        ]
    )
    for row in picked:
      # Canonical rows have the odd one last: show it in any place.
      order = rng.permutation(3)
      where = np.argsort(order)
      pairs = [order[a] + order[b] - 1 for a, b in ((0, 1), (0, 2), (1, 2))]
      parts.append(
          {
              "images": store[t.indices[row][order]],
              "expected": where[2],
              "names": store.labels[level].names[
                  store.labels[level].ids[t.indices[row][order]]
              ],
              "probabilities": t.probabilities[row][pairs],
              "label": name,
              **{
                  model: where[ODD[choice[row]]]
                  for model, choice in choices.items()
              },
          }
      )
  stacked = {key: np.stack([part[key] for part in parts]) for key in parts[0]}
  return dict(
      gallery_images=stacked["images"],
      gallery_expected=stacked["expected"],
      gallery_choices={model: stacked[model] for model in shown},
      gallery_names=stacked["names"],
      gallery_probabilities=stacked["probabilities"],
      gallery_labels=stacked["label"],
  )


def _choose(rows: np.ndarray, n: int, rng) -> np.ndarray:
  return rng.choice(rows, min(n, len(rows)), replace=False)


def _some_of_each(concepts, rows, n, rng) -> np.ndarray:
  """At most n of the rows of each concept, chosen at random."""
  rows = rng.permutation(rows)
  return np.concatenate(
      [rows[concepts[rows] == c][:n] for c in np.unique(concepts[rows])]
  )


def _curves(runs, set_names) -> dict[str, dict[str, np.ndarray]]:
  """Learning curves from the scalars of the trainings."""
  # pylint: disable=g-import-not-at-top
  from alignet.training import writer

  curves = {}
  for model, workdir in runs.items():
    folder = pathlib.Path(workdir) / "scalars"
    wanted = {"training loss (nats)": ("train", "losses/total")} | {
        f"agreement (proportion), {text}": ("observers", name)
        for name, text in set_names.items()
    }
    for title, (collection, name) in wanted.items():
      path = folder / f"{collection}.jsonl"
      if not path.exists():
        continue
      for key, values in writer.read_scalars(path).items():
        if key == name or key.endswith(f"/{name}"):
          curve = np.array([list(values), list(values.values())], float)
          curves.setdefault(title, {})[model] = curve
  return curves


def _entropies(targets) -> dict[str, np.ndarray]:
  """Kind of responses -> entropy of each target, in nats."""
  out = {}
  for name, path in targets.items():
    s, _ = npz.read_similarities_indices(path)
    out[name] = similarity.entropy(similarity.log_choice_probabilities(s))
  return out
