"""Cross-validation: what is held out stays out, scores equal the formulas."""

import dataclasses
import json

from alignet import transforms
from alignet.data import linear_world
from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.triplets import similarity
import numpy as np
import pytest
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import crossval
from uncertainty_distillation import crossval_report
from uncertainty_distillation import fit
from uncertainty_distillation import training_loop

_FAST = config_lib.Config(
    steps=50, optimisation=training_loop.Optimisation(batch=512), inner_folds=3
)
_N = 60


@pytest.fixture(scope="module")
def world():
  x, concepts, embedding = linear_world.make(_N, 2, seed=2)
  return x, concepts, embedding, judgments_lib.from_embedding(embedding)


@pytest.fixture(scope="module")
def result(world):
  x, concepts, embedding, judgments = world
  return crossval.cross_validate(
      *(x, concepts, judgments, crossval.standard_methods([_FAST])),
      embedding=embedding,
      folds=3,
      trials=400,
  )


def test_folds_cover_the_concepts_and_do_not_mix(result):
  seen = [set(result.concepts[result.fold == i].ravel()) for i in range(3)]
  assert set.union(*seen) == set(range(_N))
  assert sum(map(len, seen)) == _N
  total = judgments_lib.from_embedding(np.eye(_N, dtype=np.float32))
  inside = lambda n: n * (n - 1) * (n - 2) // 6
  # Three folds of 20: what is in neither part mixes the two.
  assert result.dropped == [len(total) - inside(20) - inside(40)] * 3


def test_ours_and_ridge_beat_raw(result):
  means = {
      name: {s: v.mean() for s, v in scores.items()}
      for name, scores in result.scores.items()
  }
  for name in ("ours", "ridge"):
    assert means[name]["agreement"] > means["raw"]["agreement"] + 0.05
    assert (
        means[name]["cross_entropy_fitted"]
        < means["raw"]["cross_entropy_fitted"]
    )
  # Cosines are far too even at temperature 1: fitting must help.
  assert means["raw"]["kl_fitted"] < means["raw"]["kl"]


def test_the_settings_do_not_cripple_ridge():
  config = config_lib.Config(
      input_map="none", width=2, inner_folds=2, standardise="per_dimension"
  )
  methods = crossval.standard_methods([config])
  assert methods["ours"].configs == [config]
  assert methods["ridge"].configs == (config_lib.Config(steps=0),)


def test_scores_equal_the_formulas():
  rng = np.random.default_rng(0)
  s, p = rng.normal(size=(50, 3)), rng.dirichlet(np.ones(3), 50)
  found = crossval.score(s, p, 2.0)
  q = np.exp(s / 2) / np.exp(s / 2).sum(axis=1, keepdims=True)
  rows = np.arange(50)
  np.testing.assert_allclose(found["expected"], p[rows, s.argmax(axis=1)])
  np.testing.assert_allclose(
      found["agreement"], s.argmax(axis=1) == p.argmax(axis=1)
  )
  ce = -(p * np.log(q)).sum(axis=1)
  np.testing.assert_allclose(found["cross_entropy_fitted"], ce)
  np.testing.assert_allclose(
      found["kl_fitted"], ce + (p * np.log(p)).sum(axis=1)
  )
  np.testing.assert_allclose(found["brier_fitted"], ((p - q) ** 2).sum(axis=1))
  assert set(found) == set(crossval.SCORES)


def test_held_out_judgments_and_vectors_do_not_matter(world):
  """Other answers for held-out concepts: the same transform, hence choices."""
  x, concepts, embedding, judgments = world
  fold = judgments_lib.folds(np.arange(_N), 3, seed=0)[1]
  changed = embedding.copy()
  changed[fold] = np.random.default_rng(1).permutation(changed[fold])
  outcomes = []
  for vectors in (embedding, changed):
    found = crossval.cross_validate(
        *(x, concepts, judgments_lib.from_embedding(vectors)),
        {"ours": crossval.Method(configs=[_FAST])},
        embedding=vectors,
        folds=3,
        trials=200,
    )
    outcomes.append((found.log_p["ours"][found.fold == 1], found.fits["ours"]))
  np.testing.assert_array_equal(outcomes[0][0], outcomes[1][0])
  assert outcomes[0][1][1] == outcomes[1][1][1]


def test_blocks_are_held_out_together(world):
  x, concepts, embedding, judgments = world
  blocks = np.arange(_N) % 7
  found = crossval.cross_validate(
      *(x, concepts, judgments, {"raw": crossval.Method()}),
      folds=3,
      blocks=blocks,
      trials=300,
  )
  seen = [
      set(blocks[found.concepts[found.fold == i]].ravel()) for i in range(3)
  ]
  assert sum(map(len, seen)) == 7


