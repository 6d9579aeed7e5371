"""A small world: representations, triplets, a transform."""

import pathlib
import types

from alignet import transforms
from alignet.data import labels as labels_lib
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import sampling
import numpy as np
import pytest

N, D, WIDTH, ROWS = 60, 6, 4, 211
COLUMNS = {"model": "m", "layer": "pooled"}


@pytest.fixture
def world(tmp_path):
  """Paths of the inputs, and the arrays in them."""
  return make_world(tmp_path)


def make_world(folder: pathlib.Path, dtype=np.float32):
  rng = np.random.default_rng(0)
  features = (3 * rng.standard_normal((N, D))).astype(dtype)
  classes = np.arange(N) % 7
  names = [f"n{c:02d}/{i}.jpg" for i, c in enumerate(classes)]
  labels = {"basic": labels_lib.from_strings([f"class {c}" for c in classes])}
  store.write(folder / "r", features, names, labels, COLUMNS)
  sampling.write(
      *(folder / "t.npz", classes, "class_border", ROWS),
      seed=3,
      rows=identities.of_names(names),
  )
  transform = transforms.Transform(
      weights=(rng.standard_normal((D, WIDTH)) / 4).astype(np.float32),
      bias=rng.standard_normal(WIDTH).astype(np.float32),
      mean=0.25,
      std=2.0,
      meta={"seed": 11, "columns": COLUMNS},
  )
  transforms.save(folder / "w.npz", transform)
  return types.SimpleNamespace(
      folder=folder,
      representations=folder / "r",
      triplets=folder / "t.npz",
      transform=folder / "w.npz",
      features=features,
      names=np.array(names),
      indices=sampling.read(folder / "t.npz")[0],
      teacher=transform,
      inputs={
          "representations": folder / "r",
          "triplets": folder / "t.npz",
      },
  )
