"""`alignet vice`, called in this process."""

import argparse
import dataclasses

from alignet.cli import main
from alignet.cli import vice as command
from alignet.data import linear_world
from alignet.human import judgments as judgments_lib
from alignet.io import files
import numpy as np
import pytest
from uncertainty_distillation import vice

_FAST = (
    *("--width=6", "--batch=256", "--check=50", "--anneal=50", "--steps=200"),
    *("--decay=50", "--samples=5"),
)


@pytest.fixture
def folder(tmp_path):
  """T.npy and P.npy: triplets of 20 objects, the likeliest pair first."""
  _, _, embedding = linear_world.make(20, 1, dims=3, seed=0)
  soft = judgments_lib.from_embedding(embedding)
  order = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])
  order = order[soft.probabilities.argmax(axis=1)]
  triplets = np.take_along_axis(soft.triplets, order, axis=1)
  np.save(tmp_path / "T.npy", triplets)
  hard = judgments_lib.from_embedding(embedding).probabilities
  p = np.sort(hard, axis=1)[:, ::-1]
  np.save(tmp_path / "P.npy", p)
  return tmp_path


def _vice(folder, *flags, out="vice.npz", n_objects=20):
  return main.main(
      [
          *("vice", f"--triplets={folder / 'T.npy'}", *_FAST),
          *(f"--n_objects={n_objects}", f"--out={folder / out}", *flags),
      ]
  )


def test_choices(folder, capsys):
  assert _vice(folder) == 0
  line = capsys.readouterr().out
  assert "20 objects" in line and "cross-entropy" in line
  assert line.count("\n") == 1
  embedding = vice.load(folder / "vice.npz")
  assert embedding.mu.shape == embedding.sigma.shape
  assert embedding.mu.shape[0] == 20 and (embedding.sigma > 0).all()
  meta = embedding.meta
  assert meta["inputs"] == {"triplets": files.sha256(folder / "T.npy")}
  assert meta["config"]["seed"] == 0 and "jax" in meta["versions"]
  assert not (folder / "vice.npz.partial").exists()

  # The same command again does nothing; another one does not overwrite.
  before = (folder / "vice.npz").stat()
  assert _vice(folder) == 0
  assert capsys.readouterr().out == line
  assert (folder / "vice.npz").stat().st_mtime_ns == before.st_mtime_ns
  assert _vice(folder, "--seed=1") == 2
  assert "already exists" in capsys.readouterr().err
  assert _vice(folder, "--seed=1", "--overwrite", "--quiet") == 0
  assert capsys.readouterr().out == ""
  assert vice.load(folder / "vice.npz").meta["config"]["seed"] == 1


def test_probabilities(folder, capsys):
  assert _vice(folder, f"--probabilities={folder / 'P.npy'}") == 0
  meta = vice.load(folder / "vice.npz").meta
  assert set(meta["inputs"]) == {"triplets", "probabilities"}
  # Without validation; hard choices, given as probabilities, are choices.
  triplets = np.load(folder / "T.npy")
  np.save(folder / "P.npy", np.tile([1.0, 0, 0], (len(triplets), 1)))
  for out, flags in (
      ("a.npz", ()),
      ("b.npz", (f"--probabilities={folder / 'P.npy'}",)),
  ):
    assert _vice(folder, "--validation=0", *flags, out=out) == 0
  a, b = (vice.load(folder / name) for name in ("a.npz", "b.npz"))
  np.testing.assert_array_equal(a.mu, b.mu)
  assert a.meta["validation"] is None and a.meta["n_validation"] == 0
  assert "cross-entropy" not in capsys.readouterr().out.splitlines()[-1]


def test_an_existing_output_stays(folder, capsys):
  out = folder / "vice.npz"
  out.write_bytes(b"mine")
  assert _vice(folder) == 2
  assert "already exists" in capsys.readouterr().err
  assert out.read_bytes() == b"mine"


def test_a_state_of_another_run(folder, capsys):
  partial = folder / "vice.npz.partial"
  partial.mkdir()
  (partial / "state.npz").write_bytes(b"")
  assert _vice(folder) == 2
  error = capsys.readouterr().err
  assert "--overwrite" in error and error.count("\n") == 1
  assert _vice(folder, "--overwrite") == 0
  assert not partial.exists()


def test_defaults_are_those_of_the_config():
  parser = argparse.ArgumentParser()
  command.add_arguments(parser)
  args = parser.parse_args(["--triplets=T", "--n_objects=3", "--out=x"])
  for field in dataclasses.fields(vice.Config):
    default = getattr(args, field.name)
    assert default == field.default and type(default) is type(field.default)


def _set(row, value):
  def change(array):
    array[row] = value
    return array

  return change


@pytest.mark.parametrize(
    "flags, broken, message",
    [
        ((), ("T", _set(3, [1, 2, 20])), "T.npy: row 3 is [1, 2, 20]"),
        ((), ("T", _set(3, [1, 2, -1])), "T.npy: row 3 is [1, 2, -1]"),
        ((), ("T", _set(3, [1, 2, 1])), "T.npy: row 3 is [1, 2, 1]"),
        ((), ("T", lambda t: t.astype(float)), "expected integers"),
        ((), ("T", lambda t: t[:, :2]), "expected shape (any, 3)"),
        ((), ("T", lambda t: t[:0]), "expected at least one row"),
        (("P",), ("P", _set(9, [0.5, 0.4, 0.3])), "probabilities: row 9 "),
        (("P",), ("P", _set((9, 1), np.nan)), "probabilities: row 9 "),
        (("P",), ("P", _set(9, [1.5, -0.5, 0])), "probabilities: row 9 "),
        (("P",), ("P", lambda p: p[:-1]), "probabilities: expected"),
        (("--batch=0",), None, "batch: expected at least 1"),
        (("--check=60",), None, "steps: expected a multiple of 60"),
        (("--learning_rate=1e30",), None, "the loss became"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_written(
    folder, capsys, flags, broken, message
):
  if broken:
    name, change = broken
    np.save(folder / f"{name}.npy", change(np.load(folder / f"{name}.npy")))
  flags = [
      f"--probabilities={folder / 'P.npy'}" if f == "P" else f for f in flags
  ]
  before = sorted(folder.iterdir())
  assert _vice(folder, *flags) == 2
  error = capsys.readouterr().err
  assert message in error and error.count("\n") == 1
  assert sorted(folder.iterdir()) == before


def test_a_missing_file(folder, capsys):
  (folder / "T.npy").unlink()
  assert _vice(folder) == 2
  assert "does not exist" in capsys.readouterr().err
