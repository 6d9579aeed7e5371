"""Ceilings of an evaluation's scores, from its details."""

from collections.abc import Mapping, Sequence
from typing import Any

_THINGS = ("human", "things")


def text(of_set: Sequence[str], key: str, details: Mapping[str, Any]) -> str:
  """What stands beside a score in a table, "" where nothing is known.

  Args:
    of_set: parts of the set's name, such as human, levels, fine.
    key: last part of the score's name.
    details: as `alignet evaluate` writes them.
  """
  of_answers = _answers(of_set, details)
  if key == "accuracy" and of_answers:
    parts = [
        ("bound", of_answers.get("bayes_bound")),
        ("others", of_answers.get("leave_one_out")),
    ]
  elif key == "modal" and of_answers:
    parts = [("split half", of_answers.get("split_half"))]
  else:
    of_rdm = details.get("/".join(of_set)) or {}
    if key == "spearman":
      parts = [("bound", (of_rdm.get("mean_ceiling") or {}).get("bound"))]
    elif key == "subjects_spearman":
      ends = of_rdm.get("ceiling") or {}
      parts = [(end, ends.get(end)) for end in ("lower", "upper")]
    else:
      parts = []
  return ", ".join(f"{what} {x:.3f}" for what, x in parts if x is not None)


def bound(
    of_set: Sequence[str], key: str, details: Mapping[str, Any]
) -> float | None:
  """What no model passes on average, for the dot plot.

  None for choices of which only the repeatedly answered have a bound: a model
  may pass that in the others.
  """
  if key == "accuracy" and tuple(of_set) != _THINGS:
    return _answers(of_set, details).get("bayes_bound")
  if key == "spearman":
    of_rdm = details.get("/".join(of_set)) or {}
    return (of_rdm.get("mean_ceiling") or {}).get("bound")
  return None


def rows(of_set: Sequence[str], details: Mapping[str, Any]) -> str:
  """Of which triplets a ceiling is, where not of all of them; else ""."""
  n = _answers(of_set, details).get("stimuli")
  if tuple(of_set) != _THINGS or n is None:
    return ""
  return f", both on the {n:,} triplets answered repeatedly alone"


def _answers(of_set, details) -> Mapping[str, Any]:
  """Ceilings of people's answers of a set."""
  found = (details.get("/".join(of_set[:2])) or {}).get("ceilings") or {}
  if of_set[:2] == ("human", "levels"):
    found = found.get(of_set[-1]) or {}
  return found
