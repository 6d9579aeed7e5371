"""Looks at a pipeline's results: a table, and bounds that make it fail."""

from collections.abc import Mapping
from typing import Any


def table(results: Mapping[str, Any]) -> str:
  """Agreement with the observers, a line a model, and its class accuracy."""
  models = [m for m, v in results.items() if "class_accuracy" in v]
  models.sort(key=lambda m: (m != "base", m == "aligned", m))
  heads = [f"{name}_head_dot" for name in results["trials"]]
  heads = [c for c in heads if any(c in results[m] for m in models)]
  columns = [*results["trials"], *heads, "class_accuracy"]
  lines = ["".join([f"{'':16}", *(f"{c:>18}" for c in columns)])]
  for model in models:
    entry = results[model]
    scores = (
        f"{entry[c]:18.3f}" if c in entry else f"{'–':>18}" for c in columns
    )
    lines.append("".join([f"{model:16}", *scores]))
  return "\n".join(lines)


def failures(
    results: Mapping[str, Any], bounds: Mapping[str, Any]
) -> list[str]:
  """What does not hold, one sentence each.

  Args:
    results: results.json.
    bounds: "gain": the least by which aligned beats base on the set "gain_on";
      "no_loss_on": sets on which aligned is not below base by more than two
      standard errors (paired, over concepts); "class_accuracy_loss": the most
      that 10-NN accuracy may fall; "control_share": the most of aligned's gain
      that the entropy-matched control may have.

  Returns:
    Sentences; none where all holds.
  """
  found = []
  on = bounds["gain_on"]
  gain = results["aligned"][on] - results["base"][on]
  if gain < bounds["gain"]:
    found.append(
        f"aligned beats base by {gain:.3f} on {on}; expected at least"
        f" {bounds['gain']:.3f}"
    )
  for name in bounds["no_loss_on"]:
    difference = results["aligned"]["difference_to_base"][name]
    if difference["value"] < -2 * difference["se"]:
      found.append(
          f"aligned is {-difference['value']:.3f} below base on {name}, more"
          f" than two standard errors of {difference['se']:.3f}"
      )
  loss = (
      results["base"]["class_accuracy"] - results["aligned"]["class_accuracy"]
  )
  if loss > bounds["class_accuracy_loss"]:
    found.append(
        f"class accuracy fell by {loss:.3f}; expected at most"
        f" {bounds['class_accuracy_loss']:.3f}"
    )
  control = results["matched"][on] - results["base"][on]
  if control > bounds["control_share"] * gain:
    found.append(
        f"the entropy-matched control gains {control:.3f} of aligned's"
        f" {gain:.3f} on {on}; expected at most a share of"
        f" {bounds['control_share']:.2f}"
    )
  return found
