"""The full-size students: wiring, one shrunk training each, and its inputs."""

import shutil

from absl import flags
from alignet import config_files
from alignet import models
from alignet import train
from alignet.metrics import writer
from alignet.models import weights
from alignet.models import zoo
import jax
from kauldron import konfig
import numpy as np
import pytest

_BASES = {
    "siglip_b": "siglip-b16",
    "siglip2_b": "siglip2-b16",
    "dino_b": "dinov1-b16",
    "dinov2_b": "dinov2-b14",
    "cappa_b": "cappa-b16",
    "vit_b": "vit-b16",
    "clip_b": "clip-b16",
    "scratch_b": "scratch-b16",
}
_SAMPLINGS = ("between_class", "class_border", "within_class")

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope="module")
def root(tiny_world, tmp_path_factory):
  """A release's folders, all with the same few triplets."""
  root = tmp_path_factory.mktemp("release")
  for transform in ("alignet", "untransformed"):
    (root / transform).mkdir()
    for name in (
        "train_cluster_border_500",
        *(f"val_{sampling}" for sampling in _SAMPLINGS),
    ):
      shutil.copy(tiny_world["triplets"], root / transform / f"{name}.npz")
  return root


def _small(name, tiny_world, root, workdir, *overrides):
  small = {
      "workdir": workdir,
      "num_train_steps": 2,
      "log_metrics_every": 1,
      "aux.root": root,
      "aux.images": tiny_world["images"],
      "aux.batch_size": 4,
      "aux.num_workers": 0,
      "aux.eval_every": 2,
      "aux.peak": 1e-3,
      "model.triplet_dim": 6,
      "model.backbone.patch_size": 4,
      "model.backbone.grid": (2, 2),
      "model.backbone.width": 8,
      "model.backbone.depth": 1,
      "model.backbone.num_heads": 2,
      "model.backbone.mlp_dim": 8,
  }
  changes = [f"{key}={value}" for key, value in small.items()]
  return config_files.load(f"student/{name}", [*changes, *overrides])


@pytest.mark.parametrize("name", _BASES)
def test_the_architecture_is_the_base_models(name):
  trainer = konfig.resolve(config_files.load(f"student/{name}"))
  variant = zoo.find(_BASES[name])
  assert trainer.model.backbone == variant.vit(dtype="float32")
  expected = variant.model(triplet_dim=1024)
  assert weights.shapes(trainer.model) == weights.shapes(expected)
  assert trainer.model.pixel_range == (0.0, 1.0)


@pytest.mark.parametrize("name", _BASES)
def test_trains(name, tiny_world, root, tmp_path):
  cfg = _small(name, tiny_world, root, tmp_path / "run")
  cfg.checkpointer = None
  if name != "siglip_b":  # Their evaluations are the same.
    cfg.num_train_steps = 1
    cfg.evals = {}
  given = None
  if name != "scratch_b":
    model = konfig.resolve(cfg.model)
    images = np.zeros((1, 8, 8, 3), np.uint8)
    given = model.init(jax.random.key(7), images)["params"]
    models.save(tmp_path / "base.safetensors", model, given)
    cfg.aux.weights = str(tmp_path / "base.safetensors")
  state, _ = konfig.resolve(cfg).train()
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))
  scalars = tmp_path / "run" / "scalars"
  losses = writer.read_scalars(scalars / "train.jsonl")["losses/jsd"]
  assert all(0 < loss < np.log(2) for loss in losses.values())
  if given is not None:
    moved = np.abs(
        state.params["backbone"]["embedding"]["kernel"]
        - given["backbone"]["embedding"]["kernel"]
    ).max()
    # A few steps of at most 1e-3: it began at the weights it was given.
    assert 0 < moved < 4e-3
  if name == "siglip_b":
    for sampling in _SAMPLINGS:
      found = writer.read_scalars(scalars / f"synthetic_{sampling}.jsonl")
      accuracy = found["metrics/synthetic_accuracy"]
      assert set(accuracy) == {0, 2} and 0 < accuracy[2] < 1


