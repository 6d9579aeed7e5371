"""Dot plots of an evaluation: the main scores, and changes of distance."""

from collections.abc import Mapping
import math
from typing import Any

from alignet.report import ceilings
from alignet.report import figures
from alignet.report import page

HEADLINES = (
    *("accuracy", "modal", "spearman", "knn", "probe", "few_shot1"),
    *("few_shot5", "retrieval_map"),
)
"""Last parts of the names of scores that are drawn."""

Sets = Mapping[tuple[str, ...], Mapping[str, Mapping[str, Any]]]
"""Parts of a set's name -> last part of a score's name -> score."""

_NONE = (math.nan, math.nan)


def main_scores(
    title: str,
    sets: Sets,
    details: Mapping[str, Any],
    names: tuple[str, str],
) -> page.Picture | None:
  """The headline scores of both models, None where there are none.

  Args:
    title: of the figure.
    sets: scores of one source.
    details: as `alignet evaluate` writes them.
    names: of the model and the baseline.
  """
  rows = {names[0]: {}, names[1]: {}}
  shown, chance, ceiling = {}, {}, {}
  for name, scores in sets.items():
    for key, score in scores.items():
      if key not in HEADLINES or score["mean"] is None:
        continue
      place = "/".join((*name, key))
      shown[place] = " ".join((*name[1:], key))
      rows[names[0]][place] = (score["mean"], *(ends(score) or _NONE))
      if score.get("baseline") is not None:
        rows[names[1]][place] = (score["baseline"], *_NONE)
      if key in ("accuracy", "modal"):
        chance[place] = 1 / 3
      bound = ceilings.bound(name, key, details)
      if bound is not None:
        ceiling[place] = bound
  if not shown:
    return None
  rows = {model: row for model, row in rows.items() if row}
  figure = figures.scores_with_intervals(
      rows,
      list(shown),
      title,
      set_names=shown,
      chance=chance,
      ceiling=ceiling,
      label="score (proportion, or correlation)",
  )
  alt = "Dot plot of the main scores in the tables: " + "; ".join(
      f"{text} "
      + ", ".join(f"{m} {r[p][0]:.2f}" for m, r in rows.items() if p in r)
      for p, text in shown.items()
  )
  caption = (
      f"The main scores; bars: 95 % intervals of {names[0]}, whose difference"
      f" to {names[1]} is in the tables."
      if names[1] in rows
      else "The main scores; bars: 95 % intervals."
  )
  return figure, caption, alt + "."


def changes_of_distance(
    sets: Sets, names: tuple[str, str]
) -> page.Picture | None:
  """The change of relative distance at each level, None without a baseline."""
  changes = {}
  for scores in sets.values():
    for level, score in scores.items():
      change = score.get("difference") or {}
      if change.get("mean") is not None:
        changes[level] = (change["mean"], *(ends(change) or _NONE))
  if not changes:
    return None
  what = f"{names[0]} − {names[1]}"
  texts = {k: k if k == "across" else f"within {k}" for k in changes}
  figure = figures.scores_with_intervals(
      {what: changes},
      list(changes),
      "Change of relative distance",
      set_names=texts,
      chance={k: 0.0 for k in changes},
      chance_name="no change",
      label="change of relative distance (mean distance = 1)",
  )
  alt = f"Change of relative distance, {what}: " + ", ".join(
      f"{texts[k]} {v[0]:+z.3f}" for k, v in changes.items()
  )
  caption = "Bars: 95 % intervals, bootstrap over classes."
  return figure, caption, alt + "."


def ends(score: Mapping[str, Any]) -> tuple[float, float] | None:
  """The interval's ends, None where there is none."""
  if score.get("mean") is None or "low" not in score:
    return None
  return score["low"], score["high"]
