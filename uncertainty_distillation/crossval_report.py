"""The numbers of a cross-validation, as JSON, a table and pictures."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.io import files
from alignet.io import json_files
from alignet.report import figures
from alignet.report import style
import numpy as np
from uncertainty_distillation.crossval import Result

_COLUMNS = {
    "agreement": "agreement",
    "expected": "expected",
    "cross_entropy": "cross-entropy",
    "kl": "KL",
    "cross_entropy_fitted": "CE at fitted T",
    "kl_fitted": "KL at it",
    "brier_fitted": "Brier at it",
}
"""Scores of the table, and what they are called there."""

_CURVES = {"calibration": "log_p", "calibration_fitted": "log_p_fitted"}


def make(
    result: Result, *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
  """The numbers of a cross-validation, JSON-serialisable.

  Args:
    result: of `crossval.cross_validate`.
    seed: of the bootstrap over concepts, and over people where it is known who
      chose.
    resamples: of the bootstrap.

  Returns:
    "methods": name -> score -> {"value", "low", "high"}, and "folds", the same
    of each fold; "calibration": name -> expected calibration error and curve at
    temperature 1, "calibration_fitted" the same at the fitted one;
    "differences": the first method minus each other one, paired; ceiling and
    entropy of the human probabilities; counts; and which methods
    "may_have_seen_held_out_concepts", being transforms made before.
  """
  draws = lambda: np.random.default_rng([seed, 5])
  people = result.participants

  def pooled(scores, rows=slice(None)):
    found = bootstrap.intervals(
        np.stack([values[rows] for values in scores.values()], axis=1),
        result.concepts[rows],
        rng=draws(),
        participants=None if people is None else people[rows],
        resamples=resamples,
    )
    return {
        name: {"value": i.mean, "low": i.low, "high": i.high}
        for name, i in zip(scores, found)
    }

  n_folds = int(result.fold.max()) + 1
  methods = {
      name: pooled(scores)
      | {"folds": [pooled(scores, result.fold == i) for i in range(n_folds)]}
      for name, scores in result.scores.items()
  }
  first, *others = result.scores
  own = result.scores[first]
  p = result.probabilities.astype(np.float64)
  log = np.log(np.where(p > 0, p, 1))
  return {
      "methods": methods,
      **{
          key: {
              name: _curve(log_p, result.probabilities)
              for name, log_p in getattr(result, attribute).items()
          }
          for key, attribute in _CURVES.items()
      },
      "differences": {
          f"{first} - {other}": pooled(
              {s: own[s] - values for s, values in result.scores[other].items()}
          )
          for other in others
      },
      "fits": {name: list(fits) for name, fits in result.fits.items()},
      "may_have_seen_held_out_concepts": [
          name for name, fits in result.fits.items() if fits[0].get("fixed")
      ],
      "ceiling_expected": float(odd_one_out.ceiling(p).mean()),
      "entropy_of_people": float(-(p * log).sum(axis=1).mean()),
      "trials": len(result.concepts),
      "folds": n_folds,
      "participants": None if people is None else len(np.unique(people)),
      "dropped_judgments": list(map(int, result.dropped)),
  }


def _curve(log_p, probabilities) -> dict[str, Any]:
  curve = probabilistic.calibration_curve(log_p, probabilities)
  return {
      "error": curve.expected_calibration_error,
      "confidence": curve.confidence.tolist(),
      "outcome": curve.outcome.tolist(),
      "count": curve.count.tolist(),
  }


def table(report: Mapping[str, Any]) -> str:
  """Scores on held-out concepts, a line a method, with intervals."""
  dropped, people = report["dropped_judgments"], report["participants"]
  lines = [
      f"held-out concepts, {report['folds']} folds, {report['trials']} trials;"
      f" people's own entropy {report['entropy_of_people']:.3f}, best expected"
      f" {report['ceiling_expected']:.3f}",
      "95 % intervals over concepts"
      + (f" and {people} people" if people is not None else ""),
      "judgments that mix training and held-out concepts, dropped:"
      f" {', '.join(f'{n:,}' for n in dropped)}",
      f"{'':14}" + "".join(f"{text:>23}" for text in _COLUMNS.values()),
  ]
  for name, row in {**report["methods"], **report["differences"]}.items():
    cells = (
        f"{row[s]['value']:.4f} ({row[s]['low']:.3f}, {row[s]['high']:.3f})"
        for s in _COLUMNS
    )
    lines.append(f"{name:14}" + "".join(f"{cell:>23}" for cell in cells))
  lines.append(
      "calibration error, and at fitted T: "
      + ", ".join(
          f"{name} {curve['error']:.3f},"
          f" {report['calibration_fitted'][name]['error']:.3f}"
          for name, curve in report["calibration"].items()
      )
  )
  if seen := report["may_have_seen_held_out_concepts"]:
    lines.append(
        f"{', '.join(seen)}: not fitted here; may have seen held-out concepts"
    )
  return "\n".join(lines)


def write(folder: pathlib.Path, report: Mapping[str, Any]) -> None:
  """Writes report.json, calibration.png, calibration_fitted.png, or anew."""
  json_files.write(folder / "report.json", report, overwrite=True)
  for key in _CURVES:
    curves = {
        f"{name} (error {curve['error']:.3f})": (
            curve["confidence"],
            curve["outcome"],
        )
        for name, curve in report[key].items()
    }
    with files.atomic_write(folder / f"{key}.png", overwrite=True) as f:
      f.write(style.png(figures.calibration(curves)))
