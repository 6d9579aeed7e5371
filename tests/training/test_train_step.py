"""The training step compiles once and stops at what is not finite."""

import dataclasses

from alignet import models
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.training import train_step
from alignet.training import training_run
from alignet.training import writer
import jax
import jax.numpy as jnp
from kauldron import konfig
import numpy as np
import pytest
from tests.training import trainings


@pytest.fixture
def compiled():
  with trainings.compilations() as counts:
    yield counts


def test_student(compiled, shrunk, tiny_world, tmp_path):
  # Logs at 0, 4 and 8, evaluates and saves at the same steps.
  cfg = shrunk("student/small", tmp_path, overrides=["aux.unique_images=60"])
  cfg.init_transform = None
  cfg.stop_after_steps = 6
  trainer = konfig.resolve(cfg)
  assert isinstance(trainer.trainstep, train_step.TrainStep)
  trainer.train()
  assert compiled[trainings.STEP] == 1
  compiled.clear()
  cfg.stop_after_steps = None
  weights = training_run.train(konfig.resolve(cfg))
  assert compiled[trainings.STEP] <= 1
  curves = writer.read_scalars(tmp_path / "scalars" / "train.jsonl")
  assert list(curves["losses/total"]) == [0, 4, 8]
  assert list(curves["metrics/synthetic_accuracy"]) == [0, 4, 8]
  model, _ = models.load(weights)
  assert model.triplet_dim == 6


def test_losses_of_weight_0_are_left_out(shrunk, tmp_path):
  overrides = ["aux.loss.jsd=0", "aux.loss.kl=0.5"]
  cfg = shrunk("student/small", tmp_path, overrides=overrides)
  trainer = konfig.resolve(cfg)
  assert set(trainer.trainstep.aux.losses) == {"kl"}
  # Also in a trainer that is made of this one.
  again = dataclasses.replace(trainer, seed=1)
  assert set(again.trainstep.aux.losses) == {"kl"}
  cfg.aux.loss.kl = 0.0
  with pytest.raises(AlignetError, match="jsd, kl, hard all have the weight 0"):
    konfig.resolve(cfg)


def _poisoned(trainer, bad):
  """The trainer, with a batch `bad` whose similarities are not finite."""

  class Source:

    def __getitem__(self, i):
      batch = dict(trainer.train_ds.data_source[i])
      if i == bad:
        batch["similarities"] = np.full_like(batch["similarities"], np.inf)
      return batch

    def __len__(self):
      return len(trainer.train_ds.data_source)

  source = dataclasses.replace(trainer.train_ds, data_source=Source())
  return dataclasses.replace(trainer, train_ds=source)


# Logged are steps 0, 4 and 8, saved before them.
@pytest.mark.parametrize("bad", [3, 8])
def test_nothing_that_is_not_finite_is_kept(bad, shrunk, tmp_path):
  cfg = shrunk("student/small", tmp_path)
  cfg.init_transform = None
  cfg.evals = {}
  trainer = _poisoned(konfig.resolve(cfg), bad)
  with pytest.raises(AlignetError, match=f"at step {bad} the loss is NaN"):
    training_run.train(trainer)
  report = json_files.read(tmp_path / "nan" / "step.json")
  assert report["step"] == bad and report["first"] == "the loss"
  assert "the gradient of triplet_head/kernel" in report["not_finite"]
  batch = files.load_npz(
      tmp_path / "nan" / "batch.npz", required=("images", "similarities")
  )
  assert np.isinf(batch["similarities"]).all()
  assert batch["images"].shape == (16, 3, 8, 8, 3)
  # With the batch mended, training goes on from weights that are finite.
  weights = training_run.train(konfig.resolve(cfg))
  _, params = models.load(weights)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
  curves = writer.read_scalars(tmp_path / "scalars" / "train.jsonl")
  assert list(curves["losses/jsd"]) == [0, 4, 8]


def test_names_of_parameters_that_are_not_finite(shrunk, tmp_path):
  cfg = shrunk("student/small", tmp_path)
  cfg.init_transform = None
  trainer = konfig.resolve(cfg)
  state = trainer.init_state()
  head = dict(state.params["triplet_head"])
  head["bias"] = head["bias"].at[2].set(jnp.nan)
  state = state.replace(params=state.params | {"triplet_head": head})
  batch = trainer.train_ds.data_source[0]
  trainer.trainstep.step(state, batch)  # Not read yet.
  with pytest.raises(train_step.NotFiniteError, match="step 0 the loss"):
    trainer.trainstep.check()
  found = json_files.read(tmp_path / "nan" / "step.json")["not_finite"]
  assert "triplet_head/bias" in found
  trainer.trainstep.check()  # It was said once.
