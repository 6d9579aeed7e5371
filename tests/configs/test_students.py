"""The full-size students: wiring, one shrunk training each, and its inputs."""

import pathlib

from absl import flags
from alignet import models
from alignet.cli import main
from alignet.human import catalogue
from alignet.io import config_files
from alignet.models.formats import weights
from alignet.models.vit import zoo
from alignet.pipeline import recipe
from alignet.training import dry_run
from alignet.training import training_run
from alignet.training import writer
from alignet.triplets import npz
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
_EVALS = ("between_class", "class_border", "within_class", "valid")

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope="module")
def root(tiny_world, tmp_path_factory):
  """The public release, every file of the catalogue with the same triplets.

  As upstream writes them: deflated, int64, the odd one last and the other two
  pairs in either order.
  """
  root = tmp_path_factory.mktemp("release")
  with np.load(tiny_world["triplets"]) as archive:
    arrays = {key: archive[key] for key in npz.KEYS}
  swapped = np.arange(len(arrays["indices"])) % 2 == 0
  for key in ("indices", "filenames"):
    arrays[key][swapped] = arrays[key][swapped][:, [1, 0, 2]]
  s = arrays["similarities"]
  s[swapped] = s[swapped][:, [0, 2, 1]]
  arrays["indices"] = arrays["indices"].astype(np.int64)
  for file in catalogue.CATALOGUE["alignet"].files:
    path = root / file.name
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **arrays)
  return root


@pytest.fixture
def parsed_flags():
  """A command leaves absl's flags unparsed, which loaders' workers mind."""
  yield
  flags.FLAGS.mark_as_parsed()


