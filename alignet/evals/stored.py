"""Stored representations against each kind of judgments.

Each function gives `scores`, name to mean and interval. Names begin with their
source: `synthetic/…` AligNet's responses, `simulated/…` simulated observers,
`vice/…` an embedding of people's choices, `human/…` people themselves. The
first three say how well a target is met; only the last say anything about
people.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from alignet import transforms
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.evals.scores.choices import ceilings
from alignet.evals.scores.choices import choice_scores
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.representations import store
from alignet.triplets import similarity
from alignet.triplets.layout import ODD
import numpy as np

SOURCES = ("human", "simulated", "synthetic", "vice")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Model:
  """Representations to evaluate.

  Attributes:
    features: (n, d) finite floats, possibly a memory map.
    filenames: (n,) str.
    labels: level to labels of the n images.
    kind: similarity that the representations are compared by.
  """

  features: np.ndarray
  filenames: np.ndarray
  labels: Mapping[str, labels_lib.Labels]
  kind: similarity.Kind = "cosine"


def open_model(
    directory: files.Path,
    *,
    transform: files.Path | None = None,
    kind: similarity.Kind | None = None,
) -> Model:
  """Opens a directory of representations for evaluation.

  Args:
    directory: as `alignet extract` writes it.
    transform: affine transform to apply first.
    kind: similarity; None for dot with a transform and cosine without.

  Raises:
    AlignetError: a broken directory or transform, NaN.
  """
  opened = store.open(directory)
  files.check_finite(opened.features, f"features in {directory}")
  features = opened.features
  if transform:
    features = transforms.load(transform)(features)
  return Model(
      features=features,
      filenames=opened.filenames,
      labels=opened.labels,
      kind=kind or ("dot" if transform else "cosine"),
  )


def on_trials(
    model: Model,
    path: files.Path,
    *,
    source: str,
    name: str = "",
    baseline: Model | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Agreement with choice probabilities kept in AligNet's format.

  Args:
    model: representations of the images that the file names.
    path: one npz, or a folder with a set in each.
    source: one of `SOURCES`, who answered.
    name: of the set, by default the file's; see `trials.find`.
    baseline: another model, for paired differences.
    seed: of temperatures and bootstrap.
    resamples: of the bootstrap over concepts, where all images of the set's
      trials have one, and else over images; 0 for none.

  Returns:
    `{source}/{set}/{modal, expected, cross_entropy, kl, brier, …_fitted,
    calibration_error, calibration_error_fitted}`; and details, `{source}/{set}`
    to {"drawn": what the bootstrap draws, ["concepts"] or ["images"]}.

  Raises:
    AlignetError: an unknown source, images of other names, a broken file.
  """
  check_source(source)
  out, details = {}, {}
  for set_name, file in trials_lib.find(path, name).items():
    trials = trials_lib.read(file, image_names=model.filenames)
    similarities = [
        similarity.of_triplets(m.features, trials.indices, m.kind)
        for m in (model, baseline)
        if m is not None
    ]
    rows = [
        choice_scores.of_probabilities(
            s, trials.probabilities, rng=np.random.default_rng(seed)
        )
        for s in similarities
    ]
    objects, drawn = objects_of(model.labels, trials.indices)
    found = choice_scores.summarise(
        rows[0],
        objects,
        baseline=rows[1] if baseline else None,
        seed=seed,
        resamples=resamples,
    )
    out |= {f"{source}/{set_name}/{key}": value for key, value in found.items()}
    details[f"{source}/{set_name}"] = {"drawn": [drawn]}
  return out, details


def objects_of(
    labels: Mapping[str, labels_lib.Labels],
    images: np.ndarray,
    level: str = "concept",
) -> tuple[np.ndarray, str]:
  """What a bootstrap draws: classes where all images have one, or images.

  Args:
    labels: of all images, by level.
    images: rows of those that are judged, of any shape.
    level: of the classes.

  Returns:
    Integers of that shape, and "concepts" or "images".
  """
  if level in labels:
    ids = labels[level].ids[images].astype(np.int64)
    if (ids != labels_lib.UNLABELLED).all():
      return ids, "concepts"
  return np.asarray(images, np.int64), "images"


def check_source(source: str) -> None:
  """Fails where a source is none of `SOURCES`."""
  if source not in SOURCES:
    raise AlignetError(
        f"source: expected one of {', '.join(SOURCES)}, found {source!r}"
    )


