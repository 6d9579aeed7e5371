"""A score in one line of text."""

from typing import Any


def cell(score: dict[str, Any]) -> str:
  """`.523 (.510 to .536), +.021 (.009 to .034) over .502`."""
  text = f"{_number(score['mean'])}{_interval(score)}"
  if "difference" in score:
    change = score["difference"]
    text += (
        f", {_number(change['mean'], '+')}{_interval(change)} over"
        f" {_number(score['baseline'])}"
    )
  return text


def _number(value: float | None, sign: str = "") -> str:
  return "undefined" if value is None else f"{value:{sign}.4f}"


def _interval(score: dict[str, float]) -> str:
  return (
      f" ({score['low']:.4f} to {score['high']:.4f})" if "low" in score else ""
  )
