"""Training from end to end: base, then student, stopped and resumed."""

import pathlib
import re
import shutil

from absl import flags
from alignet import models
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import files
from alignet.io import json_files
from alignet.models.formats import checkpoints
from alignet.training import provenance
from alignet.training import training_run
from alignet.training import writer
import flax
import jax
from kauldron import konfig
import numpy as np
import pytest

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


def _flat(params):
  return flax.traverse_util.flatten_dict(params, sep="/")


@pytest.fixture(scope="module")
def base(shrunk, tmp_path_factory):
  folder = tmp_path_factory.mktemp("base")
  return training_run.train(konfig.resolve(shrunk("base", folder)))


@pytest.fixture(scope="module")
def student(shrunk, base, tmp_path_factory):
  folder = tmp_path_factory.mktemp("student")
  return training_run.train(
      konfig.resolve(shrunk("student/small", folder, weights=base))
  )


def test_base_writes_weights_that_describe_their_model(base):
  assert base.name == "weights.safetensors"
  model, params = models.load(base)
  assert model.num_classes == 108 and model.triplet_dim == 0
  images = np.zeros((2, 8, 8, 3), np.uint8)
  assert model.apply({"params": params}, images).class_logits.shape == (2, 108)


def test_student_starts_from_the_base_and_moves(base, student):
  model, params = models.load(student)
  _, start = models.load(base)
  assert model.triplet_dim == 6 and set(params) == {"backbone", "triplet_head"}
  found, start = _flat(params["backbone"]), _flat(start["backbone"])
  assert found.keys() == start.keys()
  distance = max(np.abs(found[k] - start[k]).max() for k in found)
  # Nine steps of Adam go no farther than the sum of the rates.
  assert 0 < distance < 9 * 3e-4 * 10
  assert sum(np.abs(found[k]).sum() for k in found) > 0


def test_weights_say_what_they_were_made_from(
    base, student, tiny_world, shrunk, tmp_path
):
  meta = checkpoints.meta(student)
  assert meta["steps"] == 9 and meta["seed"] == 0
  noted = lambda path, **size: {
      "name": path.name,
      "sha256": files.digest(path),
      "size": None if path.is_dir() else path.stat().st_size,
  }
  assert meta["init"] == noted(base)
  triplets, images = (
      pathlib.Path(tiny_world[key]) for key in ("triplets", "images")
  )
  assert meta["data"] == {"path": noted(triplets), "images": noted(images)}
  assert meta["config"]["aux.batch_size"] == 16
  assert meta["config"]["aux.weights"] == base.name  # In whatever folder.
  assert str(base.parent) not in str(meta) and "jax" in meta["versions"]
  assert checkpoints.meta(base)["init"] is None
  assert "segments" not in meta
  # A folder, and a run that begins anew in a workdir without a checkpoint.
  cfg = shrunk("student/small", tmp_path, weights=base)
  provenance.begin(konfig.resolve(cfg))
  cfg = shrunk("student/small", tmp_path, weights=base.parent)
  provenance.begin(konfig.resolve(cfg))
  noted = json_files.read(tmp_path / provenance.FILE)["inputs"]
  init = noted["init_transform.path"]
  assert init["name"] == base.parent.name and len(init["sha256"]) == 64
  (tmp_path / "checkpoints" / "ckpt_1").mkdir(parents=True)
  gone = f"elsewhere/{base.parent.name}"
  cfg = shrunk("student/small", tmp_path, weights=gone)
  provenance.begin(konfig.resolve(cfg))
  assert json_files.read(tmp_path / provenance.FILE)["inputs"] == noted


def test_learning_curves(student):
  folder = student.parent / "scalars"
  curves = writer.read_scalars(folder / "train.jsonl")
  assert list(curves["losses/jsd"]) == [0, 4, 8]
  assert all(0 <= v <= np.log(2) for v in curves["losses/jsd"].values())
  assert set(curves) >= {"metrics/synthetic_accuracy"}
  observers = writer.read_scalars(folder / "observers.jsonl")
  assert {k: list(v) for k, v in observers.items()} == {
      "simulated/a": [0, 4, 8],
      "simulated/b": [0, 4, 8],
  }


def test_a_complete_run_is_not_repeated(base, shrunk):
  before = base.stat().st_mtime_ns
  # Where and how it is computed is of no consequence.
  cfg = shrunk("base", base.parent, overrides=["train_ds.num_workers=3"])
  cfg.workdir = f"{base.parent}/../{base.parent.name}"
  cfg.checkpointer.max_to_keep = 7
  again = training_run.train(konfig.resolve(cfg))
  assert again.samefile(base) and base.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "override, message",
    [
        ("aux.peak=0.5", "aux.peak was 0.002 and is now 0.5"),
        ("model.num_classes=9", "model.num_classes was 108 and is now 9"),
        ("stop_after_steps=3", "num_train_steps is now 3, .* of 8 steps"),
    ],
)
def test_a_complete_run_is_not_that_of_another_config(
    base, shrunk, override, message
):
  key, _, value = override.partition("=")
  cfg = shrunk("base", base.parent)
  if key == "stop_after_steps":
    cfg.stop_after_steps = int(value)
  else:
    config_files.override(cfg, override)
  with pytest.raises(AlignetError, match=message) as error:
    training_run.train(konfig.resolve(cfg))
  assert str(base.parent) in str(error.value) and "\n" not in str(error.value)


