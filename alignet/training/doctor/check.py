"""Compares a port's numbers with the reference curves; needs NumPy alone."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import json
import math
import pathlib
from typing import Any

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
"""Where reference.json, weights.safetensors and data.npz lie."""

_NEAR = 0.3
_NOT_LEARNED = 0.7
_FINE = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
  """What a comparison found.

  Attributes:
    agrees: within the tolerance at every step.
    text: one sentence or two, what most likely is wrong.
    mistake: name of the typical mistake whose curve is found, or None.
    step: first step that differs, or None.
  """

  agrees: bool
  text: str
  mistake: str | None = None
  step: int | None = None


@functools.cache
def reference() -> dict[str, Any]:
  """reference.json: recipe, tolerances, curve, mistakes, overfit."""
  return json.loads((FOLDER / "reference.json").read_text())


def check(
    losses: Sequence[float], gradient_norms: Sequence[float] | None = None
) -> Verdict:
  """Compares the loss and gradient norm of each step with the reference.

  Args:
    losses: mean loss of each batch before its update, one to ten steps.
    gradient_norms: Euclidean norm of that loss's gradient over all trained
      parameters; without decay, before clipping. None if unknown: then fewer
      mistakes can be told apart.

  Returns:
    The verdict. A curve that differs is compared with those of typical
    mistakes; where none fits, the first step that differs says where to look.

  Raises:
    ValueError: no step, more than ten, or unequal lengths.
  """
  known = reference()
  tolerance, right = known["tolerance"], known["curve"]
  found = _curves(losses, gradient_norms, len(right["losses"]))
  for name, values in found.items():
    bad = [i for i, v in enumerate(values) if not math.isfinite(v)]
    if bad:
      return Verdict(
          agrees=False,
          step=bad[0],
          text=(
              f"{_SPOKEN[name]} of step {bad[0]} is {values[bad[0]]}: take"
              " logarithms with a log-softmax, and no logarithm of 0"
          ),
      )
  errors = _errors(found, right)
  allowed = np.stack([np.full(len(losses), tolerance[k]) for k in found])
  if (errors <= allowed).all():
    return Verdict(
        agrees=True,
        text=(
            f"agrees with the reference at all {len(losses)} steps (largest"
            f" relative difference {errors.max():.1g})"
        ),
    )
  step = int(np.argmax((errors > allowed).any(axis=0)))
  mistake = _nearest(found, known, float(errors.max()))
  where = f"differs from the reference from step {step} on"
  if mistake:
    sentence = known["mistakes"][mistake]["sentence"]
    text = f"{where}; the curve is the one of this mistake: {sentence}"
  else:
    text = f"{where}; {_advice(step, found, right, tolerance)}"
  return Verdict(agrees=False, text=text, mistake=mistake, step=step)


def check_overfit(losses: Sequence[float]) -> Verdict:
  """Compares the mean loss of each pass over the 1,000 triplets.

  Rounding grows with every step, so the first half of passes is not compared;
  the second is, as a mean.

  Args:
    losses: one a pass, as many as the reference has.

  Raises:
    ValueError: another number of passes.
  """
  known = reference()
  right = known["overfit"]["losses"]
  if len(losses) != len(right):
    raise ValueError(
        f"expected {len(right)} losses, one a pass over the 1,000 triplets,"
        f" found {len(losses)}"
    )
  half = len(right) // 2
  ours, theirs = float(np.mean(right[half:])), float(np.mean(losses[half:]))
  if not math.isfinite(theirs):
    return Verdict(agrees=False, text="a loss is not finite")
  if abs(theirs / ours - 1) <= known["tolerance"]["overfit"]:
    return Verdict(
        agrees=True,
        text=f"overfits as the reference: {theirs:.4f}, expected {ours:.4f}",
    )
  if theirs > _NOT_LEARNED * losses[0]:
    text = (
        f"does not learn 1,000 triplets by heart: {theirs:.4f} nats in the last"
        f" passes, expected {ours:.4f}, chance {right[0]:.4f}; run `check` on"
        " the ten steps first, it names typical mistakes"
    )
  else:
    text = (
        f"learns, but otherwise than the reference: {theirs:.4f} nats in the"
        f" last passes, expected {ours:.4f}"
    )
  return Verdict(agrees=False, text=text)


_SPOKEN = {"losses": "the loss", "gradient_norms": "the gradient norm"}


def _curves(losses, gradient_norms, steps) -> dict[str, list[float]]:
  found = {"losses": [float(x) for x in losses]}
  if gradient_norms is not None:
    found["gradient_norms"] = [float(x) for x in gradient_norms]
  lengths = [len(v) for v in found.values()]
  if not 1 <= lengths[0] <= steps or len(set(lengths)) > 1:
    raise ValueError(
        f"expected one to {steps} losses and as many gradient norms, found"
        f" {' and '.join(map(str, lengths))}"
    )
  return found


def _errors(
    found: Mapping[str, list[float]], wanted: Mapping[str, list[float]]
) -> np.ndarray:
  """(curves, steps) relative differences, symmetric, of two positive curves."""
  rows = []
  for name, values in found.items():
    a, b = np.array(values), np.array(wanted[name][: len(values)])
    rows.append(np.abs(a - b) / np.maximum(np.maximum(abs(a), abs(b)), 1e-12))
  return np.stack(rows)


def _nearest(found, known, distance: float) -> str | None:
  """The mistake that fits within a few tolerances, or is by far nearest."""
  distances = {
      name: float(_errors(found, mistake).max())
      for name, mistake in known["mistakes"].items()
  }
  best, second = sorted(distances, key=distances.get)[:2]
  exact = distances[best] <= _FINE
  clear = distances[best] < _NEAR * min(distance, distances[second])
  # Close to two that differ little from each other: either may be meant.
  if exact and distances[best] < _NEAR * distance or clear:
    return best
  return None


def _advice(step, found, right, tolerance) -> str:
  """Where to look, from what still agrees."""
  first = _errors(found, right)[:, 0]
  loss_agrees = first[0] <= tolerance["losses"]
  ratios = np.array(found["losses"]) / right["losses"][: len(found["losses"])]
  if not loss_agrees and np.ptp(ratios) < 1e-2 * abs(ratios.mean()):
    return (
        f"every loss is {ratios.mean():.4g} times the reference: look for a"
        " factor in the loss, a sum instead of a mean, or another logarithm"
    )
  if not loss_agrees:
    return (
        "the very first loss differs, before any update: look at pixels,"
        " weights, the order of pairs, temperatures and the loss itself"
    )
  if len(first) > 1 and first[1] > tolerance["gradient_norms"]:
    return (
        "the first loss agrees and its gradient does not: look at what is"
        " detached or frozen, and over which parameters the norm is taken"
    )
  return (
      f"loss and gradient agree until step {step}: the model and the loss are"
      " right; look at the optimizer, its rates, the pull to the initial"
      " weights and the order of the batches"
  )
