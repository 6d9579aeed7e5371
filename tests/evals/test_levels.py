"""Simulated Levels: every score against a loop over the published structure."""

import collections

from alignet.errors import AlignetError
from alignet.evals import levels as levels_scores
from alignet.evals.scores.choices import response_times
from alignet.evals.scores.choices import triplet_rsa
from alignet.human import levels as levels_lib
import numpy as np
import pytest
from scipy import stats
from tests.human import simulated_levels


@pytest.fixture(name="world", scope="module")
def _world():
  published = simulated_levels.participants()
  levels, _ = levels_lib.from_trials(published)
  rng = np.random.default_rng(5)
  good = simulated_levels.features() + 0.3 * rng.normal(size=(48, 16))
  bad = rng.normal(size=(48, 16))
  return published, levels, good, bad


def _evaluate(world, resamples=20, **more):
  _, levels, good, bad = world
  return levels_scores.evaluate(
      good,
      np.array(simulated_levels.images()),
      levels,
      baseline=(bad, "cosine"),
      resamples=resamples,
      **more,
  )


def _picks(features, trial):
  """Position (0, 1, 2) of the model's odd one of a published trial."""
  row = {name: i for i, name in enumerate(simulated_levels.images())}
  a, b, c = (
      features[row[trial[f"image{i}Path"].split("/")[1]]] for i in (1, 2, 3)
  )
  cos = lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y)
  return (2, 1, 0)[int(np.argmax([cos(a, b), cos(a, c), cos(b, c)]))]


def test_both_accuracies_by_loops(world):
  published, _, good, bad = world
  found = _evaluate(world)["scores"]
  for kind, name in levels_lib.LEVELS.items():
    single = collections.defaultdict(list)
    votes = collections.defaultdict(collections.Counter)
    model = {}
    for trials in published.values():
      for trial in trials:
        if trial["exp_trial_type"] != "exp_trial":
          continue
        if trial["triplet_type"] != kind:
          continue
        shown = [trial[f"image{i}Path"] for i in (1, 2, 3)]
        key = tuple(sorted(shown))
        votes[key][trial["selected_image"]] += 1
        for which, features in (("good", good), ("bad", bad)):
          pick = shown[_picks(features, trial)]
          single[which].append(pick == trial["selected_image"])
          model[which, key] = pick
    modal = []
    for key, n in votes.items():
      top = [image for image, v in n.items() if v == max(n.values())]
      modal.append((model["good", key] in top) / len(top))
    score = found[f"human/levels/{name}/accuracy"]
    assert score["mean"] == pytest.approx(np.mean(single["good"]), abs=1e-10)
    assert score["baseline"] == pytest.approx(np.mean(single["bad"]), abs=1e-10)
    assert score["n"] == len(single["good"])
    assert score["low"] <= score["mean"] <= score["high"]
    assert score["difference"]["mean"] == pytest.approx(
        score["mean"] - score["baseline"], abs=1e-10
    )
    assert found[f"human/levels/{name}/modal"]["mean"] == pytest.approx(
        np.mean(modal), abs=1e-10
    )
    assert found[f"human/levels/{name}/modal"]["n"] == len(votes)


def test_what_people_see_does_better(world):
  result = _evaluate(world)
  scores, ceilings = result["scores"], result["ceilings"]
  for name in ("coarse", "fine", "boundary", "all"):
    at = lambda key, name=name: scores[f"human/levels/{name}/{key}"]
    assert at("accuracy")["difference"]["mean"] > 0.05
    assert at("modal")["mean"] > at("accuracy")["mean"]
    assert at("accuracy")["mean"] <= ceilings[name]["bayes_bound"]
    assert at("nll_fitted")["mean"] < at("nll_fitted")["baseline"]
    assert at("nll_fitted")["mean"] < at("nll")["mean"]
    assert ceilings[name]["leave_one_out"] <= ceilings[name]["bayes_bound"]
  assert scores["human/levels/all/accuracy"]["difference"]["low"] > 0
  for end in ("", "_fitted"):
    error = scores[f"human/levels/fine/calibration_error{end}"]
    assert "low" in error or "biased" in error["no_interval"]
    assert 0 <= error["mean"] <= error.get("high", 1) and "difference" in error
  assert result["drawn"] == ["images", "participants"]
  # Simulated times grow with the entropy of what people see.
  times = scores["human/levels/all/response_time"]
  assert times["mean"] > 0.3 > abs(times["baseline"]) + 0.1
  rsa = scores["human/levels/all/triplet_rsa"]
  assert rsa["mean"] > 0.5 and rsa["mean"] > rsa["baseline"] + 0.2
  assert set(ceilings) == {"coarse", "fine", "boundary", "all"}


