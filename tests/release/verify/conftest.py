"""A good file, and the same with something changed."""

from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest
from tests.release.verify import good_file


@pytest.fixture
def path(tmp_path):
  """A good file of 200 border triplets."""
  path = tmp_path / "a.npz"
  rows = sampling.sample(good_file.LABELS, "border", 200, seed=0)
  similarities = similarity.of_triplets(
      good_file.TRANSFORM(good_file.FEATURES), rows
  )
  npz.write(path, good_file.NAMES, rows, similarities)
  return path


@pytest.fixture
def rewrite(path):
  """Writes the file again, arrays changed; None leaves a key out."""

  def rewrite(**changes):
    with np.load(path) as old:
      arrays = {**old, **{k: _of(v, old) for k, v in changes.items()}}
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path

  return rewrite


def _of(change, old):
  return change(dict(old)) if callable(change) else change