def test_what_is_learnt_anew_on_each_fold(world, monkeypatch):
  x, concepts, embedding, judgments = world
  seen = []

  def learn(held_out, fold):
    anew = judgments_lib.from_embedding(embedding[:, :2] + fold)
    return anew, np.full((_N, 4), fold, np.float32)

  def tune(x, concepts, own, configs, *, embedding, calibration, **_):
    seen.append((own, embedding, calibration))
    return transforms.identity(32), {"temperature": 1.0}

  monkeypatch.setattr(fit, "tune", tune)
  crossval.cross_validate(
      *(x, concepts, judgments, {"a": crossval.Method(configs=[_FAST])}),
      learn=learn,
      folds=3,
      trials=30,
  )
  for fold, held in enumerate(judgments_lib.folds(np.arange(_N), 3, seed=0)):
    kept = ~np.isin(np.arange(_N), held)
    own, vectors, calibration = seen[fold]
    expected = judgments_lib.within(learn(None, fold)[0], kept)
    np.testing.assert_array_equal(own.probabilities, expected.probabilities)
    assert (vectors[kept] == fold).all() and not vectors[held].any()
    expected = judgments_lib.within(judgments, kept)
    np.testing.assert_array_equal(
        calibration.probabilities, expected.probabilities
    )


def test_inner_folds_are_told_of_the_blocks(world, monkeypatch):
  x, concepts, _, judgments = world
  blocks = np.arange(_N) % 7
  seen = []

  def tune(*_, blocks, **__):
    seen.append(blocks)
    return transforms.identity(32), {"temperature": 1.0}

  monkeypatch.setattr(fit, "tune", tune)
  crossval.cross_validate(
      *(x, concepts, judgments, {"a": crossval.Method(configs=[_FAST])}),
      folds=3,
      blocks=blocks,
      trials=30,
  )
  assert len(seen) == 3 and all((b == blocks).all() for b in seen)


def test_blocked_folds_are_nearly_equal():
  blocks = np.repeat(np.arange(9), [12, 9, 8, 5, 5, 3, 3, 2, 1])
  folds = judgments_lib.blocked_folds(np.arange(48), blocks, 3, seed=0)
  assert sorted(np.concatenate(folds).tolist()) == list(range(48))
  assert max(map(len, folds)) - min(map(len, folds)) <= 2
  with pytest.raises(AlignetError, match="at least 10 categories"):
    judgments_lib.blocked_folds(np.arange(48), blocks, 10, seed=0)


def test_sampled_choices_follow_the_probabilities():
  rows = 60_000
  p = np.tile(np.array([0.2, 0.5, 0.3], np.float32), (rows, 1))
  triplets = np.tile([4, 7, 2], (rows, 1))
  soft = judgments_lib.from_choices(triplets, p, n_concepts=9)
  hard = judgments_lib.sample_choices(soft, seed=1)
  odd, counts = np.unique(hard.triplets[:, 2], return_counts=True)
  # Pairs s01, s02, s12 leave out 2, 7 and 4.
  assert odd.tolist() == [2, 4, 7]
  np.testing.assert_allclose(counts / rows, [0.2, 0.3, 0.5], atol=0.01)
  assert (hard.probabilities == [1, 0, 0]).all()
  some = dataclasses.replace(
      soft, triplets=soft.triplets[:9], probabilities=soft.probabilities[:9]
  )
  np.testing.assert_array_equal(
      judgments_lib.sample_choices(some, seed=1).triplets, hard.triplets[:9]
  )


def test_images_are_of_the_concepts():
  concepts = np.array([3, 0, 3, 1, 0, 3])
  triplets = np.array([[0, 1, 3]] * 200)
  images = crossval.draw_images(concepts, triplets, np.random.default_rng(0))
  np.testing.assert_array_equal(concepts[images], triplets)
  assert set(images[:, 2]) == {0, 2, 5}


def test_report_is_json_with_paired_differences(result):
  report = json.loads(json.dumps(crossval_report.make(result, resamples=100)))
  ours, ridge = (report["methods"][m]["agreement"] for m in ("ours", "ridge"))
  difference = report["differences"]["ours - ridge"]["agreement"]
  assert difference["value"] == pytest.approx(ours["value"] - ridge["value"])
  assert difference["low"] <= difference["value"] <= difference["high"]
  folds = report["methods"]["raw"]["folds"]
  assert len(folds) == 3 == report["folds"]
  for i, scores in enumerate(folds):
    kl = result.scores["raw"]["kl"][result.fold == i].mean()
    assert scores["kl"]["value"] == pytest.approx(kl)
    assert scores["kl"]["low"] < kl < scores["kl"]["high"]
  assert report["trials"] == len(result.concepts)
  assert report["entropy_of_people"] < np.log(3)
  ce = report["methods"]["ours"]["cross_entropy"]["value"]
  kl = report["methods"]["ours"]["kl"]["value"]
  assert ce - kl == pytest.approx(report["entropy_of_people"], abs=1e-6)
  for key, log_p in (
      ("calibration", result.log_p),
      ("calibration_fitted", result.log_p_fitted),
  ):
    for name in ("ours", "raw"):
      curve = probabilistic.calibration_curve(log_p[name], result.probabilities)
      assert report[key][name]["error"] == curve.expected_calibration_error
      assert report[key][name]["count"] == curve.count.tolist()
  # Cosines are far too even; the temperature mends it.
  errors = [report[k]["raw"]["error"] for k in crossval_report._CURVES]
  assert errors[0] > 2 * errors[1]
  table = crossval_report.table(report)
  assert f"{kl:.4f} (" in table and f"{result.dropped[0]:,}" in table


