"""The stage that fits a pipeline's teacher."""

from alignet import transforms
from alignet.data.labels import Labels
from alignet.pipeline.stages import training
from alignet.representations import store
from alignet.testing import teacher
import numpy as np
import pytest

_N, _DIMS = 30, 3


@pytest.fixture
def inputs(tmp_path):
  x, concepts, embedding = teacher.linear_world(_N, 2, dims=_DIMS, seed=4)
  names = [f"c{i}" for i in range(_N)]
  labels = {"concept": Labels(ids=concepts, names=np.array(names))}
  store.write(tmp_path / "reps", x, [str(i) for i in range(len(x))], labels, {})
  np.save(tmp_path / "embedding.npy", embedding)
  np.save(tmp_path / "held_out.npy", np.arange(_N) < 5)
  return dict(
      representations=tmp_path / "reps",
      embedding=tmp_path / "embedding.npy",
      held_out=tmp_path / "held_out.npy",
      level="concept",
      seed=0,
      steps=0,
      inner_folds=0,
  )


def _width(inputs, out, targets):
  out.mkdir()
  training.teach(out, **inputs, targets=targets)
  return transforms.load(out / "transform.npz").weights.shape[1]


def test_hard_choices_come_without_the_embedding(inputs, tmp_path):
  assert _width(inputs, tmp_path / "soft", "soft_point") == _DIMS
  # Not the embedding's own dimensions: those that explain the choices.
  assert _width(inputs, tmp_path / "hard", "hard") > _DIMS
