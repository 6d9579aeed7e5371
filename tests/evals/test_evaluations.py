"""Stored representations: trials, choices among concepts, RDMs."""

import dataclasses

from alignet import transforms
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals import choices
from alignet.evals import evaluation
from alignet.evals import model as model_lib
from alignet.evals import rdms
from alignet.evals import suite
from alignet.evals.scores import summary
from alignet.evals.scores.choices import odd_one_out
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np
import pytest


@pytest.fixture(name="world")
def _world(tmp_path):
  rng = np.random.default_rng(0)
  names = np.array([f"i{n:02d}" for n in range(30)])
  concepts = Labels(
      ids=np.repeat(np.arange(10), 3),
      names=np.array([f"c{i}" for i in range(12)]),
  )
  x = rng.normal(size=(30, 6)).astype(np.float32)
  for name, noise in (("good", 0.2), ("bad", 3.0)):
    store.write(
        tmp_path / name,
        (x + noise * rng.normal(size=x.shape)).astype(np.float32),
        names,
        {
            "concept": concepts,
            "superordinate": Labels(
                ids=np.repeat([0, 1], 15), names=np.array(["x", "y"])
            ),
        },
        {"model": name},
    )
  triplets = np.stack([rng.permutation(30)[:3] for _ in range(300)])
  s = similarity.of_triplets(x, triplets, "cosine") * 5
  npz.write(tmp_path / "sets" / "a.npz", names, triplets, s)
  npz.write(tmp_path / "sets" / "b.npz", names, triplets[:50], s[:50])
  return tmp_path, x, names


def _on_trials(model, path, *, source, baseline=None, resamples=1000):
  found = suite.evaluate(
      suite.Suite(trials={source: path}, resamples=resamples),
      evaluation.Models(model=model, baseline=baseline),
  )
  return found.scores, found.details


def _on_choices(model, triplets, **options):
  found = choices.score(evaluation.Models(model=model), triplets, **options)
  return found.scores, found.details["human/things"]


def test_trials_of_a_folder_and_of_a_file(world):
  folder, x, _ = world
  good = model_lib.open_model(folder / "good")
  bad = model_lib.open_model(folder / "bad")
  found, details = _on_trials(
      good, folder / "sets", source="simulated", baseline=bad, resamples=20
  )
  assert details["simulated/a"] == {"drawn": ["concepts"]}
  assert {name.split("/")[1] for name in found} == {"a", "b"}
  assert all(name.startswith("simulated/") for name in found)
  opened = npz.open(folder / "sets" / "a.npz")
  p = similarity.choice_probabilities(opened.similarities.astype(np.float64))
  for model, key in ((good, "mean"), (bad, "baseline")):
    s = similarity.of_triplets(model.features, opened.indices, "cosine")
    for score, function in (
        ("modal", odd_one_out.modal),
        ("expected", odd_one_out.expected),
    ):
      assert found[f"simulated/a/{score}"][key] == pytest.approx(
          function(s, p).mean(), abs=1e-10
      )
  at = lambda score: found[f"simulated/a/{score}"]
  assert at("modal")["difference"]["low"] > 0
  assert at("kl")["mean"] == pytest.approx(
      at("cross_entropy")["mean"] + (p * np.log(p)).sum(axis=1).mean(), abs=1e-9
  )
  assert at("kl_fitted")["mean"] < at("kl")["mean"]
  for end in ("", "_fitted"):
    score = at(f"calibration_error{end}")
    if "low" in score:
      assert 0 <= score["low"] <= score["mean"] <= score["high"] < 0.7
    else:
      assert "resamples are biased" in score["no_interval"]
    assert score["difference"]["low"] < score["difference"]["high"]
  assert at("calibration_error_fitted")["mean"] < 0.3
  one, _ = _on_trials(
      good, folder / "sets" / "a.npz", source="synthetic", resamples=0
  )
  assert one["synthetic/a/modal"]["mean"] == at("modal")["mean"]
  assert "low" not in one["synthetic/a/modal"]


def test_an_image_that_nobody_judged_does_not_change_what_is_drawn(world):
  folder, _, names = world
  good = model_lib.open_model(folder / "good")
  ids = good.labels["concept"].ids.copy()
  triplets = np.stack([np.random.default_rng(0).permutation(29)[:3]] * 9)
  npz.write(folder / "few.npz", names, triplets, np.ones((9, 3)))
  scored = {}
  for row, drawn in ((29, "concepts"), (triplets[0, 0], "images")):
    gap = dataclasses.replace(
        good.labels["concept"], ids=np.where(np.arange(30) == row, -1, ids)
    )
    model = dataclasses.replace(good, labels={"concept": gap})
    scored[drawn], details = _on_trials(
        model, folder / "few.npz", source="vice", resamples=50
    )
    assert details == {"vice/few": {"drawn": [drawn]}}
  whole, _ = _on_trials(good, folder / "few.npz", source="vice", resamples=50)
  assert scored["concepts"] == whole