def test_ceilings_know_who_answered(world):
  """Everybody saw one triplet twice: only others' answers count."""
  _, levels, _, _ = world
  found = _evaluate(world, resamples=0)["ceilings"]["all"]
  right = []
  for stimulus, person, chosen in zip(
      levels.stimulus_numbers, levels.participants, levels.chosen
  ):
    others = (levels.stimulus_numbers == stimulus) & (
        levels.participants != person
    )
    n = np.bincount(levels.chosen[others], minlength=3)
    right.append((n[chosen] == n.max()) / (n == n.max()).sum())
  assert found["leave_one_out"] == pytest.approx(np.mean(right), abs=1e-12)


def test_triplet_rsa_by_a_loop(world):
  published, _, good, _ = world
  kept, shown = collections.Counter(), collections.Counter()
  for trials in published.values():
    for trial in trials:
      if trial["exp_trial_type"] != "exp_trial":
        continue
      images = sorted(trial[f"image{i}Path"].split("/")[1] for i in (1, 2, 3))
      odd = trial["selected_image"].split("/")[1]
      for i, a in enumerate(images):
        for b in images[i + 1 :]:
          shown[a, b] += 1
          kept[a, b] += odd not in (a, b)
  row = {name: i for i, name in enumerate(simulated_levels.images())}
  unit = good / np.linalg.norm(good, axis=1, keepdims=True)
  pairs = [pair for pair, n in shown.items() if n >= 12]
  wanted = stats.spearmanr(
      [unit[row[a]] @ unit[row[b]] for a, b in pairs],
      [kept[pair] / shown[pair] for pair in pairs],
  ).statistic
  found = _evaluate(world, resamples=0, minimum_shown=12)["scores"]
  assert found["human/levels/all/triplet_rsa"]["n"] == len(pairs)
  assert found["human/levels/all/triplet_rsa"]["mean"] == pytest.approx(
      wanted, abs=1e-10
  )


def test_intervals_of_correlations_by_repeated_rows(world):
  """A resample's answers, or pairs, as often as they were drawn."""
  _, levels, good, bad = world
  found = _evaluate(world, resamples=30, minimum_shown=12)["scores"]
  rows = [
      levels_scores._rows(
          features,
          "cosine",
          levels_lib.rows_of_images(
              levels, np.array(simulated_levels.images())
          )[0],
          levels,
          0,
      )
      for features in (good, bad)
  ]
  z = response_times.z_scores(levels.times, levels.participants)
  used = np.isfinite(z)
  pairs = triplet_rsa.pairs(levels.triplets, minimum=12)
  for key, objects, people, values, human in (
      (
          "response_time",
          levels.stimuli[used],
          levels.participants[used],
          [model["uncertainty"][used] for model in rows],
          z[used],
      ),
      (
          "triplet_rsa",
          pairs.objects,
          None,
          [
              levels_scores._similarities_of_pairs(
                  model["similarities"], levels, pairs.objects
              )
              for model in rows
          ],
          pairs.kept,
      ),
  ):
    rng = np.random.default_rng(0)
    names, places = np.unique(objects, return_inverse=True)
    draws = []
    for _ in range(30):
      n = np.bincount(rng.integers(len(names), size=len(names)))
      n = np.append(n, np.zeros(len(names) - len(n), int))
      times = n[places.reshape(objects.shape)].prod(axis=1)
      if people is not None:
        who, place = np.unique(people, return_inverse=True)
        drawn = rng.integers(len(who), size=len(who))
        times = times * np.bincount(drawn, minlength=len(who))[place]
      repeated = np.repeat(np.arange(len(human)), times)
      draws.append(
          [
              stats.spearmanr(x[repeated], human[repeated]).statistic
              for x in values
          ]
      )
    draws = np.array(draws)
    score = found[f"human/levels/all/{key}"]
    assert (score["low"], score["high"]) == pytest.approx(
        np.quantile(draws[:, 0], [0.025, 0.975])
    ), key
    assert score["difference"]["se"] == pytest.approx(
        np.std(draws[:, 0] - draws[:, 1], ddof=1)
    ), key


