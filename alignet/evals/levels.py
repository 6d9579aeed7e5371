"""Representations on Levels: three levels of abstraction, and all together."""

from collections.abc import Mapping
from typing import Any

from alignet import similarity
from alignet.data import levels as levels_lib
from alignet.errors import AlignetError
from alignet.scores import ceilings
from alignet.scores import choice_scores
from alignet.scores import odd_one_out
from alignet.scores import pairs
from alignet.scores import probabilistic
from alignet.scores import response_times
from alignet.scores import triplet_rsa
from alignet.triplets import PAIRS
import numpy as np

SOURCE = "human/levels"


def evaluate(
    features: np.ndarray,
    filenames: np.ndarray,
    levels: levels_lib.Levels,
    *,
    kind: similarity.Kind = "cosine",
    baseline: tuple[np.ndarray, similarity.Kind] | None = None,
    seed: int = 0,
    resamples: int = 1000,
    minimum_shown: int = 5,
) -> dict[str, Any]:
  """All scores on Levels.

  Both accuracies are given: `accuracy` against each single answer, whose bounds
  are among the ceilings, and `modal` against the most frequent answer of each
  triplet, whose bound is 1 and not people's reliability.

  Args:
    features: (n, d), one row an image.
    filenames: (n,) str; images are joined by name, answers with an image that
      is not there are left out and counted.
    levels: the answers, after any exclusions.
    kind: similarity of the features.
    baseline: features of another model for the same images, and its similarity,
      for paired differences.
    seed: of temperatures, split halves and bootstrap.
    resamples: of the bootstrap over images and participants; 0 for none.
    minimum_shown: answers a pair of images needs for the triplet RSA.

  Returns:
    scores: `human/levels/{coarse,fine,boundary,all}/{accuracy, modal, nll,
      nll_fitted, nll_participant, brier, brier_fitted, response_time}` and
      `human/levels/all/triplet_rsa`, as `choice_scores.summarise` gives them
      (the last two are correlations: mean and n alone; None for a model that
      they are undefined for).
    undefined: name of such a score to the reason, of the baseline's after
      "baseline: ".
    ceilings: level to `ceilings.summary`.
    coverage: images and answers, here and in all.

  Raises:
    AlignetError: too few of the images are there, NaN.
  """
  rows, covered = levels_lib.rows_of_images(levels, filenames)
  if covered.sum() < 2:
    raise AlignetError(
        f"Levels: the representations cover {int((rows >= 0).sum())} of"
        f" {len(rows)} images and no two answers; extract those of"
        " levels.npz's images (their names are in it)"
    )
  coverage = {
      "images": int((rows >= 0).sum()),
      "images_in_all": len(rows),
      "answers": int(covered.sum()),
      "answers_in_all": len(levels),
  }
  levels = levels.take(covered)
  ours = _rows(features, rows, levels, kind, seed)
  theirs = (
      _rows(baseline[0], rows, levels, baseline[1], seed) if baseline else None
  )
  scores, bounds, undefined = {}, {}, {}
  numbers = levels.stimulus_numbers
  groups = [
      (name, levels.kinds == levels_lib.KINDS.index(k))
      for k, name in levels_lib.LEVELS.items()
  ]
  for name, inside in [*groups, ("all", np.ones(len(levels), bool))]:
    if inside.sum() < 2:
      continue
    of_answers = choice_scores.summarise(
        _some(ours["answers"], inside),
        levels.stimuli[inside],
        participants=levels.participants[inside],
        baseline=_some(theirs["answers"], inside) if theirs else None,
        seed=seed,
        resamples=resamples,
    )
    # One row a triplet: its first answer stands for it.
    first = np.zeros(len(levels), bool)
    first[np.unique(np.where(inside, numbers, -1), return_index=True)[1]] = True
    first &= inside
    of_stimuli = choice_scores.summarise(
        _some(ours["stimuli"], first),
        levels.stimuli[first],
        baseline=_some(theirs["stimuli"], first) if theirs else None,
        seed=seed,
        resamples=resamples,
    )
    for key, value in {**of_answers, **of_stimuli}.items():
      scores[f"{SOURCE}/{name}/{key}"] = value
    found, reasons = _correlations(
        ours, theirs, levels, inside, name, minimum_shown
    )
    for key, value in found.items():
      scores[f"{SOURCE}/{name}/{key}"] = value
    for key, value in reasons.items():
      undefined[f"{SOURCE}/{name}/{key}"] = value
    bounds[name] = ceilings.summary(
        np.unique(numbers[inside], return_inverse=True)[1],
        levels.chosen[inside],
        levels.participants[inside],
        rng=np.random.default_rng(seed),
    )
  return {
      "scores": scores,
      "undefined": undefined,
      "ceilings": bounds,
      "coverage": coverage,
  }


