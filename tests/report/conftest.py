"""A made-up report: three worlds of colour, four models."""

from alignet.report import projection
from alignet.report.inputs import ReportInputs
from alignet.triplets import similarity
import numpy as np
import pytest

MODELS = ("base", "untransformed", "matched", "aligned")
SETS = ("across", "border", "within", "class_accuracy")


def make_results() -> dict:
  """Scores of four models with intervals and paired differences."""
  results = {
      "meta": {
          "world": {"seed": 0, "images": 4800},
          "sha256": "9f86d081" * 8,
      }
  }
  for number, model in enumerate(MODELS):
    scores = dict(zip(SETS, (0.48 + 0.08 * number, 0.81, 0.4, 0.93)))
    entry = dict(scores)
    entry["intervals"] = {s: [v - 0.03, v + 0.025] for s, v in scores.items()}
    if number:
      entry["difference_to_base"] = {
          s: {"value": 0.08 * number, "low": -0.01, "high": 0.2}
          for s in SETS[:3]
      }
    results[model] = entry
  return results


def make_inputs(seed: int = 0) -> ReportInputs:
  """All fields filled."""
  rng = np.random.default_rng(seed)
  n, k = 120, 4
  groups = rng.integers(0, k, n)
  subgroups = groups * 3 + rng.integers(0, 3, n)
  names = ("vessels", "crystals & ice", "creatures", "plants")
  features = {
      model: rng.normal(size=(n, 16))
      + strength * rng.normal(size=(k, 16))[groups]
      + rng.normal(size=(12, 16))[subgroups]
      for model, strength in (("base", 0.3), ("aligned", 2.0))
  }
  projections = {m: projection.pca_2d(x) for m, x in features.items()}
  steps = np.arange(0, 2001, 100.0)
  y, x = np.mgrid[:32, :32] / 31
  shapes = [(x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.12, x + y < 1, abs(x - y) < 0.3]
  images = np.full((4, 3, 32, 32, 3), 235, np.uint8)
  for row in range(4):
    for position in range(3):
      images[row, position][shapes[rng.integers(3)]] = rng.integers(0, 256, 3)
  return ReportInputs(
      title="Demo: a model becomes more human",
      subtitle="Four models on triplets of an embedded world",
      note=(
          "Simulated observers in a world drawn by our own code: a test of the"
          " pipeline, not a result about people."
      ),
      texts={
          "summary": "One paragraph.\n\nAnother, with <b>marks</b> & $signs$.",
          "scores": "Accuracy against the likeliest simulated choice.",
      },
      models={
          "base": "base",
          "untransformed": "untransformed",
          "matched": "matched (entropy)",
          "aligned": "aligned",
      },
      ceiling={"across": 0.93},
      observers="simulated observers",
      gallery_images=images,
      gallery_expected=np.array([0, 1, 2, 2]),
      gallery_choices={
          "base": np.array([1, 1, 0, 1]),
          "aligned": np.array([0, 1, 2, 0]),
      },
      gallery_names=np.array(
          [
              [
                  "red tall amphora",
                  "cup",
                  "long-legged wading creature of the sea",
              ],
              ["quartz", "<i>", "$x$"],
              ["fern", "oak", "wolf"],
              ["a", "b", "c"],
          ]
      ),
      gallery_probabilities=rng.dirichlet(np.ones(3), 4),
      gallery_labels=np.array(["across", "border", "within", "across"]),
      matrices={
          m: similarity.matrix(x, kind="cosine") for m, x in features.items()
      },
      matrix_groups=groups,
      matrix_subgroups=subgroups,
      points={m: p.points for m, p in projections.items()},
      explained={m: p.explained for m, p in projections.items()},
      point_groups=groups,
      point_marks=rng.integers(0, 2, n),
      mark_names=("seen by the teacher", "held out"),
      group_names=names,
      curves={
          panel: {
              m: np.stack([steps, 0.4 + 0.05 * i + 0.1 * np.tanh(steps / 900)])
              for i, m in enumerate(MODELS)
          }
          for panel in ("accuracy, across", "accuracy, within", "loss (nats)")
      },
      entropies={
          "untransformed": rng.beta(0.3, 6, 500) * np.log(3),
          "matched": rng.beta(6, 3, 500) * np.log(3),
          "aligned": rng.beta(4, 2, 500) * np.log(3),
      },
  )


@pytest.fixture
def inputs() -> ReportInputs:
  return make_inputs()


@pytest.fixture
def results() -> dict:
  return make_results()
