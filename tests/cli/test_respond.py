import argparse
import dataclasses
import json

from alignet import transforms
from alignet.cli import respond as command
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import sampling
import numpy as np
import pytest
from response_generation import respond


@pytest.fixture
def flags(tmp_path):
  """Flags of the inputs; their files are written."""
  rng = np.random.default_rng(0)
  x = rng.standard_normal((30, 5)).astype(np.float32)
  names = [f"{i}.png" for i in range(30)]
  store.write(tmp_path / "r", x, names, {}, {"model": "m"})
  sampling.write(
      *(tmp_path / "t.npz", np.arange(30) % 3, "within_class", 50),
      seed=0,
      rows=identities.of_names(names),
  )
  known = {"columns": {"model": "m"}}
  transforms.save(
      tmp_path / "w.npz",
      dataclasses.replace(transforms.identity(5), meta=known),
  )
  return [f"--representations={tmp_path}/r", f"--triplets={tmp_path}/t.npz"]


def _run(*argv):
  parser = argparse.ArgumentParser()
  command.add_arguments(parser)
  args = parser.parse_args(argv)
  args.quiet = False
  return command.run(args)


def test_same_as_the_function(flags, tmp_path, capsys):
  out, again = tmp_path / "x.npz", tmp_path / "again.npz"
  assert not _run(*flags, f"--transform={tmp_path}/w.npz", f"--out={out}")
  assert "50 triplets, aligned dot similarities" in capsys.readouterr().out
  respond.respond(
      representations=tmp_path / "r",
      triplets=tmp_path / "t.npz",
      transform=tmp_path / "w.npz",
      out=again,
  )
  assert out.read_bytes() == again.read_bytes()


def test_controls(flags, tmp_path, capsys):
  aligned, raw, matched = (tmp_path / f"{k}.npz" for k in "arm")
  _run(*flags, f"--transform={tmp_path}/w.npz", f"--out={aligned}")
  _run(*flags, "--similarity=cosine", f"--out={raw}")
  assert "untransformed cosine" in capsys.readouterr().out
  assert abs(npz.open(raw).similarities).max() <= 1 + 1e-6
  _run(*flags, f"--temperature_from={aligned}", f"--out={matched}")
  meta = npz.open(matched).meta
  # The identity's similarities are the raw ones.
  assert meta["temperature"] == pytest.approx(1, rel=1e-5)
  assert json.dumps(meta)


def test_existing_output(flags, tmp_path):
  out = f"--out={tmp_path / 'x.npz'}"
  _run(*flags, out)
  with pytest.raises(OutputExistsError):
    _run(*flags, out)
  _run(*flags, out, "--overwrite")


def test_bad_inputs(flags, tmp_path):
  out = f"--out={tmp_path / 'x.npz'}"
  with pytest.raises(AlignetError, match="does not exist"):
    _run(flags[0], "--triplets=nothing.npz", out)
  files.save_npz(tmp_path / "bad.npz", {"triplets": np.zeros((1, 3), int)})
  with pytest.raises(AlignetError, match="lacks the keys indices, meta"):
    _run(flags[0], f"--triplets={tmp_path}/bad.npz", out)
  with pytest.raises(SystemExit):
    _run(*flags, "--similarity=euclidean", out)
