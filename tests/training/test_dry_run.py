"""A dry run says what a training will be, and trains nothing."""

from absl import flags
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.io import json_files
from alignet.models.formats import checkpoints
from alignet.training import dry_run
from alignet.training import training_run
import jax
from kauldron import konfig
from matplotlib import image as image_lib
import numpy as np
import pytest


@pytest.fixture
def weights(shrunk, tmp_path):
  trainer = konfig.resolve(shrunk("student/small", tmp_path / "w"))
  path = tmp_path / "weights.safetensors"
  params = trainer.init_state(skip_transforms=True).params
  checkpoints.save(path, trainer.model, params)
  return path, params


def test_student(weights, shrunk, tmp_path):
  path, params = weights
  cfg = shrunk("student/small", tmp_path / "run", weights=path)
  trainer = konfig.resolve(cfg)
  text = dry_run.dry_run(trainer)
  assert [p.name for p in (tmp_path / "run").iterdir()] == ["dry_run"]
  report = json_files.read(tmp_path / "run" / "dry_run" / "report.json")
  assert report["inputs"] == {
      "images": "uint8 [16, 3, 8, 8, 3]",
      "similarities": "float32 [16, 3]",
  }
  assert report["outputs"]["triplet_logits"] == "float32 [16, 3, 6]"
  sizes = {
      name: sum(x.size for x in jax.tree.leaves(p))
      for name, p in params.items()
  }
  assert report["parameters"] == sizes
  n = 4 * sum(sizes.values())
  memory = report["bytes"]
  assert memory["parameters"] == memory["gradients"] == n
  # Adam's two moments and the initial weights, and two counts at most.
  assert 3 * n <= memory["optimizer"] <= 3 * n + 16
  assert memory["batch"] == 16 * 3 * (8 * 8 * 3 + 4)
  assert memory["activations"] > 0 and "XLA" in report["activations_are"]
  # Of 48 images: embedding, one block and the pooling of 4 tokens, by hand.
  d, t, mlp = 8, 4, 8
  embed = t * 48 * d
  block = t * (4 * d * d + 2 * t * d + 2 * d * mlp)
  pool = 2 * t * d * d + 2 * t * d + 2 * d * d + 2 * d * mlp
  assert report["flop_per_step"] == 3 * 48 * 2 * (embed + block + pool)
  assert report["steps"] == 8 and "steps   8" in text
  picture = image_lib.imread(tmp_path / "run" / "dry_run" / "batch.png")
  assert picture.shape[0] > 100 and np.ptp(picture) > 0.5
  # Once more, and then the training itself, are not in its way.
  dry_run.dry_run(trainer)


def test_estimate_is_near_the_compiler(weights, shrunk, tmp_path, monkeypatch):
  cfg = shrunk("student/small", tmp_path / "run", weights=weights[0])
  cfg.aux.batch_size = 64
  trainer = konfig.resolve(cfg)
  batch = trainer.train_ds.data_source[0]
  planned, _ = dry_run.describe(trainer, batch)
  monkeypatch.setattr(dry_run, "_SMALL", 0)
  estimate, source = dry_run.describe(trainer, batch)
  assert source.startswith("an estimate")
  a, b = (x["bytes"]["activations"] for x in (planned, estimate))
  assert 1 / 4 < a / b < 4, (a, b)
  assert planned["flop_per_step"] == estimate["flop_per_step"]


@pytest.mark.parametrize(
    "images", [(4, 3, 8, 8, 3), (9, 8, 8, 3), (4, 5, 8, 8, 3)]
)
def test_pictures(images):
  batch = {"images": np.zeros(images, np.uint8)}
  assert dry_run.draw(batch) is not None
  assert dry_run.draw({"x": np.zeros(3)}) is None