def on_choices(
    model: Model,
    triplets: np.ndarray,
    *,
    name: str = "human/things",
    participants: np.ndarray | None = None,
    baseline: Model | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Agreement with people's choices among concepts.

  A concept is represented by the mean of its images' representations.

  Args:
    model: with labels of the level concept.
    triplets: (n, 3) concept numbers, the odd one last.
    name: first part of the scores' names.
    participants: (n,) integers.
    baseline: another model of the same images.
    seed: of temperatures and bootstrap.
    resamples: of the bootstrap over concepts, and participants if there are
      any; 0 for none.

  Returns:
    `{name}/{accuracy, nll, brier, …}`; and details: ceilings, as
    `ceilings_of_choices` of the choices scored; without_images, the number of
    choices left out because one of their concepts has no image; drawn, what
    the bootstrap draws.

  Raises:
    AlignetError: no concepts, or fewer than two choices are left.
  """
  if "concept" not in model.labels:
    raise AlignetError(
        "the representations have no labels of the level concept; extract them"
        " with --concepts=concepts.tsv"
    )
  ids = model.labels["concept"].ids
  n = len(model.labels["concept"].names)
  if triplets.max(initial=0) >= n:
    raise AlignetError(
        f"choices: expected concepts from 0 to {n - 1}, found {triplets.max()}"
    )
  known = np.bincount(ids[ids >= 0], minlength=n) > 0
  used = known[triplets].all(axis=1)
  if used.sum() < 2:
    raise AlignetError(
        f"of {len(triplets)} choices {used.sum()} are among the"
        f" {known.sum()} concepts that have images; give more images"
    )
  triplets = triplets[used]
  participants = None if participants is None else participants[used]
  similarities = [
      similarity.of_triplets(_means(m.features, ids, n), triplets, m.kind)
      for m in (model, baseline)
      if m is not None
  ]
  rows = [
      choice_scores.of_choices(
          s, rng=np.random.default_rng(seed), participants=participants
      )
      for s in similarities
  ]
  found = choice_scores.summarise(
      rows[0],
      triplets,
      participants=participants,
      baseline=rows[1] if baseline else None,
      seed=seed,
      resamples=resamples,
  )
  return {f"{name}/{key}": value for key, value in found.items()}, {
      "ceilings": ceilings_of_choices(triplets, participants, seed=seed),
      "without_images": int((~used).sum()),
      "drawn": ["concepts"] + ["participants"] * (participants is not None),
  }


def ceilings_of_choices(
    triplets: np.ndarray,
    participants: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> Mapping[str, float | int | None] | None:
  """Noise ceilings of choices, from the triplets that were answered repeatedly.

  THINGS shows about a thousand triplets to many people for this purpose; other
  triplets have one answer and say nothing of a ceiling.

  Args:
    triplets: (n, 3) concept numbers, the odd one last.
    participants: (n,) integers; None where each answer is another person's.
    seed: of the split halves.

  Returns:
    As `ceilings.summary` of the answers to triplets that two people or more
    answered, and None where there are none.
  """
  order = np.argsort(triplets, axis=1)
  _, stimuli = np.unique(
      np.take_along_axis(triplets, order, axis=1), axis=0, return_inverse=True
  )
  stimuli = stimuli.reshape(-1)
  people = np.arange(len(stimuli)) if participants is None else participants
  asked = np.unique(np.stack([stimuli, people], axis=1), axis=0)[:, 0]
  repeated = np.bincount(asked)[stimuli] > 1
  if not repeated.any():
    return None
  # Where the odd one, the last, lies among the ascending numbers.
  chosen = np.array(ODD)[(order == 2).argmax(axis=1)]
  return ceilings.summary(
      np.unique(stimuli[repeated], return_inverse=True)[1],
      chosen[repeated],
      people[repeated],
      rng=np.random.default_rng(seed),
  )


def _means(features: np.ndarray, ids: np.ndarray, n: int) -> np.ndarray:
  """(n, d) float64 mean of each concept's rows, 0 where there are none."""
  order = np.argsort(ids, kind="stable")
  order = order[ids[order] >= 0]
  out = np.zeros((n, features.shape[1]))
  for start in range(0, len(order), 8192):
    rows = np.sort(order[start : start + 8192])
    np.add.at(out, ids[rows], np.asarray(features[rows], np.float64))
  counts = np.bincount(ids[order], minlength=n)
  return out / np.maximum(counts, 1)[:, None]