def test_ceilings_are_of_the_choices_that_are_scored(world):
  """Concepts 10 and 11 have no image: what was said of them is left out."""
  good = model_lib.open_model(world[0] / "good")
  seen = np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1]])
  unseen = np.array([[10, 1, 2], [1, 10, 2], [2, 10, 1], [1, 2, 10]])
  people = np.arange(7)
  _, details = _on_choices(
      good, np.concatenate([seen, unseen]), participants=people, resamples=9
  )
  assert details["without_images"] == 4
  assert details["drawn"] == ["concepts", "participants"]
  assert details["ceilings"] == choices.ceilings_of_choices(seen, people[:3])
  assert details["ceilings"]["stimuli"] == 1


def test_choices_among_concepts(world):
  folder, _, _ = world
  good = model_lib.open_model(folder / "good")
  means = good.features.reshape(10, 3, 6).mean(axis=1)
  rng = np.random.default_rng(0)
  triplets = np.stack([rng.permutation(12)[:3] for _ in range(80)])
  found, details = _on_choices(
      good, triplets, participants=np.arange(80) % 4, resamples=20
  )
  left_out = details["without_images"]
  used = (triplets < 10).all(axis=1)
  s = similarity.of_triplets(means.astype(np.float64), triplets[used], "cosine")
  score = found["human/things/accuracy"]
  assert score["mean"] == pytest.approx(odd_one_out.accuracy(s).mean())
  assert score["n"] == used.sum() and left_out == (~used).sum() > 0
  assert "human/things/nll_participant" in found
  with pytest.raises(AlignetError, match="from 0 to 11, found 12"):
    _on_choices(good, np.array([[0, 1, 12]]))
  with pytest.raises(AlignetError, match="of 2 choices 0 are among the 10"):
    _on_choices(good, np.array([[0, 1, 11], [10, 2, 3]]))


def test_rdms_by_name(world):
  folder, x, names = world
  good = model_lib.open_model(folder / "good")
  rng = np.random.default_rng(1)
  human = 1 - np.corrcoef(x) + rng.random((4, 30, 30))
  human = human + human.transpose(0, 2, 1)
  scores, details = rdms.on_rdm(
      good,
      human,
      name="mine",
      images=names,
      category_levels=("superordinate",),
      resamples=20,
  )
  wanted = summary.of_rdm(
      good.features,
      human,
      similarity="cosine",
      resamples=20,
      categories=[np.repeat([0, 1], 15)],
  )
  ci = wanted["mean_rdm"].pop("ci")
  assert details == {**wanted, "drawn": ["images"]}
  score = scores["human/mine/spearman"]
  assert [score["low"], score["high"]] == pytest.approx(ci)
  assert scores["human/mine/spearman"]["mean"] == wanted["mean_rdm"]["spearman"]
  assert scores["human/mine/spearman_given_categories"]["n"] == 30
  assert (
      0 < wanted["mean_ceiling"]["split_half"] < wanted["mean_ceiling"]["bound"]
  )
  # Moved with its names it is the same.
  order = rng.permutation(30)
  moved = human[:, order][:, :, order]
  same, _ = rdms.on_rdm(
      good, moved, name="mine", images=names[order], resamples=20
  )
  assert same["human/mine/tau_a"]["mean"] == pytest.approx(
      scores["human/mine/tau_a"]["mean"], abs=1e-12
  )
  bad = model_lib.open_model(folder / "bad")
  paired, same_details = rdms.on_rdm(
      good, human, name="mine", images=names, baseline=bad, resamples=20
  )
  other, _ = rdms.on_rdm(bad, human, name="mine", images=names, resamples=20)
  assert same_details["mean_rdm"]["tau_a"] == details["mean_rdm"]["tau_a"]
  for key, score in paired.items():
    assert score["baseline"] == other[key]["mean"]
    assert score["difference"]["mean"] == score["mean"] - other[key]["mean"]
    if key == "human/mine/subjects_tau_a":  # Takes too long.
      assert "low" not in score
      continue
    assert score["low"] < score["mean"] < score["high"]
    change = score["difference"]
    assert 0 < change["low"] < change["mean"] < change["high"]
  plain, _ = rdms.on_rdm(
      good, human, name="mine", images=names, baseline=bad, resamples=0
  )
  for key, score in plain.items():
    assert not {"low", "high"} & (set(score) | set(score["difference"])), key
    assert score["difference"]["mean"] == paired[key]["difference"]["mean"]
  few, _ = rdms.on_rdm(
      good, human[:1, :20, :20], name="mine", images=names[:20], resamples=20
  )
  assert "human/mine/subjects_spearman" not in few
  for more, message in (
      ({"images": names[:19]}, "names of the RDM's 20 stimuli, found 19"),
      ({"images": np.array(["z"] * 20)}, "20 of its images have no .*is z"),
      ({"images": names[:20], "category_levels": ("basic",)}, "level 'basic'"),
  ):
    with pytest.raises(AlignetError, match=message):
      rdms.on_rdm(good, human[:, :20, :20], name="mine", **more)


