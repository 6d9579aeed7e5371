"""`alignet budget`, called in this process."""

import json

from alignet.cli import main
from alignet.data import linear_world
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path):
  x, concepts, embedding = linear_world.make(40, 2, seed=0)
  for name, array in (("F", x), ("C", concepts), ("V", embedding)):
    np.save(tmp_path / f"{name}.npy", array)
  return tmp_path


def _budget(folder, *flags):
  paths = [
      f"--{name}={folder / file}.npy"
      for name, file in (
          ("features", "F"),
          ("concepts", "C"),
          ("embedding", "V"),
      )
  ]
  return main.main(
      ["budget", *paths, "--rows=as_stored", f"--out={folder / 'b'}", *flags]
  )


def test_table_and_picture(folder, capsys):
  flags = ("--n_concepts=16", "--n_choices=50,400", "--repeats=1")
  assert _budget(folder, *flags) == 0
  out = capsys.readouterr().out
  assert "16 concepts        50 choices" in out and "400 choices" in out
  assert out.startswith("ridge regression onto an embedding of the choices:")
  found = json.loads((folder / "b" / "budget.json").read_text())
  assert [p["choices"] for p in found["points"]] == [50, 400]
  assert found["config"]["steps"] == 0 and not found["missing"]
  assert set(found["inputs"]) == {"features", "concepts", "embedding"}
  assert (folder / "b" / "budget.png").read_bytes().startswith(b"\x89PNG")
  assert _budget(folder, *flags) == 2
  assert "already exists" in capsys.readouterr().err


def test_the_teacher_of_teach_and_too_few_choices(folder, capsys):
  flags = ("--n_concepts=16", "--n_choices=4,400", "--repeats=1", "--steps=50")
  assert _budget(folder, *flags) == 0
  out = capsys.readouterr().out
  assert out.startswith("teacher of `alignet teach`, up to 50 steps")
  assert "4 choices  none with seed 0: " in out
  found = json.loads((folder / "b" / "budget.json").read_text())
  assert found["config"]["inner_folds"] == 5
  assert [p["choices"] for p in found["points"]] == [400]
  assert [p["choices"] for p in found["missing"]] == [4]


def test_too_many(folder, capsys):
  assert _budget(folder, "--n_concepts=40", "--n_choices=9") == 2
  assert "at most 32 concepts" in capsys.readouterr().err
  assert not (folder / "b").exists()
