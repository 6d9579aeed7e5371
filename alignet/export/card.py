"""The model card beside exported weights."""

from collections.abc import Mapping
import json
from typing import Any

UNKNOWN = "not given"

PARITY = "- Parity: "
"""How its line begins that no other README has."""


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