def test_a_resumed_run_is_not_that_of_another_config(base, shrunk, tmp_path):
  cfg = shrunk("base", tmp_path)
  cfg.stop_after_steps = 6
  konfig.resolve(cfg).train()
  lower = lambda: shrunk("base", tmp_path, overrides=["aux.peak=1e-3"])
  for train in (training_run.train, lambda trainer: trainer.train()):
    with pytest.raises(AlignetError, match="peak was 0.002 and is now 0.001"):
      train(konfig.resolve(lower()))
  weights = training_run.train(konfig.resolve(shrunk("base", tmp_path)))
  assert files.sha256(weights) == files.sha256(base)


@pytest.mark.parametrize("name", ["base", "student/small"])
def test_a_stopped_run_goes_on_to_the_same_weights(
    name, base, student, shrunk, tmp_path, request
):
  undisturbed = base if name == "base" else student
  weights = "" if name == "base" else base
  # Killed after six updates: the last checkpoint is that of step 4. Of what
  # its two workers had drawn ahead nothing is kept.
  workers = ["train_ds.num_workers=2"] if name == "student/small" else []
  if weights:
    weights = shutil.copy(base, tmp_path / base.name)
  cfg = shrunk(name, tmp_path / "run", weights=weights, overrides=workers)
  cfg.stop_after_steps = 6
  trainer = konfig.resolve(cfg)
  trainer.train()  # As `python -m kauldron.main` does.
  assert not (tmp_path / "run" / training_run.WEIGHTS).exists()
  # The base's weights are not needed any more: the pull's anchor, too, is in
  # the checkpoint, and what they were is noted.
  if weights:
    weights.unlink()
  cfg = shrunk(name, tmp_path / "run", weights=weights)
  resumed = training_run.train(konfig.resolve(cfg))
  assert files.sha256(resumed) == files.sha256(undisturbed)
  curves = writer.read_scalars(tmp_path / "run" / "scalars" / "train.jsonl")
  assert list(next(iter(curves.values()))) == [0, 4, 8]


@pytest.mark.parametrize("name", ["base", "student/small"])
def test_a_run_that_diverges_stops_and_says_where(name, base, shrunk, tmp_path):
  weights = "" if name == "base" else base
  cfg = shrunk(name, tmp_path, weights=weights, overrides=["aux.peak=1e30"])
  with pytest.raises(AlignetError, match="diverged.*learning rate") as error:
    training_run.train(konfig.resolve(cfg))
  assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)
  assert not (tmp_path / training_run.WEIGHTS).exists()
  report = json_files.read(tmp_path / "nan" / "step.json")
  step = report["step"]
  # The rate of step 0 is 0; steps of 1e30 are far from what a float can hold.
  assert 1 <= step <= 3 and f"at step {step} {report['first']}" in str(
      error.value
  )
  with np.load(tmp_path / "nan" / "batch.npz", allow_pickle=False) as batch:
    wanted = konfig.resolve(cfg).train_ds.data_source[step]
    assert set(batch) == set(wanted)
    for key in wanted:
      np.testing.assert_array_equal(batch[key], wanted[key])
  # The same command again does not take the broken state for a result.
  with pytest.raises(AlignetError, match="diverged"):
    training_run.train(konfig.resolve(cfg))


def test_weights_of_another_shape(base, shrunk, tmp_path):
  cfg = shrunk(
      "student/small",
      tmp_path,
      weights=base,
      overrides=["model.backbone.width=4"],
  )
  message = re.escape(
      "backbone/MAPHead_0/LayerNorm_0/bias: model (4,), file (8,)"
  )
  with pytest.raises(AlignetError, match=message):
    training_run.train(konfig.resolve(cfg))
  assert not pathlib.Path(tmp_path / training_run.WEIGHTS).exists()


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES: expected a number"),
        ({"JAX_NUM_PROCESSES": "2"}, "set JAX_NUM_PROCESSES and"),
    ],
)
def test_a_process_that_does_not_know_its_number(
    monkeypatch, variables, message
):
  def initialize(num_processes, process_id):
    # As JAX does outside any cluster that it knows.
    if None in (num_processes, process_id):
      raise ValueError("Number of processes must be defined.")

  monkeypatch.setattr(jax.distributed, "initialize", initialize)
  monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
  for key, value in variables.items():
    monkeypatch.setenv(key, value)
  with pytest.raises(AlignetError, match=message):
    training_run.join_processes()
