"""Folds of concepts that are held out."""

from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import json_files
from alignet.pipeline.stages import worlds
import numpy as np
import pytest

_K = 12


def _labels(n=120):
  # Concepts 0 and 11 have no images; every seventh image has no concept.
  ids = 1 + np.arange(n) % (_K - 2)
  ids[::7] = -1
  return Labels(ids=ids, names=np.array([f"c{i:02d}" for i in range(_K)]))


def test_folds_part_the_concepts_that_have_images(tmp_path):
  for name, seed in (("a", 5), ("b", 5), ("c", 6)):
    (tmp_path / name).mkdir()
    worlds._write_folds(tmp_path / name, _labels(), 3, seed)
  folds = {
      name: np.stack(
          [
              np.load(tmp_path / name / f"fold{i}" / "held_out.npy")
              for i in (1, 2, 3)
          ]
      )
      for name in "abc"
  }
  assert folds["a"].dtype == bool
  np.testing.assert_array_equal(folds["a"].sum(axis=0), [0, *[1] * 10, 0])
  np.testing.assert_array_equal(folds["a"], folds["b"])
  assert (folds["a"] != folds["c"]).any()
  named = json_files.read(tmp_path / "a" / "fold1" / "held_out.json")
  held_out = np.flatnonzero(folds["a"][0])
  assert named["seed"] == 5
  assert named["held_out"] == [f"c{i:02d}" for i in held_out]
  assert sorted(named["held_out"] + named["training"]) == [
      f"c{i:02d}" for i in range(1, 11)
  ]


@pytest.mark.parametrize("n", [1, 4])
def test_folds_need_three_concepts(n, tmp_path):
  with pytest.raises(AlignetError, match=f"2 to 3 of the 10 .* found {n}"):
    worlds._write_folds(tmp_path, _labels(), n, 0)
