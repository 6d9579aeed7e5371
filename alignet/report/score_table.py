"""The scores of a comparison page: tables with intervals and a dot plot."""

from collections.abc import Mapping
import math
from typing import Any

from alignet.report import figures
from alignet.report import page
from alignet.report.inputs import ReportInputs
import numpy as np

_MISSING = "–"
_MINUS = "−"


def models_of(
    results: Mapping[str, Any], inputs: ReportInputs
) -> dict[str, str]:
  """Entry -> text of the models in the results, in the order shown."""
  found = [
      name
      for name, entry in results.items()
      if name != "meta"
      and isinstance(entry, Mapping)
      and any(_number(entry.get(s)) is not None for s in inputs.sets)
  ]
  order = [m for m in inputs.models if m in found]
  order += sorted(m for m in found if m not in inputs.models)
  return {m: inputs.models.get(m, m) for m in order}


def section(
    results: Mapping[str, Any], models: Mapping[str, str], inputs: ReportInputs
) -> page.Section:
  """Table of scores, table of paired differences to the base, dot plot.

  Args:
    results: model -> scores, see `comparison.comparison_page`.
    models: entry of the results -> text shown for it.
    inputs: names of the sets, chance, ceiling, what the intervals are.

  Returns:
    The section; what is missing shows as a dash.
  """
  sets = [
      s
      for s in inputs.sets
      if any(_number(results[m].get(s)) is not None for m in models)
  ]
  rows = {}
  for model, name in models.items():
    intervals = results[model].get("intervals") or {}
    rows[name] = {
        s: (value, *_interval(intervals.get(s)))
        for s in sets
        if (value := _number(results[model].get(s))) is not None
    }
  has_intervals = any(
      math.isfinite(low) for row in rows.values() for _, low, _ in row.values()
  )
  caption = "Accuracy (proportion)"
  caption += f"; in brackets: {inputs.intervals}." if has_intervals else "."
  tables = [
      page.Table(
          header=["model", *(inputs.sets[s] for s in sets)],
          rows=[
              [name, *(cell(row.get(s)) for s in sets)]
              for name, row in rows.items()
          ],
          caption=caption,
      )
  ]
  tables += [
      table
      for rows_, caption in _comparisons(results, models)
      if (table := _difference_table(rows_, caption, sets, inputs))
  ]
  figure = figures.scores_with_intervals(
      rows,
      sets,
      "Score of each model",
      set_names=inputs.sets,
      chance=inputs.chance,
      ceiling=inputs.ceiling,
  )
  alt = "Dot plot of the scores in the table: " + "; ".join(
      f"{name} "
      + ", ".join(f"{inputs.sets[s]} {v[0]:.2f}" for s, v in row.items())
      for name, row in rows.items()
  )
  dot_caption = "The same scores. Dots: values; bars: intervals."
  return page.Section(
      title="Scores",
      text=inputs.texts.get("scores", ""),
      tables=tables,
      figures=((figure, dot_caption, alt),),
  )


def _comparisons(results, models):
  """Differences between models, each with what they are."""
  head = " By the head's dot, a model without a head enters by its cosine."
  has_head = any(s.endswith("_head_dot") for m in models for s in results[m])
  yield (
      {
          n: results[m].get("difference_to_base") or {}
          for m, n in models.items()
      },
      "Difference to the base, paired on the same triplets; in brackets:"
      " {intervals}." + head * has_head,
  )
  for model, name in models.items():
    others = results[model].get("minus") or {}
    yield (
        {f"{name} − {models.get(m, m)}": d for m, d in others.items()},
        f"Difference of {name} to the other models, paired likewise.",
    )


def _difference_table(rows, caption, sets, inputs) -> page.Table | None:
  rows = {
      name: {s: d for s in sets if (d := _difference(entry.get(s))) is not None}
      for name, entry in rows.items()
  }
  compared = [s for s in sets if any(s in row for row in rows.values())]
  if not compared:
    return None
  return page.Table(
      header=["model", *(inputs.sets[s] for s in compared)],
      rows=[
          [name, *(cell(row.get(s), signed=True) for s in compared)]
          for name, row in rows.items()
          if row
      ],
      caption=caption.format(intervals=inputs.intervals),
  )


def _number(value: Any) -> float | None:
  if isinstance(value, bool) or not isinstance(
      value, (int, float, np.integer, np.floating)
  ):
    return None
  return float(value) if math.isfinite(value) else None


def _interval(value: Any) -> tuple[float, float]:
  if isinstance(value, Mapping):
    value = (value.get("low"), value.get("high"))
  if value is None or len(value) != 2 or None in map(_number, value):
    return (math.nan, math.nan)
  return (float(value[0]), float(value[1]))


def _difference(value: Any) -> tuple[float, float, float] | None:
  if not isinstance(value, Mapping):
    number, value = _number(value), {}
  else:
    number = _number(value.get("value"))
  return None if number is None else (number, *_interval(value))


def cell(score: tuple[float, ...] | None, *, signed: bool = False) -> str:
  """Text of (value, low, high), or of (value,) alone; None is a dash."""
  if score is None:
    return _MISSING
  value, *interval = (
      (f"{x:+z.3f}" if signed else f"{x:z.3f}").replace("-", _MINUS)
      for x in score
  )
  if not interval or not math.isfinite(score[1]):
    return value
  return f"{value} [{', '.join(interval)}]"
