"""The page of an evaluation: scores by source, ceilings beside them.

What `alignet evaluate` writes goes in; tables, as HTML and as LaTeX, come out.
Whatever is missing is left out.
"""

from collections.abc import Mapping
from typing import Any

from alignet.errors import AlignetError
from alignet.report import ceilings
from alignet.report import page
from alignet.report import score_dots
from alignet.report import score_table
from alignet.report.shown import Shown

_FIRST = (
    *score_dots.HEADLINES[:2],
    "expected",
    *score_dots.HEADLINES[2:],
)
_LEVELS = ("coarse", "fine", "boundary", "all")
_UNITS = {"nll": "nats", "cross_entropy": "nats", "kl": "nats"}
_LOWER = ("nll", "cross_entropy", "kl", "brier", "calibration_error")

_CEILINGS = {
    "accuracy": (
        "of accuracy the bound for any model (Bayes), and what the others' most"
        " frequent answer reaches"
    ),
    "modal": "beside modal people's split-half reliability, which is no bound",
    "spearman": "of spearman the bound that the mean RDM's reliability sets",
    "subjects_spearman": "of subjects_spearman that of a subject",
}
"""Score -> what `ceilings.text` says of it."""


def sections(
    result: Mapping[str, Any],
    names: tuple[str, str],
    shown: Mapping[str, Shown],
) -> dict[str, page.Section]:
  """Returns a section per source: text, a table per set, a dot plot.

  Args:
    result: what `alignet evaluate` writes: scores, and details with ceilings.
    names: of the model and the baseline.
    shown: first part of a score's name to how it is shown; in this order.

  Returns:
    First part of the scores' names -> section, in the order shown.

  Raises:
    AlignetError: no scores.
  """
  sets = _sets(result)
  found = {name[0] for name in sets}
  sources = [*(s for s in shown if s in found), *sorted(found - set(shown))]
  out = {}
  for source in sources:
    how = shown.get(source) or Shown(title=source, text="")
    inside = {name: s for name, s in sets.items() if name[0] == source}
    details = result.get("details") or {}
    if source == "hierarchy":
      figure = score_dots.changes_of_distance(inside, names)
    else:
      figure = score_dots.main_scores(how.title, inside, details, names)
    out[source] = page.Section(
        title=how.title,
        text=how.text,
        tables=[
            _table(name, scores, details, names, how)
            for name, scores in inside.items()
        ],
        figures=[figure] if figure else [],
    )
  return out


def summary(
    result: Mapping[str, Any],
    names: tuple[str, str],
    shown: Mapping[str, Shown],
) -> str:
  """How many scores of each source differ beyond their intervals."""
  lines = []
  counts = {}
  for name, scores in _sets(result).items():
    for key, score in scores.items():
      change = score.get("difference") or {}
      ends = score_dots.ends(change)
      how = shown.get(name[0])
      if (how and not how.is_directed) or ends is None:
        continue
      sign = -1 if _is_lower(key) else 1
      better = min(sign * e for e in ends) > 0
      worse = max(sign * e for e in ends) < 0
      count = counts.setdefault(name[0], [0, 0, 0])
      count[0 if better else 1 if worse else 2] += 1
  for source in (*shown, *sorted(set(counts) - set(shown))):
    if source in counts:
      better, worse, open_ = counts[source]
      title = shown[source].title if source in shown else source
      lines.append(
          f"{title}: {better} better, {worse} worse, {open_} undecided."
      )
  if not lines:
    return ""
  return (
      f"{names[0]} against {names[1]}, counting scores by whether the 95 %"
      " interval of the paired difference excludes zero. Scores of one set"
      " depend on each other and are not corrected for their number.\n\n"
      + "\n\n".join(lines)
  )


def note(result: Mapping[str, Any]) -> str:
  """The caveat on top of a page without people; "" for one with them."""
  sources = {name[0] for name in _sets(result)}
  if "human" in sources:
    return ""
  return (
      "No score on this page compares a model with people: nothing here says"
      " that it became more human."
  )


def _sets(
    result: Mapping[str, Any],
) -> dict[tuple[str, ...], dict[str, Mapping[str, Any]]]:
  """Parts of a set's name -> last part of a score's name -> score; sorted."""
  scores = result.get("scores")
  if not isinstance(scores, Mapping) or not scores:
    raise AlignetError(
        "expected what `alignet evaluate representations` or `student` writes,"
        ' found no "scores"'
    )
  levels = ((result.get("details") or {}).get("hierarchy") or {}).get("levels")
  out: dict[tuple[str, ...], dict[str, Any]] = {}
  for name, score in scores.items():
    *of_set, key = name.split("/")
    if not isinstance(score, Mapping) or "mean" not in score or not of_set:
      raise AlignetError(
          f"score {name!r}: expected SET/SCORE with a mean, found {score!r}"
      )
    out.setdefault(tuple(of_set), {})[key] = score
  # JSON is sorted by name; people are shown what matters first.
  keys = {"hierarchy": (*(levels or ()), "across")}
  return {
      name: {
          key: out[name][key]
          for key in _ordered(out[name], keys.get(name[0], _FIRST))
      }
      for name in sorted(
          out, key=lambda name: [_place(p, _LEVELS) for p in name]
      )
  }


def _ordered(names, order):
  return sorted(names, key=lambda name: _place(name, order))


def _place(name: str, order) -> tuple[int, str]:
  """Those in `order` first, the others by name."""
  return (order.index(name) if name in order else len(order), name)


def _table(name, scores, details, names, how) -> page.Table:
  compared = any("baseline" in score for score in scores.values())
  beside = {key: ceilings.text(name, key, details) for key in scores}
  pair = f"{names[0]} and {names[1]}"
  header = ["score", pair if how.of_pair else names[0]]
  if compared:
    header += [names[1], "difference"]
  if any(beside.values()):
    header.append("ceiling")
  header.append("n")
  rows = []
  for key, score in scores.items():
    unit = next((u for k, u in _UNITS.items() if key.startswith(k)), "")
    label = key + (f" ({unit})" if unit else "")
    if how.is_directed and _is_lower(key):
      label += ", lower is better"
    row = [label, _cell(score)]
    if compared:
      change = score.get("difference") or {}
      other = {"mean": score["baseline"]} if "baseline" in score else {}
      row += [_cell(other), _cell(change, True)]
    if any(beside.values()):
      row.append(beside[key] or "–")
    row.append(f"{score['n']:,}" if "n" in score else "–")
    rows.append(row)
  caption = "/".join(name) + "."
  if any(score_dots.ends(score) for score in scores.values()):
    caption += " In brackets: 95 % intervals"
    if how.intervals:
      caption += f" {how.intervals}"
    caption += "."
  said = [
      what + (ceilings.rows(name, details) if key == "accuracy" else "")
      for key, what in _CEILINGS.items()
      if beside.get(key)
  ]
  if said:
    caption += f" Ceiling: {'; '.join(said)}."
  return page.Table(header=header, rows=rows, caption=caption)


def _cell(score: Mapping[str, Any], signed: bool = False) -> str:
  if "mean" not in score:
    return score_table.cell(None)
  if score["mean"] is None:
    return "undefined"
  ends = score_dots.ends(score) or ()
  return score_table.cell((score["mean"], *ends), signed=signed)


def _is_lower(key: str) -> bool:
  return key.startswith(_LOWER)
