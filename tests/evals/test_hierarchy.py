"""The hierarchy's scores from representations, and its refusals."""

from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals import hierarchy
from alignet.evals.model import Model
import numpy as np
import pytest


def _model(x, kind="cosine", levels=("subordinate", "superordinate")):
  fine = np.repeat(np.arange(8), 10)
  ids = {"subordinate": fine, "basic": fine // 2, "superordinate": fine // 4}
  return Model(
      features=x,
      filenames=np.arange(80).astype(str),
      labels={
          level: Labels(
              ids=ids[level],
              names=np.array([f"{level}{i}" for i in range(8)]),
          )
          for level in levels
      },
      kind=kind,
  )


def _features(pull, seed=0):
  """Images about classes about basics about superordinates, pulled together."""
  rng = np.random.default_rng(seed)
  fine = np.repeat(np.arange(8), 10)
  x = (
      2 * rng.normal(size=(2, 30))[fine // 4]
      + rng.normal(size=(4, 30))[fine // 2]
  )
  x += rng.normal(size=(8, 30))[fine]
  return x + pull * rng.normal(size=(80, 30))


def test_a_change_has_the_paper_s_signs():
  """Noise leaves: closer within a class, further across superordinates."""
  names = ("subordinate", "basic", "superordinate")
  scores, details = hierarchy.on_hierarchy(
      _model(_features(0.5), levels=names),
      names,
      baseline=_model(_features(3), levels=names),
      resamples=200,
  )
  assert list(scores) == [
      *(f"hierarchy/{name}" for name in (*names, "across")),
      *("cka/biased", "cka/unbiased"),
  ]
  assert details == {
      "levels": list(names),
      "classes": 8,
      "images": 80,
      "left_out": 0,
  }
  within, across = scores["hierarchy/subordinate"], scores["hierarchy/across"]
  assert within["difference"]["high"] < 0 < across["difference"]["low"]
  assert sum(scores[f"hierarchy/{n}"]["n"] for n in (*names, "across")) == 3160
  for score in (within, across):
    assert score["low"] <= score["mean"] <= score["high"]
    change = score["difference"]
    assert change["mean"] == pytest.approx(score["mean"] - score["baseline"])
  # In one draw all classes share a superordinate.
  assert [score.get("skipped", 0) for score in (within, across)] == [0, 1]
  alike = scores["cka/unbiased"]
  assert 0 < alike["low"] < alike["mean"] < alike["high"] and alike["mean"] < 1


def test_no_change_against_itself_in_every_resample():
  model = _model(_features(1))
  scores, _ = hierarchy.on_hierarchy(
      model, ("subordinate", "superordinate"), baseline=model, resamples=50
  )
  change = scores["hierarchy/across"]["difference"]
  assert change["low"] == change["mean"] == change["high"] == 0
  assert scores["cka/biased"]["mean"] == pytest.approx(1, abs=1e-12)


def test_a_level_without_pairs_and_a_collapsed_model_are_undefined():
  flat = _model(np.ones((80, 3), np.float32))
  scores, _ = hierarchy.on_hierarchy(
      _model(_features(1)), ("subordinate",), baseline=flat, resamples=10
  )
  score = scores["hierarchy/subordinate"]
  assert score["mean"] < 1 and score["baseline"] is None
  assert score["difference"] == {"mean": None}
  assert scores["cka/biased"]["mean"] is None


def test_few_classes_have_no_intervals():
  """Draws of two or four classes are often of one, or of few pairs."""
  for levels in (("superordinate",), ("basic", "superordinate")):
    model = _model(_features(1), levels=levels)
    scores, details = hierarchy.on_hierarchy(model, levels, resamples=50)
    assert scores["hierarchy/across"].keys() == {"mean", "n"}
    assert f"{2 * len(levels)} classes are too few" in details["no_intervals"]


@pytest.mark.parametrize(
    "levels, message",
    [
        (("family",), "--hierarchy: expected some of subordinate, basic"),
        (("basic", "basic"), "each once, found basic,basic"),
        ((), "found none"),
        (("superordinate", "basic"), "found superordinate,basic"),
        (("basic",), "no labels of the level 'basic'; found subordinate"),
    ],
)
def test_refuses(levels, message):
  with pytest.raises(AlignetError, match=message):
    hierarchy.on_hierarchy(_model(_features(1)), levels)
