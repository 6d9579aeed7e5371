"""The model card beside exported weights."""

from collections.abc import Mapping
import json
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import template

UNKNOWN = "not given"

PARITY = "- Parity: "
"""How its line begins that no other README has."""


def metrics_in(found: Any, path: files.Path) -> dict[str, Any]:
  """Name to figure, of a JSON file's content.

  Args:
    found: an object of these, or what `alignet evaluate` wrote: the means.
    path: of the file, for the message.

  Raises:
    AlignetError: it is something else.
  """
  if isinstance(found, Mapping) and isinstance(found.get("scores"), Mapping):
    found = {
        name: score["mean"]
        for name, score in found["scores"].items()
        if isinstance(score, Mapping) and score.get("mean") is not None
    }
  if not isinstance(found, Mapping) or any(
      isinstance(value, (Mapping, list)) for value in found.values()
  ):
    raise AlignetError(
        f"{path}: expected one JSON object, name to figure, or the scores that"
        " `alignet evaluate representations` or `student` writes"
    )
  return dict(found)


def made_from(training: Mapping[str, Any]) -> dict[str, str]:
  """`base` and `data` of a card, as far as a training kept them.

  Args:
    training: what `alignet.training.provenance.of` gives, or nothing.
  """
  found = {}
  if "init" in training:
    init = training["init"]
    found["base"] = _input(init) if init else "none, random weights"
  if training.get("data"):
    found["data"] = ", ".join(map(_input, training["data"].values()))
  return found


def card(
    *,
    title: str,
    base: str = UNKNOWN,
    data: str = UNKNOWN,
    licence: str = UNKNOWN,
    metrics: Mapping[str, Any] | None = None,
    config: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    parity: str,
    usage: str,
) -> str:
  """Markdown of a README.md; what is not known is said so.

  Args:
    title: name of the model.
    base: the model it started from.
    data: what it was trained on.
    licence: of the weights.
    metrics: name to figure.
    config: the model's description, anything JSON can hold.
    training: what was kept with the weights of how they were made, anything
      JSON can hold.
    parity: what was compared after reading back, and how it differed.
    usage: lines of code that load it.
  """
  sections = {"Configuration": config} | (
      {"Training": training} if training else {}
  )
  return template.fill(
      pathlib.Path(__file__).with_suffix(".md"),
      title=title,
      base=base,
      data=data,
      licence=licence,
      metrics=metrics,
      parity=parity,
      usage=usage,
      unknown=UNKNOWN,
      sections={
          name: json.dumps(content, indent=2, sort_keys=True)
          for name, content in sections.items()
      },
  )


def _input(found: Mapping[str, Any]) -> str:
  return f"{found['name']} (sha256 {found['sha256'] or UNKNOWN})"
