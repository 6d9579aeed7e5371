"""People's odd-one-out choices among concepts, such as those of THINGS.

A concept is represented by the mean of its images' representations.
"""

from collections.abc import Mapping
import dataclasses
import functools

from alignet.errors import AlignetError
from alignet.evals import evaluation
from alignet.evals.evaluation import flag
from alignet.evals.scores.choices import ceilings
from alignet.evals.scores.choices import choice_scores
from alignet.human import readers
from alignet.io import files
from alignet.triplets import layout
from alignet.triplets import similarity
from alignet.triplets.layout import ODD
import numpy as np

SET = "human/things"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Choices among concepts.

  Attributes:
    things: THINGS' csv, or an npy of concept numbers, the odd one last.
    things_odd: column of the odd one in such an npy.
    concept_list: names of the concepts that these number.
  """

  things: files.Path | None = flag(
      is_path=True,
      metavar="FILE",
      help="choices among concepts: THINGS' csv, or .npy, odd one last",
  )
  things_odd: str | None = flag(
      choices=layout.COLUMNS,
      help="column of the odd one in choices as .npy or text (default: last)",
  )
  concept_list: files.Path | None = flag(
      is_path=True,
      metavar="concepts.tsv",
      help="what the choices' numbers mean",
  )


class Things(evaluation.Evaluation):
  """Agreement with people's choices: `human/things/{accuracy, nll, …}`.

  Details: `ceilings`, as `ceilings_of_choices` of the choices scored;
  `without_images`, the number of choices left out because one of their concepts
  has no image; `unknown_concepts`; `drawn`, what the bootstrap draws.
  """

  Settings = Settings
  needs = "choices, the list of their concepts, images labelled with concepts"
  shown = {"human": evaluation.PEOPLE}

  def sets(self, suite):
    del suite
    return (SET,)

  def inputs(self, suite):
    return {"things": suite.things}

  def check(self, suite):
    if not suite.concept_list:
      raise AlignetError(
          "--things needs --concept_list=concepts.tsv: what its numbers mean"
      )
    if suite.things_odd and _is_csv(suite.things):
      raise AlignetError(
          "--things_odd: a csv says itself which one was chosen; leave it out"
      )

  def compute(self, suite, models):
    labels = models.model.labels
    if "concept" not in labels:
      raise AlignetError(
          "--things needs representations with the level concept; extract them"
          " with --concepts=concepts.tsv"
      )
    path, is_csv = suite.things, _is_csv(suite.things)
    read = readers.read_things_csv
    if not is_csv:
      read = functools.partial(
          readers.read_triplets, odd=suite.things_odd or "last"
      )
    choices = read(
        path,
        labels["concept"].names,
        names=suite.concept_list,
        on_unknown="drop",
    )
    result = score(
        models,
        choices.triplets,
        participants=choices.participant,
        seed=suite.seed,
        resamples=suite.resamples,
    )
    if not is_csv:
      right = result.rows[f"{SET}/accuracy"]
      layout.check_agreement(
          right, suite.things_odd, what=path, flag="--things_odd"
      )
    details = {"unknown_concepts": choices.report.unknown}
    return dataclasses.replace(
        result, details={SET: {**result.details[SET], **details}}
    )


def _is_csv(path: files.Path) -> bool:
  return str(path).removesuffix(".gz").endswith(".csv")


def score(
    models: evaluation.Models,
    triplets: np.ndarray,
    *,
    name: str = SET,
    participants: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> evaluation.Result:
  """Agreement with choices that are already read.

  Args:
    models: with labels of the level concept.
    triplets: (n, 3) concept numbers, the odd one last.
    name: first part of the scores' names.
    participants: (n,) integers.
    seed: of temperatures and bootstrap.
    resamples: of the bootstrap over concepts, and participants if there are
      any; 0 for none.

  Raises:
    AlignetError: no concepts, or fewer than two choices are left.
  """
  if "concept" not in models.model.labels:
    raise AlignetError(
        "the representations have no labels of the level concept; extract them"
        " with --concepts=concepts.tsv"
    )
  ids = models.model.labels["concept"].ids
  n = len(models.model.labels["concept"].names)
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
  ours, *theirs = (
      choice_scores.of_choices(
          similarity.of_triplets(_means(m.features, ids, n), triplets, m.kind),
          rng=np.random.default_rng(seed),
          participants=participants,
      )
      for m in models.tested
  )
  found = choice_scores.summarise(
      ours,
      triplets,
      participants=participants,
      baseline=theirs[0] if theirs else None,
      seed=seed,
      resamples=resamples,
  )
  details = {
      "ceilings": ceilings_of_choices(triplets, participants, seed=seed),
      "without_images": int((~used).sum()),
      "drawn": ["concepts"] + ["participants"] * (participants is not None),
  }
  return evaluation.Result(
      scores={f"{name}/{key}": value for key, value in found.items()},
      details={name: details},
      rows={f"{name}/{key}": value for key, value in ours.items()},
  )


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