def test_a_readout_leaves_the_backbone_alone(tiny_world, root, tmp_path):
  states = {}
  for name, overrides in (
      ("siglip_b", []),
      ("siglip_b_readout", ["aux.classes=108", "aux.label_level=subordinate"]),
  ):
    cfg = _small(name, tiny_world, root, tmp_path / name, *overrides)
    cfg.checkpointer, cfg.evals = None, {}
    model = konfig.resolve(cfg.model)
    images = np.zeros((1, 8, 8, 3), np.uint8)
    params = model.init(jax.random.key(7), images)["params"]
    params.pop("i1k_head", None)
    models.save(
        tmp_path / f"{name}.safetensors", model.clone(i1k_classes=0), params
    )
    cfg.aux.weights = str(tmp_path / f"{name}.safetensors")
    states[name], _ = konfig.resolve(cfg).train()
  plain, readout = (s.params for s in states.values())
  moved = np.abs(readout["i1k_head"]["dense"]["kernel"]).max()
  assert 0 < moved
  jax.tree.map(
      np.testing.assert_array_equal, plain["backbone"], readout["backbone"]
  )
  losses = writer.read_scalars(
      tmp_path / "siglip_b_readout" / "scalars" / "train.jsonl"
  )["losses/readout"]
  assert losses[0] == pytest.approx(np.log(108), rel=0.5)


def test_accumulation_and_a_moving_average_by_override(
    tiny_world, root, tmp_path
):
  cfg = _small(
      "scratch_b",
      tiny_world,
      root,
      tmp_path,
      *("aux.accumulate=2", "aux.ema=0.5", "num_train_steps=5"),
  )
  cfg.evals = {}
  trainer = konfig.resolve(cfg)
  path = train.train(trainer)
  last, average = (
      weights.read(p, weights.shapes(trainer.model))
      for p in (path, path.with_name(train.AVERAGED))
  )
  name = "triplet_head/kernel"
  assert last[name].shape == average[name].shape
  assert 0 < np.abs(last[name] - average[name]).max() < 3e-3


def test_a_control_by_one_override(tiny_world, root, tmp_path):
  cfg = _small(
      "siglip_b", tiny_world, root, tmp_path, "aux.transform=untransformed"
  )
  trainer = konfig.resolve(cfg)
  folder = str(root / "untransformed")
  assert trainer.train_ds.data_source.path.startswith(folder)
  for evaluator in trainer.evals.values():
    assert evaluator.ds.data_source.path.startswith(folder)


def test_bfloat16_and_remat_by_override(tiny_world, root, tmp_path):
  cfg = _small(
      "scratch_b",
      tiny_world,
      root,
      tmp_path,
      "aux.dtype=bfloat16",
      "aux.remat=True",
  )
  cfg.checkpointer = None
  cfg.evals = {}
  trainer = konfig.resolve(cfg)
  predictions = trainer.context_specs.preds
  assert predictions.pre_logits.dtype == "bfloat16"
  assert predictions.triplet_logits.dtype == "float32"
  model, params = models.load(train.train(trainer))
  assert model.backbone.remat and model.backbone.dtype == "bfloat16"
  assert all(x.dtype == np.float32 for x in jax.tree.leaves(params))


def test_validation_is_one_pass_in_order(tiny_world, root, tmp_path):
  trainer = konfig.resolve(_small("siglip_b", tiny_world, root, tmp_path))
  source = trainer.evals["synthetic_class_border"].ds.data_source
  assert len(source) == source.num_rows // 4 > 1
  np.testing.assert_array_equal(
      source[1]["similarities"], source.responses["similarities"][4:8]
  )


def test_images_that_are_decoded_on_the_fly():
  trainer = konfig.resolve(
      config_files.load(
          "student/siglip_b",
          ["aux.images=tfds:imagenet2012:5.1.0:train", "aux.data_dir=/data"],
      )
  )
  images = trainer.train_ds.data_source.store
  assert (images.name, images.split) == ("imagenet2012:5.1.0", "train")
  assert (images.size, images.data_dir) == (224, "/data")