def _changes(tiny_world, root, workdir, *overrides):
  small = {
      "workdir": workdir,
      "num_train_steps": 2,
      "log_metrics_every": 1,
      "aux.root": root,
      "aux.images": tiny_world["images"],
      "aux.image_size": 8,
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
  return [*(f"{key}={value}" for key, value in small.items()), *overrides]


def _small(name, *args):
  return config_files.load(f"student/{name}", _changes(*args))


def _save_base(cfg, path, **fields):
  """Random weights of the config's model, as those of a base model."""
  model = konfig.resolve(cfg.model).clone(**fields)
  images = np.zeros((1, 8, 8, 3), np.uint8)
  params = model.init(jax.random.key(7), images)["params"]
  models.save(path, model, params)
  return params


@pytest.mark.parametrize("name", _BASES)
def test_the_architecture_is_the_base_models(name):
  trainer = konfig.resolve(config_files.load(f"student/{name}"))
  variant = zoo.find(_BASES[name])
  assert trainer.model.backbone == variant.vit(dtype="float32")
  expected = variant.model(triplet_dim=1024)
  assert weights.shapes(trainer.model) == weights.shapes(expected)
  assert trainer.model.pixel_range == (0.0, 1.0)
  assert trainer.model.size == (224, 224)  # DINOv2's grid is of 518.


@pytest.mark.parametrize("name", _BASES)
def test_launches_from_the_command_line(
    name, tiny_world, root, tmp_path, parsed_flags, monkeypatch, capsys
):
  changes = _changes(tiny_world, root, tmp_path / "run")
  if name != "siglip_b":  # Their evaluations are the same.
    changes += ["num_train_steps=1", "evals=None"]
  cfg = _small(name, tiny_world, root, tmp_path)
  given = None
  if name != "scratch_b":
    base = tmp_path / "base.safetensors"
    given = _save_base(cfg, base)
    changes.append(f"aux.weights={base}")
  command = ["train", f"--cfg=student/{name}", *(f"--cfg.{x}" for x in changes)]
  monkeypatch.setattr(dry_run, "_SMALL", 0)  # Without compiling.
  assert main.main([*command, "--dry_run"]) == 0
  assert "float32 [4, 3, 6]" in capsys.readouterr().out
  assert main.main(command) == 0
  _, params = models.load(tmp_path / "run" / training_run.WEIGHTS)
  scalars = tmp_path / "run" / "scalars"
  curves = writer.read_scalars(scalars / "train.jsonl")
  losses = [key for key in curves if key.startswith("losses/")]
  assert losses == ["losses/jsd", "losses/total"]
  assert all(0 < loss < np.log(2) for loss in curves["losses/jsd"].values())
  if given is not None:
    moved = np.abs(
        params["backbone"]["embedding"]["kernel"]
        - given["backbone"]["embedding"]["kernel"]
    ).max()
    # A few steps of at most 1e-3: it began at the weights it was given.
    assert 0 < moved < 4e-3
  if name == "siglip_b":
    for sampling in _EVALS:
      found = writer.read_scalars(scalars / f"synthetic_{sampling}.jsonl")
      accuracy = found["metrics/synthetic_accuracy"]
      assert set(accuracy) == {0, 2} and 0 < accuracy[2] < 1


def test_a_readout_leaves_the_backbone_alone(tiny_world, root, tmp_path):
  states = {}
  for name, overrides in (
      ("siglip_b", []),
      ("siglip_b:readout", ["aux.classes=108", "aux.label_level=subordinate"]),
  ):
    cfg = _small(name, tiny_world, root, tmp_path / name, *overrides)
    cfg.checkpointer = None
    for evaluation in _EVALS[1:]:  # One is enough.
      del cfg.evals[f"synthetic_{evaluation}"]
    _save_base(cfg, tmp_path / f"{name}.safetensors", i1k_classes=0)
    cfg.aux.weights = str(tmp_path / f"{name}.safetensors")
    states[name], _ = konfig.resolve(cfg).train()
  plain, readout = (s.params for s in states.values())
  moved = np.abs(readout["i1k_head"]["dense"]["kernel"]).max()
  assert 0 < moved
  jax.tree.map(
      np.testing.assert_array_equal, plain["backbone"], readout["backbone"]
  )
  losses = writer.read_scalars(
      tmp_path / "siglip_b:readout" / "scalars" / "train.jsonl"
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
  path = training_run.train(trainer)
  last, average = (
      weights.read(p, weights.shapes(trainer.model))
      for p in (path, path.with_name(training_run.AVERAGED))
  )
  name = "triplet_head/kernel"
  assert last[name].shape == average[name].shape
  assert 0 < np.abs(last[name] - average[name]).max() < 3e-3


def _files(trainer, root):
  """The files that a trainer reads, below the release."""
  loaders = [trainer.train_ds, *(e.ds for e in trainer.evals.values())]
  paths = [pathlib.Path(loader.data_source.path) for loader in loaders]
  return [path.relative_to(root).as_posix() for path in paths]


def test_reads_files_of_the_public_release(tiny_world, root, tmp_path):
  published = {file.name for file in catalogue.CATALOGUE["alignet"].files}
  load = lambda *o: konfig.resolve(
      _small("siglip_b", tiny_world, root, tmp_path, *o)
  )
  plain, control = load(), load("aux.transform=untransformed")
  for trainer, folder in (
      (plain, "uncertainty_distillation"),
      (control, "untransformed"),
  ):
    found = _files(trainer, root)
    assert found == [
        f"{folder}/{name}.npz"
        for name in (
            *("train_cluster_border_500", "val_between_class"),
            *("val_class_border", "val_within_class", "val_cluster_border_500"),
        )
    ]
    assert published.issuperset(found)
  # Of our own releases the folder has the same name.
  assert recipe.TRANSFORM == "uncertainty_distillation"
  for field, name, place in (
      ("train", "alignet_train.npz", 0),
      ("valid", "alignet_valid.npz", -1),
  ):
    trainer = load(f"aux.{field}={root / name}")
    found = _files(trainer, root)
    assert found[place] == name and name in published
    assert len(set(found) & set(_files(plain, root))) == 4
  batch = load(f"aux.train={root}/alignet_train.npz").train_ds.data_source[0]
  assert (np.diff(batch["similarities"], axis=1) <= 0).all()


def test_bfloat16_remat_and_scan_by_override(tiny_world, root, tmp_path):
  cfg = _small(
      "scratch_b",
      tiny_world,
      root,
      tmp_path,
      "aux.dtype=bfloat16",
      "aux.remat=True",
      "aux.scan=True",
  )
  cfg.checkpointer = None
  cfg.evals = {}
  trainer = konfig.resolve(cfg)
  predictions = trainer.context_specs.preds
  assert predictions.pre_logits.dtype == "bfloat16"
  assert predictions.triplet_logits.dtype == "float32"
  model, params = models.load(training_run.train(trainer))
  assert model.backbone.remat and model.backbone.dtype == "bfloat16"
  assert model.backbone.scan and model.size == (8, 8)
  assert all(x.dtype == np.float32 for x in jax.tree.leaves(params))


def test_validation_scores_every_row_once(tiny_world, root, tmp_path):
  """The mean over 80 triplets, in batches of 7 and all at once."""
  scores = []
  for size in (7, 80):
    overrides = [f"aux.batch_size={size}", "aux.tau=1.0"]
    cfg = _small("scratch_b", tiny_world, root, tmp_path, *overrides)
    trainer = konfig.resolve(cfg)
    state = trainer.init_state(skip_optimizer=True)
    found = trainer.evals["synthetic_valid"].evaluate(state, 0).compute()
    scores.append({**found.loss_values, **found.metric_values})
  assert {"losses/jsd", "metrics/synthetic_kl"} <= set(scores[0])
  assert 0 < scores[1]["metrics/synthetic_accuracy"] < 1
  for key, value in scores[1].items():
    assert scores[0][key] == pytest.approx(value, rel=1e-5), key


@pytest.mark.parametrize("kind", ["dense", "readout"])
@pytest.mark.parametrize("name", _BASES)
def test_every_model_has_both_variants(name, kind):
  """Each differs from its model's config as SigLIP's does, and in no more."""
  base, ours, siglip, theirs = (
      config_files.load(f"student/{n}")
      for n in (name, f"{name}:{kind}", "siglip_b", f"siglip_b:{kind}")
  )
  if name == "scratch_b":
    siglip.aux.decay = theirs.aux.decay = 0.0
    siglip.init_transform = theirs.init_transform = base.init_transform
  for key in ours.keys():
    changed = repr(theirs[key]) != repr(siglip[key])
    if key == "model":
      assert repr(ours.model.backbone) == repr(base.model.backbone)
      assert ours.model.get("i1k_classes") == theirs.model.get("i1k_classes")
    elif changed:
      assert repr(ours[key]) == repr(theirs[key]), key
    else:
      assert repr(ours[key]) == repr(base[key]), key
  assert konfig.resolve(ours).model.triplet_dim == 1024


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
