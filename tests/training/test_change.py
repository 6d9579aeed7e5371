"""Change of representations along a training, by class."""

import json

from alignet.data import images as images_lib
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.representations import extract
from alignet.training import change
import jax
from kauldron import kd
import numpy as np
import pytest
from scipy.spatial import distance

_LABELS = {
    "superordinate": Labels(
        ids=np.array([0, 1, 0, -1, 1, 0]), names=np.array(["a", "b", "none"])
    )
}


def test_mean_cosine_distances():
  rng = np.random.default_rng(0)
  before, now = rng.normal(size=(2, 6, 4))
  now[0], now[2] = 3 * before[0], -before[2]
  each = [distance.cosine(x, y) for x, y in zip(before, now, strict=True)]
  found = change.change(before, now, _LABELS)
  assert found == pytest.approx(
      {
          "all": np.mean(each),
          "superordinate/a": (0 + 2 + each[5]) / 3,
          "superordinate/b": (each[1] + each[4]) / 2,
      }
  )
  with pytest.raises(AlignetError, match="found .6, 4. and .5, 4."):
    change.change(before, now[:5], _LABELS)


@pytest.mark.parametrize("exclude", ["()", "('triplet_head',)"])
def test_evaluator(exclude, shrunk, tmp_path):
  trainer = kd.konfig.resolve(
      shrunk(
          "student/small",
          tmp_path,
          overrides=[f"aux.decay_exclude={exclude}"],
      )
  )
  start = trainer.init_state(skip_transforms=True)
  moved = start.replace(params=jax.tree.map(lambda x: x + 0.1, start.params))
  images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
  store = images_lib.ImageStore(
      images=images,
      filenames=np.array([f"{i}.png" for i in range(6)]),
      labels=_LABELS,
      meta={},
  )
  images_lib.write(tmp_path / "images", store)
  evaluator = change.ChangeEvaluator(
      run=kd.evals.EveryNSteps(1), name="it", images=str(tmp_path / "images")
  ).update_from_root_cfg(trainer)
  evaluator.evaluate(start, step=0)
  evaluator.evaluate(moved, step=5)
  lines = (tmp_path / "scalars" / "it.jsonl").read_text().splitlines()
  first, last = map(json.loads, lines)
  assert max(abs(v) for k, v in first.items() if k != "step") < 1e-6
  before, now = (
      extract.extract(trainer.model, s.params, images) for s in (start, moved)
  )
  wanted = change.change(before, now, _LABELS)
  assert last == pytest.approx(
      {"step": 5} | {f"synthetic/change/{k}": v for k, v in wanted.items()},
      rel=1e-5,
  )