def test_people_are_looked_at_once(world, monkeypatch):
  """Ceilings and their split halves do not depend on a model."""
  folder, x, names = world
  good, bad = (model_lib.open_model(folder / name) for name in ("good", "bad"))
  human = 1 - np.corrcoef(x) + np.random.default_rng(1).random((4, 30, 30))
  human = human + human.transpose(0, 2, 1)
  calls = []
  of_mean = summary.rsa_reliability.of_mean_rdm

  def counting(*args, **more):
    calls.append(1)
    return of_mean(*args, **more)

  monkeypatch.setattr(summary.rsa_reliability, "of_mean_rdm", counting)
  more = {"name": "m", "images": names, "resamples": 5}
  rdms.on_rdm(good, human, baseline=bad, **more)
  assert len(calls) == 1


def test_reweighting_is_reported(world):
  folder, x, names = world
  model = model_lib.open_model(folder / "good")
  weights = np.array([4, 2, 1, 0, 0, 0])
  human = -((x * weights) @ x.T).astype(np.float64)[None]
  scores, details = rdms.on_rdm(
      model, human, name="m", images=names, reweighted=True, resamples=2
  )
  assert (
      scores["human/m/spearman_reweighted"]["mean"]
      > scores["human/m/spearman_unweighted"]["mean"]
  )
  assert len(details["reweighted"]["penalties"]) == 5


def test_a_transform_comes_first(world):
  folder, _, _ = world
  rng = np.random.default_rng(0)
  t = transforms.Transform(
      weights=rng.normal(size=(6, 3)),
      bias=np.zeros(3),
      meta={"columns": {"model": "good"}},
  )
  transforms.save(folder / "t.npz", t)
  model = model_lib.open_model(folder / "good", transform=folder / "t.npz")
  assert model.kind == "dot" and model.features.shape == (30, 3)


def test_sources_are_known(world):
  folder, _, _ = world
  asked = suite.Suite(
      representations=folder / "good", trials={"people": folder / "sets"}
  )
  with pytest.raises(AlignetError, match="expected one of human, simulated"):
    suite.evaluate(asked)


def test_ceilings_need_repeated_triplets():
  triplets = np.array([[4, 7, 2], [7, 4, 2], [2, 7, 4], [0, 1, 2], [7, 2, 4]])
  found = choices.ceilings_of_choices(triplets)
  # Of {2, 4, 7} the odd one was 2, 2, 4 and 4; {0, 1, 2} has one answer.
  assert found["stimuli"] == 1 and found["answers_per_stimulus"] == 4
  assert found["bayes_bound"] == 0.5
  # The others of each answer are 1 to 2 against it.
  assert found["leave_one_out"] == 0
  assert choices.ceilings_of_choices(triplets[2:4]) is None
  # Somebody's second answer says nothing of others.
  people = np.array([0, 0, 1, 1, 1])
  found = choices.ceilings_of_choices(triplets, people)
  assert found["leave_one_out"] == 0 and found["split_half"] == 0
  assert choices.ceilings_of_choices(triplets, people * 0) is None


def test_rows_are_what_scores_are_means_of(world):
  folder, _, _ = world
  found = suite.evaluate(
      suite.Suite(
          representations=folder / "good",
          train_representations=folder / "bad",
          trials=[("simulated", folder / "sets"), ("human", folder / "sets")],
          tasks=["knn"],
          level="concept",
          resamples=0,
      )
  )
  assert "simulated/b/modal" in found.rows and "classes/knn" in found.rows
  for name, rows in found.rows.items():
    assert rows.mean() == pytest.approx(found.scores[name]["mean"]), name
  assert found.meta["names"] == ["model", "baseline"]
  assert str(found).splitlines()[0].startswith("simulated/a/modal ")
  assert found._repr_html_().count("<tr>") == len(found.scores) + 1


def test_settings_in_python():
  mapping = suite.Suite(trials={"vice": "a"}, rdm={"mine": "r.npy"})
  pairs = suite.Suite(trials=[("vice", "a")], rdm=(("mine", "r.npy"),))
  assert mapping == pairs and [e.name for e in pairs.asked] == ["trials", "rdm"]
  with pytest.raises(AlignetError, match="tasks: expected several values"):
    suite.Suite(tasks="knn")
  with pytest.raises(AlignetError, match="nothing to evaluate: pass --trials"):
    suite.evaluate(suite.Suite(representations="."))


def test_no_negative_zero_is_shown():
  score = {"mean": -1e-9, "n": 3, "low": -1e-7, "high": 0.1}
  score |= {"baseline": -0.0, "difference": {"mean": -1e-6}}
  text = str(suite.Scores(scores={"a/b": score}))
  assert "-0.0000" not in text and "+0.0000" in text
