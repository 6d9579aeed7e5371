"""How many concepts, how many judgments? Held-out agreement over both.

For people who plan an experiment in a new domain: subsets of the concepts and
of single hard choices about them, a teacher of each, scored on the same
concepts that none of them saw.
"""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import progress
from alignet.triplets import similarity
import numpy as np
from uncertainty_distillation import crossval
from uncertainty_distillation import fit
from uncertainty_distillation.config import Config
from uncertainty_distillation.inputs import Inputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
  """A teacher of so many concepts and choices.

  Attributes:
    concepts: how many were judged.
    choices: how many hard choices about them.
    seed: of the subsets.
    agreement: with people's likeliest pair, on held-out concepts.
    expected: mean probability people give to the pair chosen.
  """

  concepts: int
  choices: int
  seed: int
  agreement: float
  expected: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Missing:
  """So many concepts and choices, of which there is no teacher.

  Attributes:
    concepts: how many should be judged.
    choices: how many choices about them were asked for.
    seed: of the subsets.
    reason: why there is none.
  """

  concepts: int
  choices: int
  seed: int
  reason: str


class Curve(NamedTuple):
  """What a budget buys, and the numbers for which that cannot be said."""

  points: list[Point]
  missing: list[Missing]


def curve(
    data: Inputs,
    config: Config,
    *,
    n_concepts: Sequence[int],
    n_choices: Sequence[int],
    held_out: float = 0.2,
    seeds: Sequence[int] = (0,),
    trials: int = 5000,
) -> Curve:
  """Fits a teacher for each pair of numbers.

  Smaller subsets are part of the larger ones. Choices are about random triplets
  of a subset, which may come up again, and are drawn from the probabilities of
  the embedding or posterior, or of the triplets that were judged, as single
  people would answer. What is a choice already counts once. No embedding helps
  the fit, since a new domain has none.

  Args:
    data: representations and judgments.
    config: of the fits.
    n_concepts: numbers of concepts to learn from.
    n_choices: numbers of choices.
    held_out: share of the concepts to score on.
    seeds: each deals out concepts and choices anew.
    trials: to score on, at most.

  Returns:
    A point for each fit; the others are missing.

  Raises:
    AlignetError: more concepts asked for than there are to learn from, no
      judgment among the held-out ones, or not one point.
  """
  present = np.unique(data.concepts)
  n_held = max(3, round(held_out * len(present)))
  if not n_concepts or not n_choices:
    raise AlignetError("budget: expected numbers of concepts and of choices")
  if max(n_concepts) > len(present) - n_held:
    raise AlignetError(
        f"budget: expected at most {len(present) - n_held} concepts to learn"
        f" from, {n_held} being held out, found {max(n_concepts)}"
    )
  points, missing = [], []
  work = [(s, k) for s in seeds for k in n_concepts]
  for seed, k in progress.bar(work, desc="budget", unit="fit"):
    rng = np.random.default_rng([seed, 0x62756467])
    order = rng.permutation(present)
    held = _some(data, order[:n_held], trials, seed, rng)
    if not len(held):
      raise AlignetError(
          f"budget: no judgment lies within the {n_held} held-out concepts;"
          " hold out more of them, or give more judgments"
      )
    images = crossval.draw_images(data.concepts, held.triplets, rng)
    learnt = order[n_held : n_held + k]
    about = _some(data, learnt, max(n_choices), seed, rng, repeat=True)
    # Of none there is nothing to sample; they are listed as missing below.
    own = (
        judgments_lib.sample_choices(about, seed=seed) if len(about) else about
    )
    inside = np.isin(data.concepts, learnt)
    for m in n_choices:
      numbers = {"concepts": k, "choices": m, "seed": seed}
      if m > len(own):
        missing.append(
            Missing(**numbers, reason=f"there are {len(own)} choices")
        )
        continue
      try:
        transform, _ = fit.fit(
            data.features[inside],
            data.concepts[inside],
            judgments_lib.take(own, slice(m)),
            dataclasses.replace(config, seed=seed),
        )
      except AlignetError as e:  # So few cannot teach.
        missing.append(Missing(**numbers, reason=str(e)))
        continue
      s = similarity.of_triplets(transform(data.features), images)
      scores = crossval.score(s, held.probabilities, 1.0)
      points.append(
          Point(
              **numbers,
              agreement=float(scores["agreement"].mean()),
              expected=float(scores["expected"].mean()),
          )
      )
  if not points:
    raise AlignetError(
        f"budget: no teacher of these numbers, first {missing[0].concepts}"
        f" concepts and {missing[0].choices} choices: {missing[0].reason}"
    )
  return Curve(points, missing)


def _some(
    data: Inputs,
    concepts: np.ndarray,
    most: int,
    seed: int,
    rng: np.random.Generator,
    *,
    repeat: bool = False,
) -> Judgments:
  """At most so many judgments of concepts; given ones may be repeated."""
  if data.predict is not None:
    rows = judgments_lib.random_triplets(len(concepts), most, seed=seed)
    return data.predict(concepts[rows])
  given = judgments_lib.within(
      data.judgments, np.isin(np.arange(data.judgments.n_concepts), concepts)
  )
  certain = (given.probabilities.max(axis=1) == 1).all()
  if repeat and not certain:
    return judgments_lib.take(given, rng.integers(len(given), size=most))
  return judgments_lib.take(given, rng.permutation(len(given))[:most])
