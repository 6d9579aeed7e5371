"""How many concepts, how many judgments? Held-out agreement over both.

For people who plan an experiment in a new domain: subsets of the concepts and
of single hard choices about them, a teacher of each, scored on the same
concepts that none of them saw.
"""

from collections.abc import Sequence
import dataclasses

from alignet import progress
from alignet import similarity
from alignet.errors import AlignetError
import numpy as np
from uncertainty_distillation import crossval
from uncertainty_distillation import fit
from uncertainty_distillation import inputs
from uncertainty_distillation import judgments as judgments_lib
from uncertainty_distillation.config import Config
from uncertainty_distillation.judgments import Judgments


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


def curve(
    features: np.ndarray,
    concepts: np.ndarray | None,
    judgments: Judgments,
    config: Config,
    *,
    n_concepts: Sequence[int],
    n_choices: Sequence[int],
    held_out: float = 0.2,
    seeds: Sequence[int] = (0,),
    trials: int = 5000,
) -> list[Point]:
  """Fits a teacher for each pair of numbers.

  Smaller subsets are part of the larger ones. Choices are drawn from the
  judgments' probabilities, as single people would answer; no embedding helps
  the fit, since a new domain has none.

  Args:
    features: (n, d).
    concepts: (n,) integers; None where row i shows concept i.
    judgments: of all concepts, with probabilities where there are.
    config: of the fits.
    n_concepts: numbers of concepts to learn from.
    n_choices: numbers of choices; those that a subset of concepts does not
      have are left out.
    held_out: share of the concepts to score on.
    seeds: each deals out concepts and choices anew.
    trials: to score on, at most.

  Returns:
    A point for each fit.

  Raises:
    AlignetError: more concepts asked for than there are to learn from, or no
      judgment among the held-out ones.
  """
  features, concepts = inputs.check_features(
      features, concepts, judgments.n_concepts
  )
  present = np.unique(concepts)
  n_held = max(3, round(held_out * len(present)))
  if not n_concepts or not n_choices:
    raise AlignetError("budget: expected numbers of concepts and of choices")
  if max(n_concepts) > len(present) - n_held:
    raise AlignetError(
        f"budget: expected at most {len(present) - n_held} concepts to learn"
        f" from, {n_held} being held out, found {max(n_concepts)}"
    )
  points = []
  work = [(s, k) for s in seeds for k in n_concepts]
  for seed, k in progress.bar(work, desc="budget", unit="fit"):
    rng = np.random.default_rng([seed, 0x62756467])
    order = rng.permutation(present)
    held = judgments_lib.within(
        judgments, np.isin(np.arange(judgments.n_concepts), order[:n_held])
    )
    if not len(held):
      raise AlignetError(
          f"budget: no judgment lies within the {n_held} held-out concepts;"
          " hold out more of them, or give more judgments"
      )
    rows = np.sort(rng.permutation(len(held))[:trials])
    images = crossval.draw_images(concepts, held.triplets[rows], rng)
    learnt = np.isin(
        np.arange(judgments.n_concepts), order[n_held : n_held + k]
    )
    own = judgments_lib.sample_choices(
        judgments_lib.within(judgments, learnt), seed=seed
    )
    shuffled = rng.permutation(len(own))
    inside = learnt[concepts]
    for m in n_choices:
      if m > len(own):
        continue
      some = dataclasses.replace(
          own,
          triplets=own.triplets[shuffled[:m]],
          probabilities=own.probabilities[shuffled[:m]],
      )
      transform, _ = fit.fit(
          features[inside],
          concepts[inside],
          some,
          dataclasses.replace(config, seed=seed),
      )
      s = similarity.of_triplets(transform(features), images)
      scores = crossval.score(s, held.probabilities[rows], 1.0)
      points.append(
          Point(
              concepts=k,
              choices=m,
              seed=seed,
              agreement=float(scores["agreement"].mean()),
              expected=float(scores["expected"].mean()),
          )
      )
  return points
