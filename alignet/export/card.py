"""The model card beside exported weights."""

from collections.abc import Mapping
import json
from typing import Any

from alignet import files
from alignet.errors import AlignetError

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


def card(
    *,
    title: str,
    base: str = UNKNOWN,
    data: str = UNKNOWN,
    licence: str = UNKNOWN,
    metrics: Mapping[str, Any] | None = None,
    config: Mapping[str, Any],
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
    parity: what was compared after reading back, and how it differed.
    usage: lines of code that load it.
  """
  rows = [f"| {name} | {value} |" for name, value in (metrics or {}).items()]
  table = ["| metric | value |", "|---|---|", *rows] if rows else [UNKNOWN]
  return "\n".join(
      [
          f"# {title}",
          "",
          f"- Base model: {base}",
          f"- Data: {data}",
          f"- Licence: {licence}",
          f"{PARITY}{parity}",
          "",
          "## Use",
          "",
          "```python",
          usage,
          "```",
          "",
          "## Metrics",
          "",
          *table,
          "",
          "## Configuration",
          "",
          "```json",
          json.dumps(config, indent=2, sort_keys=True),
          "```",
          "",
      ]
  )
