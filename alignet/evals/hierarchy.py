"""How a model arranges classes: relative distances by level, and CKA."""

from collections.abc import Sequence
import dataclasses
from typing import Any

from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.evals import evaluation
from alignet.evals.evaluation import flag
from alignet.evals.model import Model
from alignet.evals.scores import bootstrap
from alignet.evals.scores import cka
from alignet.evals.scores import hierarchy
from alignet.report.shown import Shown
import numpy as np

ACROSS = "across"
"""Pairs of images that share no class at any level."""

"""With fewer, draws of classes say more of k than of the models: a resample
holds pairs of one class too often, by 1/k."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Levels of labels, from fine to coarse.

  Attributes:
    hierarchy: their names.
  """

  hierarchy: Sequence[str] = flag(
      (),
      type=evaluation.split,
      action="store",
      metavar="A,B",
      help=(
          "relative distances within these levels of labels and across, from"
          " fine to coarse: subordinate,basic,superordinate; with --baseline"
          " their change, and centred kernel alignment"
      ),
  )


class Hierarchy(evaluation.Evaluation):
  """How classes are arranged: see `on_hierarchy`."""

  Settings = Settings
  needs = "labels of these levels"
  shown = {
      "hierarchy": Shown(
          title="Distances in the hierarchy of classes",
          text=(
              "The mean distance of pairs of images over that of all pairs, by"
              " the finest level at which both have one class; the last line is"
              " pairs that share none. The difference is the change of relative"
              " distance: negative where a model pulls together, positive where"
              " it pushes apart."
          ),
          is_directed=False,
      ),
      "cka": Shown(
          title="Centred kernel alignment",
          text=(
              "How alike the two representations are up to rotation and scale:"
              " 1 for equal ones. The unbiased estimate does not depend on the"
              " number of images."
          ),
          is_directed=False,
          of_pair=True,
      ),
  }

  def check(self, suite):
    check_levels(suite.hierarchy)

  def compute(self, suite, models):
    scores, details = on_hierarchy(
        models.model,
        suite.hierarchy,
        baseline=models.baseline,
        seed=suite.seed,
        resamples=suite.resamples,
    )
    return evaluation.Result(scores=scores, details={"hierarchy": details})


def check_levels(levels: Sequence[str]) -> None:
  """Fails where names of levels are unknown, twice there or out of order."""
  unknown = [level for level in levels if level not in labels_lib.LEVELS]
  # A concept is beside the others, and may be finer than any of them.
  nested = [x for x in labels_lib.LEVELS if x in levels and x != "concept"]
  if (
      unknown
      or not levels
      or len(set(levels)) < len(levels)
      or nested != [x for x in levels if x != "concept"]
  ):
    raise AlignetError(
        "--hierarchy: expected some of"
        f" {', '.join(labels_lib.LEVELS)}, from fine to coarse and each once,"
        f" found {','.join(levels) or 'none'}"
    )


def on_hierarchy(
    model: Model,
    levels: Sequence[str],
    *,
    baseline: Model | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Relative distances at each level, and the change from a baseline.

  Args:
    model: representations with labels of all levels.
    levels: names, from fine to coarse.
    baseline: another model of the same images. The differences are changes,
      model minus baseline, both in the same resamples.
    seed: of the bootstrap over classes of the finest level.
    resamples: 0 for no intervals.

  Returns:
    `hierarchy/{level}`, pairs that share a class of this level but of none
    finer; `hierarchy/across`, pairs that share none; each as n (pairs), mean
    relative distance and interval, None where there is no such pair. With a
    baseline also `cka/biased` and `cka/unbiased`, of all images' raw features,
    whose interval is over images, from a jackknife.
    And details: levels, classes, images, left_out (images without a class at
    one of the levels), and no_intervals: why, with too few classes.

  Raises:
    AlignetError: unknown levels, or levels that the labels lack; fewer than two
      classes.
  """
  check_levels(levels)
  for level in levels:
    if level not in model.labels:
      raise AlignetError(
          f"--hierarchy: the representations have no labels of the level"
          f" {level!r}; found {', '.join(model.labels) or 'none'}"
      )
  tree = hierarchy.tree([model.labels[level].ids for level in levels])
  few = len(tree.shared) < bootstrap.FEWEST
  weights = (
      hierarchy.resample(
          tree, rng=np.random.default_rng(seed), resamples=resamples
      )
      if resamples and not few
      else None
  )
  ours = _values(model, tree, weights)
  theirs = None if baseline is None else _values(baseline, tree, weights)
  scores = {}
  for i, n in enumerate(hierarchy.pairs(tree).tolist()):
    name = levels[i] if i < len(levels) else ACROSS
    score = {**bootstrap.score(ours[0][i], ours[1][:, i]), "n": n}
    if theirs is not None:
      score["baseline"] = bootstrap.score(theirs[0][i])["mean"]
      score["difference"] = bootstrap.score(
          ours[0][i] - theirs[0][i], ours[1][:, i] - theirs[1][:, i]
      )
    scores[f"hierarchy/{name}"] = score
  if baseline is not None:
    pair = model.features, baseline.features
    found, n = cka.linear(*pair), len(model.features)
    errors = cka.Cka(np.nan, np.nan)
    if resamples and n >= 4 * cka.GROUPS:
      errors = cka.standard_error(*pair, rng=np.random.default_rng(seed))
    for name, value, se in zip(found._fields, found, errors):
      score = bootstrap.student_score(value, se, cka.GROUPS - 1)
      scores[f"cka/{name}"] = {**score, "n": n}
  details = {
      "levels": list(levels),
      "classes": len(tree.shared),
      "images": int((tree.classes >= 0).sum()),
      "left_out": int((tree.classes < 0).sum()),
  }
  if few and resamples:
    details["no_intervals"] = (
        f"{len(tree.shared)} classes are too few to draw from; at least"
        f" {bootstrap.FEWEST} are needed"
    )
  return scores, details


def _values(model, tree, weights) -> tuple[np.ndarray, np.ndarray]:
  """(L + 1,) values, and (r, L + 1) those of the resamples."""
  once = np.ones((1, len(tree.shared)))
  given = once if weights is None else np.concatenate([once, weights])
  values = hierarchy.relative_distances(
      model.features, tree, kind=model.kind, weights=given
  )
  return values[0], values[1:]