def test_each_image_once_is_drawn_as_triplets():
  images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
  rows = np.array([[0, 1, 2], [4, 2, 0]])
  s = np.zeros((2, 3), np.float32)
  shared = {"images": {"images": images, "rows": rows}, "similarities": s}
  plain = {"images": images[rows], "similarities": s}
  from alignet.report import style

  assert style.png(dry_run.draw(shared)) == style.png(dry_run.draw(plain))


@pytest.fixture(scope="module")
def _parsed_flags():
  yield
  flags.FLAGS.mark_as_parsed()


@pytest.mark.parametrize(
    "field, value", [("weights", "no.safetensors"), ("triplets", "no.npz")]
)
def test_paths_that_are_wrong(field, value, weights, shrunk, tmp_path):
  cfg = shrunk("student/small", tmp_path / "run", weights=weights[0])
  cfg.aux[field] = value
  with pytest.raises(AlignetError, match=f"{value}.* does not exist"):
    dry_run.dry_run(konfig.resolve(cfg))
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "evaluator, fields",
    [
        ("LevelsEvaluator", dict(images="no", levels="no.npz")),
        ("RdmEvaluator", dict(images="no", rdm="no.npy", name_of_set="mine")),
        ("ClassesEvaluator", dict(train="no", test="no")),
        ("ChangeEvaluator", dict(images="no")),
    ],
)
def test_files_of_evaluations_that_are_not_there(
    evaluator, fields, weights, shrunk, tmp_path
):
  cfg = shrunk("student/small", tmp_path / "run", weights=weights[0])
  # pylint: disable=g-import-not-at-top
  with konfig.imports():
    from alignet import evals
    from alignet.training import change
    from kauldron import kd
  home = change if evaluator == "ChangeEvaluator" else evals
  cfg.evals.more = getattr(home, evaluator)(
      run=kd.evals.EveryNSteps(4), **fields
  )
  with pytest.raises(AlignetError, match="no/.* does not exist"):
    dry_run.dry_run(konfig.resolve(cfg))


def test_weights_of_another_model(weights, shrunk, tmp_path):
  cfg = shrunk("student/small", tmp_path / "run", weights=weights[0])
  cfg.model.backbone.width = 4
  with pytest.raises(AlignetError, match="does not fit the model"):
    dry_run.dry_run(konfig.resolve(cfg))


def test_full_size_is_not_compiled(monkeypatch):
  """A ViT-B's numbers without running or compiling it."""
  from alignet.io import config_files

  monkeypatch.setattr(dry_run, "_compiled", None)  # It would be called.
  cfg = config_files.load("student/siglip_b", ["workdir=x"])
  cfg.model.backbone.scan = True  # One block is traced instead of twelve.
  cfg.init_transform = None
  cfg.evals = {}
  trainer = konfig.resolve(cfg)
  batch = {
      "images": np.broadcast_to(np.uint8(0), (512, 3, 224, 224, 3)),
      "similarities": np.zeros((512, 3), np.float32),
  }
  report, _ = dry_run.describe(trainer, batch)
  assert report["parameters"]["backbone"] == pytest.approx(92.9e6, rel=0.01)
  assert report["flop_per_step"] == pytest.approx(162e12, rel=0.02)
  assert report["bytes"]["activations"] > 50 * 2**30


def test_command(_parsed_flags, shrunk, tiny_world, tmp_path, capsys):
  overrides = [
      f"--cfg.workdir={tmp_path}",
      f"--cfg.aux.images={tiny_world['images']}",
      "--cfg.aux.batch_size=4",
      "--cfg.aux.level=basic",
      "--cfg.model.backbone.patch_size=4",
  ]
  assert main.main(["train", "--cfg=base", "--dry_run=compiled"]) == 2
  assert (
      "argument --dry_run: invalid choice: 'compiled'"
      in capsys.readouterr().err
  )
  assert main.main(["train", "--dry_run", "--cfg=base", *overrides]) == 0
  assert "steps   1,500" in capsys.readouterr().out
  assert (tmp_path / "dry_run" / "batch.png").is_file()
  assert not (tmp_path / training_run.WEIGHTS).exists()
