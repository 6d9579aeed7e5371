"""VICE's Kauldron config makes what `alignet vice` makes."""

import dataclasses

from absl import flags
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.training import training_run
import numpy as np
import pytest
from uncertainty_distillation import vice
from uncertainty_distillation.vice import model

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()

_FAST = {
    "width": 8,
    "batch": 256,
    "anneal": 400,
    "check": 100,
    "steps": 1000,
    "window": 2,
    "decay": 200,
}


def _trainer(workdir, seed=0, **aux):
  overrides = [f"workdir={workdir}", f"seed={seed}"]
  overrides += [f"aux.{key}={value}" for key, value in (_FAST | aux).items()]
  return training_run.resolve(config_files.load("vice", overrides))


def _assert_same(found, expected):
  assert found.meta == expected.meta
  for name in ("mu", "sigma"):
    a, b = (getattr(x, name) for x in (found, expected))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())


def test_defaults_are_those_of_the_command():
  parser = main.make_parser("vice")
  args = vars(
      parser.parse_args(["vice", "--triplets=", "--n_objects=0", "--out="])
  )
  for key, value in config_files.load("vice").aux.items():
    assert (args[key] or "") == (value or ""), key


@pytest.mark.parametrize("stopped", [False, True])
def test_two_doors_to_one_recipe(tmp_path, stopped):
  judgments, _ = model.Choices(config=vice.Config()).read
  np.save(tmp_path / "T.npy", judgments.triplets)
  given = {"triplets": str(tmp_path / "T.npy"), "n_objects": 40}
  command = [f"--{key}={value}" for key, value in (_FAST | given).items()]
  out = tmp_path / "vice.npz"
  assert not main.main(
      ["vice", *command, "--seed=3", f"--out={out}", "--quiet"]
  )
  trainer = _trainer(tmp_path / "run", seed=3, **given)
  if stopped:
    checkpointer = dataclasses.replace(
        trainer.checkpointer, save_interval_steps=150, workdir=trainer.workdir
    )
    trainer = trainer.replace(checkpointer=checkpointer)
    trainer.replace(stop_after_steps=520).train()
    assert not (tmp_path / "run" / "vice.npz").exists()
  path = training_run.train(trainer)
  _assert_same(vice.load(path), vice.load(out))
  before = path.stat().st_mtime_ns
  assert training_run.train(_trainer(tmp_path / "run", seed=3, **given)) == path
  assert path.stat().st_mtime_ns == before
  with pytest.raises(AlignetError, match="another recipe: config"):
    training_run.train(_trainer(tmp_path / "run", seed=2, **given))


def test_it_ends_when_the_dimensions_are_stable(tmp_path):
  trainer = _trainer(tmp_path, steps=5000)
  found = vice.load(training_run.train(trainer))
  choices = trainer.model.choices
  judgments, inputs = choices.read
  expected = vice.fit(judgments, choices.config)
  expected.meta["inputs"] = inputs
  _assert_same(found, expected)
  assert found.meta["stable"] and found.meta["steps"] < 5000
  # Six dimensions made the choices.
  assert 6 <= found.mu.shape[1] < 8


@pytest.mark.parametrize(
    "given, missing",
    [
        ({"triplets": "T.npy"}, "n_objects"),
        ({"probabilities": "P.npy"}, "triplets"),
        ({"n_objects": 9}, "triplets"),
    ],
)
def test_half_of_what_is_needed(given, missing, tmp_path):
  with pytest.raises(AlignetError, match=f"--cfg.aux.{missing}="):
    training_run.train(_trainer(tmp_path, **given))