def _rows(features, rows, levels, kind, seed) -> dict[str, Any]:
  """Scores of each answer, in the order of the answers."""
  stimuli, place = np.unique(levels.stimuli, axis=0, return_inverse=True)
  place = place.reshape(-1)
  s = pairs.similarities(features, rows[stimuli], kind).astype(np.float64)[
      place
  ]
  # The pair that was chosen first; the order of the others does not matter.
  orders = np.array([(0, 1, 2), (1, 0, 2), (2, 0, 1)])
  chosen = np.take_along_axis(s, orders[levels.chosen], axis=1)
  shares = ceilings.probabilities(place, levels.chosen)
  rng = np.random.default_rng(seed)
  temperature = probabilistic.fit_temperature(chosen)
  return {
      "answers": choice_scores.of_choices(
          chosen, rng=rng, participants=levels.participants
      ),
      "stimuli": {"modal": odd_one_out.modal(s, shares)},
      "entropy": probabilistic.entropy(
          probabilistic.log_probabilities(s, temperature)
      ),
      "similarities": s,
  }


def _some(rows: Mapping[str, np.ndarray], inside) -> dict[str, np.ndarray]:
  return {key: value[inside] for key, value in rows.items()}


def _correlations(
    ours, theirs, levels, inside, name, minimum
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
  """Response times and triplet RSA, where there is enough to correlate.

  Returns:
    Scores, and why those that are None are so.
  """
  z = response_times.z_scores(levels.times[inside], levels.participants[inside])

  def time(model):
    return response_times.correlation(
        model["entropy"][inside],
        levels.times[inside],
        levels.participants[inside],
    )

  tasks = [("response_time", time, int(np.isfinite(z).sum()))]
  if name == "all":
    found = triplet_rsa.pairs(levels.triplets, minimum=minimum)

    def rsa(model):
      s = _similarities_of_pairs(model["similarities"], levels, found.objects)
      return triplet_rsa.correlation(found, s)

    tasks.append(("triplet_rsa", rsa, len(found.kept)))
  out, reasons = {}, {}
  for key, task, n in tasks:
    if n < 3:
      continue
    mean, reason = _defined(task, ours)
    out[key] = {"mean": mean, "n": n}
    if reason:
      reasons[key] = reason
    if theirs:
      other, reason = _defined(task, theirs)
      known = mean is not None and other is not None
      out[key]["baseline"] = other
      out[key]["difference"] = {"mean": mean - other if known else None}
      if reason:
        reasons.setdefault(key, f"baseline: {reason}")
  return out, reasons


def _defined(task, model) -> tuple[float | None, str | None]:
  """A correlation, or None and the reason: a model may see no difference."""
  try:
    return task(model), None
  except AlignetError as e:
    return None, str(e)


def _similarities_of_pairs(similarities, levels, objects) -> np.ndarray:
  """A model's similarities of pairs of images, of the answers' (n, 3)."""
  n = len(levels.images)
  codes = np.concatenate(
      [
          levels.stimuli[:, a].astype(np.int64) * n + levels.stimuli[:, b]
          for a, b in PAIRS
      ]
  )
  known, first = np.unique(codes, return_index=True)
  values = similarities.T.reshape(-1)[first]
  return values[np.searchsorted(known, objects[:, 0] * n + objects[:, 1])]