def test_order_of_the_images_does_not_matter_and_missing_ones_are_counted(
    world,
):
  _, levels, good, _ = world
  names = np.array(simulated_levels.images())
  order = np.random.default_rng(0).permutation(48)[:44]
  part = levels_scores.evaluate(good[order], names[order], levels, resamples=0)
  coverage = part["coverage"]
  used = np.isin(levels.images, names[order])
  assert coverage["images"] == used.sum() < coverage["images_in_all"]
  inside = used[levels.stimuli].all(axis=1)
  assert coverage["answers"] == inside.sum() < coverage["answers_in_all"]
  whole = levels_scores.evaluate(good, names, levels.take(inside), resamples=0)
  for name, score in whole["scores"].items():
    assert score["mean"] == pytest.approx(part["scores"][name]["mean"])
  with pytest.raises(AlignetError, match="cover 0 of"):
    levels_scores.evaluate(good, np.arange(48).astype(str), levels)


def test_a_collapsed_model_is_told(world):
  """It sees no difference between images: correlations are undefined."""
  _, levels, good, _ = world
  names = np.array(simulated_levels.images())
  flat = np.ones_like(good)
  keys = [f"human/levels/all/{k}" for k in ("response_time", "triplet_rsa")]
  for ours, theirs, start in ((flat, good, ""), (good, flat, "baseline: ")):
    found = levels_scores.evaluate(
        ours, names, levels, baseline=(theirs, "cosine"), resamples=0
    )
    for key in keys:
      score = found["scores"][key]
      assert (score["mean"] is None) == (ours is flat)
      assert (score["baseline"] is None) == (theirs is flat)
      assert score["difference"] == {"mean": None}
      assert found["undefined"][key].startswith(start)
    assert "differ" in found["undefined"][keys[0]]
    assert found["scores"]["human/levels/all/accuracy"]["mean"] > 0
  fine = levels_scores.evaluate(good, names, levels, resamples=0)
  assert fine["undefined"] == {}


def test_the_order_in_which_images_were_shown_does_not_matter(world):
  published, levels, good, bad = world
  rng = np.random.default_rng(9)
  shown = {}
  for person, trials in published.items():
    shown[person] = []
    for trial in trials:
      names = [trial[f"image{i}Path"] for i in (1, 2, 3)]
      names = [names[i] for i in rng.permutation(3)]
      again = {f"image{i + 1}Path": name for i, name in enumerate(names)}
      shown[person].append({**trial, **again})
  other, _ = levels_lib.from_trials(shown)
  found = _evaluate((shown, other, good, bad), resamples=0)
  assert found == _evaluate((published, levels, good, bad), resamples=0)


def test_response_times_of_a_model_that_sees_little():
  """Images nearly alike, choices at chance: entropies near log 3, and apart.

  So are features of another batch size or processor, by a billionth here.
  """
  levels, _ = levels_lib.from_trials(simulated_levels.participants(6, 8))
  names = np.array(simulated_levels.images())
  for seed in (2, 3, 4):  # Choices at chance: the temperature is its bound.
    z = 1 + 0.01 * np.random.default_rng(seed).normal(size=(48, 16))
    scores = []
    for i, noise in enumerate((0, 1e-9, 1e-9)):
      noisy = z * (1 + noise * np.random.default_rng(i).normal(size=z.shape))
      found = levels_scores.evaluate(noisy, names, levels, resamples=0)
      scores.append(found["scores"]["human/levels/all/response_time"]["mean"])
    assert scores[0] is not None and len(set(scores)) == 1