def test_intervals_over_people_where_they_are_known(world):
  x, concepts, _, judgments = world
  choices = judgments_lib.sample_choices(judgments, seed=0)
  people = np.arange(len(choices)) % 7
  found = {
      known: crossval.cross_validate(
          x,
          concepts,
          judgments_lib.from_choices(
              choices.triplets,
              n_concepts=_N,
              participants=people if known else None,
          ),
          {"raw": crossval.Method()},
          folds=3,
          trials=60,
      )
      for known in (True, False)
  }
  result = found[True]
  np.testing.assert_array_equal(result.concepts, found[False].concepts)
  place = {tuple(t): n % 7 for n, t in enumerate(choices.triplets)}
  assert result.participants.tolist() == [
      place[tuple(t)] for t in result.concepts
  ]
  reports = {
      known: crossval_report.make(one, resamples=50)
      for known, one in found.items()
  }
  assert [reports[k]["participants"] for k in (True, False)] == [7, None]
  kl = reports[True]["methods"]["raw"]["kl"]
  expected = bootstrap.interval(
      result.scores["raw"]["kl"],
      result.concepts,
      participants=result.participants,
      rng=np.random.default_rng([0, 5]),
      resamples=50,
  )
  assert (kl["low"], kl["high"]) == pytest.approx((expected.low, expected.high))
  assert kl != reports[False]["methods"]["raw"]["kl"]
  assert "concepts and 7 people" in crossval_report.table(reports[True])
  assert "people\n" not in crossval_report.table(reports[False])


def test_raw_is_the_cosine(world, result):
  x, concepts, _, judgments = world
  # With one image a concept there is nothing to draw.
  single = x[::2]
  found = crossval.cross_validate(
      *(single, None, judgments, {"raw": crossval.Method()}),
      folds=3,
      trials=50,
  )
  s = similarity.of_triplets(single, found.concepts, "cosine")
  wanted = s.argmax(axis=1) == found.probabilities.argmax(axis=1)
  np.testing.assert_array_equal(found.scores["raw"]["agreement"], wanted)


def test_temperatures_are_fitted_to_what_is_scored(world):
  """A teacher of overconfident targets: as calibrated as one of the right."""
  x, concepts, embedding, judgments = world
  found = crossval.cross_validate(
      *(x, concepts, judgments),
      {
          name: crossval.Method(
              configs=[_FAST], judgments=targets, with_embedding=False
          )
          for name, targets in (
              ("sure", judgments_lib.from_embedding(3 * embedding)),
              ("right", judgments),
          )
      },
      folds=3,
      trials=400,
  )
  sure, right = (
      found.scores[name]["cross_entropy_fitted"].mean()
      for name in ("sure", "right")
  )
  assert sure < right + 0.03
  assert found.scores["sure"]["cross_entropy"].mean() > sure + 0.04


def test_without_inner_folds_there_is_no_temperature(world):
  x, concepts, _, judgments = world
  config = dataclasses.replace(_FAST, inner_folds=0)
  with pytest.raises(AlignetError, match="of ours: expected inner folds"):
    crossval.cross_validate(
        *(x, concepts, judgments, {"ours": crossval.Method(configs=[config])})
    )


def test_a_fixed_transform(world):
  """Only its temperature is fitted, on training judgments."""
  x, _, _, judgments = world
  single = x[::2]
  rng = np.random.default_rng(0)
  transform = transforms.Transform(
      weights=rng.normal(size=(32, 4)).astype(np.float32), bias=np.ones(4)
  )
  methods = {"raw": crossval.Method()} | {
      "fixed": crossval.Method(transform=transform)
  }
  found = crossval.cross_validate(
      *(single, None, judgments, methods), folds=3, trials=100
  )
  s = similarity.of_triplets(transform(single), found.concepts)
  np.testing.assert_allclose(
      found.scores["fixed"]["cross_entropy"],
      crossval.score(s, found.probabilities, 1.0)["cross_entropy"],
      rtol=1e-5,
  )
  for fold, held in enumerate(judgments_lib.folds(np.arange(_N), 3, seed=0)):
    inside = ~np.isin(np.arange(_N), held)
    training = judgments_lib.within(judgments, inside)
    best = probabilistic.fit_temperature(
        similarity.of_triplets(transform(single), training.triplets),
        training.probabilities,
    )
    fit = found.fits["fixed"][fold]
    np.testing.assert_allclose(fit["temperature"], best, rtol=0.1)
  report = crossval_report.make(found, resamples=20)
  assert report["may_have_seen_held_out_concepts"] == ["fixed"]
  methods["fixed"] = crossval.Method(transform=transforms.identity(5))
  with pytest.raises(AlignetError, match="fixed: .*fit the transform's"):
    crossval.cross_validate(single, None, judgments, methods)


def test_too_many_folds(world):
  x, concepts, _, judgments = world
  with pytest.raises(AlignetError, match="use fewer folds"):
    crossval.cross_validate(
        *(x, concepts, judgments, {"raw": crossval.Method()}), folds=40
    )
