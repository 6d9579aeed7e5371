"""Representations on Levels: three levels of abstraction, and all together.

Intervals draw images, and for scores of single answers people, too. What is not
computed again in a resample: the most frequent answers that `modal` is against,
the shares of answers that `triplet_rsa` correlates with (fewer people give
noisier ones, so that resamples of people would say too little of both), the
z-scores of response times and the temperatures. The entropy that response times
are correlated with is at one temperature, fitted on all answers of the level
`all`: it is no score, and a rank correlation hardly knows it.
"""

import dataclasses
from typing import Any

from alignet.errors import AlignetError
from alignet.evals import evaluation
from alignet.evals.evaluation import flag
from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import ceilings
from alignet.evals.scores.choices import choice_scores
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.evals.scores.choices import response_times
from alignet.evals.scores.choices import triplet_rsa
from alignet.evals.scores.rdms import rank_correlation
from alignet.human import levels as levels_lib
from alignet.io import files
from alignet.triplets import similarity
from alignet.triplets.layout import PAIRS
import numpy as np

SOURCE = "human/levels"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Levels, and which of its answers are left out.

  Attributes:
    levels: levels.npz, as `alignet fetch levels` makes it.
    shortest: answers quicker than this are left out, in the file's unit.
    longest: answers slower than this are left out.
    no_repeats: a person's first answer to a triplet is kept only.
  """

  levels: files.Path | None = flag(is_path=True, metavar="levels.npz")
  shortest: float | None = flag(
      type=float, help="leave out quicker answers of Levels"
  )
  longest: float | None = flag(
      type=float, help="leave out slower answers of Levels"
  )
  no_repeats: bool = flag(
      False, help="keep a person's first answer to a triplet only"
  )


class Levels(evaluation.Evaluation):
  """People at three levels of abstraction; see `evaluate`."""

  Settings = Settings
  needs = "levels.npz of `alignet fetch levels`, its images joined by file name"
  shown = {"human": evaluation.PEOPLE}

  def sets(self, suite):
    del suite
    return (SOURCE,)

  def inputs(self, suite):
    return {"levels": suite.levels}

  def compute(self, suite, models):
    levels, left_out = levels_lib.exclude(
        levels_lib.read(suite.levels),
        levels_lib.Exclusions(
            shortest=suite.shortest,
            longest=suite.longest,
            repeats=suite.no_repeats,
        ),
    )
    baseline = models.baseline
    found = evaluate(
        models.model.features,
        models.model.filenames,
        levels,
        kind=models.model.kind,
        baseline=(baseline.features, baseline.kind) if baseline else None,
        seed=suite.seed,
        resamples=suite.resamples,
    )
    scores = found.pop("scores")
    details = {SOURCE: {**found, "left_out": left_out}}
    return evaluation.Result(scores=scores, details=details)


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
      nll_fitted, nll_participant, brier, brier_fitted, calibration_error,
      calibration_error_fitted, response_time}` and
      `human/levels/all/triplet_rsa`, as `choice_scores.summarise` gives them
      (the last two are correlations: None for a model that they are undefined
      for).
    undefined: name of such a score to the reason, of the baseline's after
      "baseline: ".
    ceilings: level to `ceilings.summary`.
    coverage: images and answers, here and in all.
    drawn: what a bootstrap draws, images and participants; of modal and
      triplet_rsa images alone.

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
  models = [
      _rows(*model, rows, levels, seed)
      for model in ((features, kind), baseline)
      if model
  ]
  scores, bounds, undefined = {}, {}, {}
  numbers = levels.stimulus_numbers
  groups = [
      (name, levels.kinds == levels_lib.KINDS.index(k))
      for k, name in levels_lib.LEVELS.items()
  ]
  for name, inside in [*groups, ("all", np.ones(len(levels), bool))]:
    if inside.sum() < 2:
      continue
    # One row a triplet: its first answer stands for it.
    first = np.zeros(len(levels), bool)
    first[np.unique(np.where(inside, numbers, -1), return_index=True)[1]] = True
    found = {}
    for part, some, participants in (
        ("answers", inside, levels.participants[inside]),
        ("stimuli", first & inside, None),
    ):
      ours, *theirs = (
          {k: v[some] for k, v in model[part].items()} for model in models
      )
      found |= choice_scores.summarise(
          ours,
          levels.stimuli[some],
          participants=participants,
          baseline=theirs[0] if theirs else None,
          seed=seed,
          resamples=resamples,
      )
    more, reasons = _correlations(
        models, levels, inside, name, minimum_shown, seed, resamples
    )
    for key, value in {**found, **more}.items():
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
      "drawn": ["images", "participants"],
  }


def _rows(features, kind, rows, levels, seed) -> dict[str, Any]:
  """Scores of each answer, in the order of the answers.

  What is ranked or compared is computed once for each triplet, so that answers
  to the same images are ties.
  """
  stimuli, place = np.unique(levels.stimuli, axis=0, return_inverse=True)
  place = place.reshape(-1)
  used, images = np.unique(rows[stimuli], return_inverse=True)
  # In float64: float32 puts images that are nearly alike into another order.
  z = np.asarray(features[used], np.float64)
  of_stimuli = similarity.of_triplets(z, images.reshape(-1, 3), kind)
  s = of_stimuli[place]
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
      "uncertainty": -probabilistic.certainty(of_stimuli, temperature)[place],
      "similarities": s,
  }


def _correlations(
    models, levels, inside, name, minimum, seed, resamples
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
  """Response times and triplet RSA, where there is enough to correlate.

  Returns:
    Scores, and why those that are None are so.
  """
  z = response_times.z_scores(levels.times[inside], levels.participants[inside])
  timed = np.flatnonzero(inside)[np.isfinite(z)]
  # Of each task: a model's values, people's, and what a bootstrap draws.
  tasks = {
      "response_time": (
          lambda model: model["uncertainty"][timed],
          z[np.isfinite(z)],
          levels.stimuli[timed],
          levels.participants[timed],
      )
  }
  if name == "all":
    found = triplet_rsa.pairs(levels.triplets, minimum=minimum)
    tasks["triplet_rsa"] = (
        lambda model: _similarities_of_pairs(
            model["similarities"], levels, found.objects
        ),
        found.kept,
        found.objects[:, [0, 1, 1]],
        None,
    )
  out, reasons = {}, {}
  for key, (values, people, images, participants) in tasks.items():
    if len(people) < 3:
      continue
    rhos = [
        rank_correlation.WeightedSpearman(values(model), people)
        for model in models
    ]
    means = [rho(np.ones(len(people))) for rho in rhos]
    draws = np.empty((0, len(rhos)))
    if resamples:
      draws = bootstrap.draws(
          lambda weights, rhos=rhos: [rho(weights) for rho in rhos],
          images,
          rng=np.random.default_rng(seed),
          participants=participants,
          resamples=resamples,
      )
    n = min(len(people), len(np.unique(images)))
    out[key] = bootstrap.score(means[0], draws[:, 0], n=n)
    out[key]["n"] = len(people)
    if len(means) > 1:
      out[key]["baseline"] = bootstrap.score(means[1])["mean"]
      out[key]["difference"] = bootstrap.score(
          means[0] - means[1], draws[:, 0] - draws[:, 1], n=n
      )
    for mean, of in reversed(list(zip(means, ("", "baseline: ")))):
      if np.isnan(mean):
        reasons[key] = f"{of}expected values that differ, found equal ones"
  return out, reasons


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
