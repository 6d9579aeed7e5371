"""Levels in the published structure, simulated, and in other structures."""

import copy
import pickle

from alignet.errors import AlignetError
from alignet.human import levels as levels_lib
from alignet.io import files
from alignet.triplets.layout import ODD
import numpy as np
import pytest
from tests.human import simulated_levels


@pytest.fixture(name="published", scope="module")
def _published():
  return simulated_levels.participants(people=4, triplets=5)


def _experimental(published):
  return [
      (person, trial)
      for person, trials in published.items()
      for trial in trials
      if trial["exp_trial_type"] == "exp_trial"
  ]


def test_the_published_file_goes_through(published, tmp_path):
  pickled, out = tmp_path / "pruned_dataset.pkl", tmp_path / "levels.npz"
  pickled.write_bytes(pickle.dumps(published))
  counts = levels_lib.convert(pickled, out)
  assert counts == {
      "answers": 4 * 16,
      "participants": 4,
      "images": counts["images"],
      "between_class": 4 * 6,
      "within_class": 20,
      "class_border": 20,
      "left_out": 4,
  }
  levels = levels_lib.read(out)
  assert len(levels.images) == counts["images"]
  # Nothing in the npz needs a pickle, and nothing is lost.
  with files.open_npz(out, required=("meta",)) as archive:
    assert files.sha256(pickled) in str(archive["meta"])
  trials = _experimental(published)
  assert len(levels) == len(trials)
  names = levels.participant_names[levels.participants]
  for row, (person, trial) in enumerate(trials):
    assert names[row] == person
    shown = {trial[f"image{i}Path"].split("/")[1] for i in (1, 2, 3)}
    found = levels.images[levels.triplets[row]].tolist()
    assert set(found) == shown
    assert found[2] == trial["selected_image"].split("/")[1]
    assert levels_lib.KINDS[levels.kinds[row]] == trial["triplet_type"]
    assert levels.times[row] == trial["rt"]
    odd = levels.stimuli[row, ODD[levels.chosen[row]]]
    assert levels.images[odd] == found[2]
  assert (np.diff(levels.stimuli, axis=1) > 0).all()


def test_equal_images_are_one_stimulus(published):
  levels, _ = levels_lib.from_trials(published)
  numbers = levels.stimulus_numbers
  # Fifteen triplets, seen by four people, the second one twice.
  assert len(set(numbers.tolist())) == 15
  n = np.bincount(numbers)
  assert sorted(n.tolist()) == [4] * 14 + [8]


def test_exclusions(published):
  published = copy.deepcopy(published)
  people = list(published)
  published[people[0]][2]["rt"] = 50
  published[people[0]][3]["rt"] = 1e9
  published[people[0]][4]["rt"] = None
  published[people[1]] = published[people[1]][:4]
  levels, _ = levels_lib.from_trials(published)
  assert np.isnan(levels.times).sum() == 1
  kept, left_out = levels_lib.exclude(
      levels,
      levels_lib.Exclusions(
          shortest=100,
          longest=1e8,
          repeats=True,
          answers=5,
          stimulus_answers=3,
          participants=(people[3],),
      ),
  )
  assert left_out["shortest"] == 1 and left_out["longest"] == 1
  # Person 0's first answer to the repeated triplet was too quick.
  assert left_out["repeats"] == 2
  assert left_out["answers"] == 3
  assert left_out["stimulus_answers"] == 2 * 1
  assert set(kept.participant_names[kept.participants]) == set(
      (people[0], people[2])
  )
  assert len(kept) == len(levels) - sum(left_out.values())
  same, nothing = levels_lib.exclude(levels, levels_lib.Exclusions())
  assert len(same) == len(levels) and not nothing
  with pytest.raises(AlignetError, match="leave no answer of Levels"):
    levels_lib.exclude(levels, levels_lib.Exclusions(answers=1000))
  with pytest.raises(AlignetError, match="no participant 'x'"):
    levels_lib.exclude(levels, levels_lib.Exclusions(participants=("x",)))


def test_images_are_found_by_name(published):
  levels, _ = levels_lib.from_trials(published)
  names = simulated_levels.images()
  rng = np.random.default_rng(0)
  order = rng.permutation(len(names))
  filenames = np.array(
      [f"train/{names[i].replace('JPEG', 'png')}" for i in order]
  )
  rows, covered = levels_lib.rows_of_images(levels, filenames)
  assert covered.all()
  for image, row in zip(levels.images.tolist(), rows.tolist()):
    assert names[order[row]] == image
  missing = str(levels.images[levels.stimuli[0, 0]]).partition(".")[0] + "."
  kept = np.array([n for n in filenames.tolist() if missing not in n])
  rows, covered = levels_lib.rows_of_images(levels, kept)
  assert not covered[0] and covered.any() and (rows == -1).sum() == 1
  with pytest.raises(AlignetError, match="two images are called"):
    levels_lib.rows_of_images(levels, np.array(["a/x.png", "b/x.jpg"]))


def _spoil(key, value):
  def change(trials):
    if value is None:
      del trials[1][key]
    else:
      trials[1][key] = value

  return change


@pytest.mark.parametrize(
    "change, message",
    [
        (_spoil("image2Path", None), "name as image2Path, found No"),
        (_spoil("image2Path", 3), "found 3"),
        (_spoil("selected_image", "z.JPEG"), "one of them selected"),
        (_spoil("triplet_type", "other"), "triplet_type of between.*'other'"),
        (lambda t: t.__setitem__(1, []), "expected a dict, found list"),
        (
            lambda t: t[1].update(image2Path=t[1]["image1Path"]),
            "three different images",
        ),
    ],
)
def test_other_structures(published, change, message):
  published = copy.deepcopy(published)
  change(published["person_2"])
  with pytest.raises(AlignetError, match=f"'person_2', .*{message}"):
    levels_lib.from_trials(published)


@pytest.mark.parametrize(
    "value, message",
    [
        ([1], "expected a dict of participants, found list"),
        ({}, "expected a dict of participants"),
        ({"a": 3}, "participant 'a': expected a list of trials, found int"),
        ({"a": [{"exp_trial_type": "training"}]}, "found no trial with"),
    ],
)
def test_other_pickles(value, message):
  with pytest.raises(AlignetError, match=message):
    levels_lib.from_trials(value)


def test_damaged_npz(published, tmp_path):
  levels, _ = levels_lib.from_trials(published)
  path = tmp_path / "l.npz"
  levels_lib.write(path, levels, {})
  arrays = files.load_npz(path, required=())
  for key, value, message in (
      ("chosen", arrays["chosen"] + 3, "from 0 to 2"),
      ("kinds", arrays["kinds"][:3], "expected shape"),
      ("stimuli", arrays["stimuli"] + 1000, "expected numbers from 0"),
  ):
    files.save_npz(path, {**arrays, key: value}, overwrite=True)
    with pytest.raises(AlignetError, match=message):
      levels_lib.read(path)
  with pytest.raises(AlignetError, match="is a pickle"):
    levels_lib.read(tmp_path / "pruned_dataset.pkl")
