"""The students that see all triplets of a batch: wiring, a shrunk training."""

from absl import flags
from alignet import models
from alignet import transforms
from alignet.data import images as images_lib
from alignet.io import config_files
from alignet.io import files
from alignet.io import identities
from alignet.representations import kmeans
from alignet.representations import store as store_lib
from alignet.training import writer
from alignet.triplets import npz
from alignet.triplets import similarity
import jax
from kauldron import konfig
import numpy as np
import pytest
from response_generation import temperature

_NAMES = ("small:dense", "siglip_b:dense")
_SPARSE = {"small:dense": "small", "siglip_b:dense": "siglip_b"}

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope="module")
def teacher(tiny_world, tmp_path_factory):
  """Clusters, representations and a transform of the tiny world's images."""
  folder = tmp_path_factory.mktemp("teacher")
  store = images_lib.open_store(tiny_world["images"])
  rng = np.random.default_rng(0)
  features = rng.normal(size=(len(store), 5)).astype(np.float32)
  store_lib.write(
      folder / "representations", features, store.filenames, {}, {"model": "m"}
  )
  rows = identities.of_names(store.filenames)
  kmeans.save(
      folder / "clusters.npz",
      kmeans.fit(features, 6, seed=0, meta={"rows": rows}),
  )
  weights = 0.2 * rng.normal(size=(5, 4)).astype(np.float32)
  transforms.save(
      folder / "transform.npz",
      transforms.Transform(
          weights=weights,
          bias=np.ones(4, np.float32),
          meta={"columns": {"model": "m"}},
      ),
  )
  return folder


def _small(name, tiny_world, teacher, workdir, *overrides):
  small = {
      "workdir": workdir,
      "num_train_steps": 2,
      "log_metrics_every": 1,
      "aux.images": tiny_world["images"],
      "aux.clusters": teacher / "clusters.npz",
      "aux.representations": teacher / "representations",
      "aux.teacher": teacher / "transform.npz",
      "aux.groups": 4,
      "aux.group_size": 3,
      "aux.peak": 1e-3,
      "aux.tau": 1.0,
      "train_ds.num_workers": 0,
      "model.triplet_dim": 6,
      "model.backbone.patch_size": 4,
      "model.backbone.width": 8,
      "model.backbone.depth": 1,
      "model.backbone.num_heads": 2,
      "model.backbone.mlp_dim": 8,
  }
  if name != "small:dense":
    small |= {
        "model.backbone.grid": (2, 2),
        "aux.valid": tiny_world["triplets"],
        "aux.num_workers": 0,
        "aux.batch_size": 16,
        "aux.eval_every": 2,
    }
  changes = [f"{key}={value}" for key, value in small.items()]
  cfg = config_files.load(f"student/{name}", [*changes, *overrides])
  cfg.checkpointer = None
  evals = {k: v for k, v in cfg.evals.items() if k == "synthetic_valid"}
  cfg.evals = evals
  return cfg


@pytest.mark.parametrize("name", _NAMES)
def test_all_else_is_the_sparse_students(name):
  dense, sparse = (
      config_files.load(f"student/{n}") for n in (name, _SPARSE[name])
  )
  for evaluator in dense.evals.values():
    if "ds" in evaluator:
      del evaluator.ds.data_source.teacher
  own = {"aux", "train_ds", "train_losses", "train_metrics"}
  assert set(dense.keys()) == set(sparse.keys())
  for key in set(dense.keys()) - own:
    assert repr(dense[key]) == repr(sparse[key]), key
  assert set(dense.train_metrics.keys()) == set(sparse.train_metrics.keys())


@pytest.mark.parametrize("name", _NAMES)
def test_a_third_of_the_images(name):
  dense, sparse = (
      config_files.load(f"student/{n}").aux for n in (name, _SPARSE[name])
  )
  of_sparse = 3 * sparse.batch_size
  assert 3 * dense.groups * dense.group_size <= of_sparse


@pytest.mark.parametrize("name", _NAMES)
def test_losses_are_the_sparse_ones_with_both_temperatures(name):
  changes = ["aux.tau=7.0", "aux.target_tau=2.0", "aux.loss.kl=0.25"]
  dense, sparse = (
      konfig.resolve(config_files.load(f"student/{n}", changes))
      for n in (name, _SPARSE[name])
  )
  assert dense.train_losses.keys() == sparse.train_losses.keys() >= {"jsd"}
  for key, loss in dense.train_losses.items():
    assert loss.of == sparse.train_losses[key]
    assert loss.weight == sparse.train_losses[key].weight
    assert (loss.of.tau, loss.of.target_tau) == (7.0, 2.0)
  kl = dense.train_metrics["synthetic_kl"]
  assert (kl.tau, kl.target_tau) == (7.0, 2.0)


@pytest.mark.parametrize("name", _NAMES)
def test_trains(name, tiny_world, teacher, tmp_path):
  cfg = _small(name, tiny_world, teacher, tmp_path / "run", "aux.loss.kl=1")
  model = konfig.resolve(cfg.model)
  images = np.zeros((1, 8, 8, 3), np.uint8)
  given = model.init(jax.random.key(7), images)["params"]
  models.save(tmp_path / "base.safetensors", model, given)
  cfg.aux.weights = str(tmp_path / "base.safetensors")
  trainer = konfig.resolve(cfg)
  assert len(trainer.train_ds.data_source) == 3  # N steps are N + 1 updates.
  predictions = trainer.context_specs.preds
  assert predictions.triplet_logits.shape == (4, 3, 6)
  state, _ = trainer.train()
  scalars = tmp_path / "run" / "scalars"
  curves = writer.read_scalars(scalars / "train.jsonl")
  assert all(0 < loss < np.log(2) for loss in curves["losses/jsd"].values())
  for step, kl in curves["metrics/synthetic_kl"].items():
    assert kl == pytest.approx(curves["losses/kl"][step], rel=1e-5)
    assert 0 < curves["metrics/synthetic_accuracy"][step] < 1
  moved = np.abs(
      state.params["backbone"]["embedding"]["kernel"]
      - given["backbone"]["embedding"]["kernel"]
  ).max()
  # A few steps of at most 1e-3: it began at the weights it was given.
  assert 0 < moved < 4e-3
  if name != "small:dense":
    found = writer.read_scalars(scalars / "synthetic_valid.jsonl")
    assert set(found["metrics/synthetic_kl"]) == {0, 2}


def _representations(teacher):
  """Untransformed and aligned ones of all images."""
  features = files.load_npy(teacher / "representations" / "features.npy")
  return features, transforms.load(teacher / "transform.npz")(features)


@pytest.mark.parametrize("control", [False, True])
def test_one_override_is_the_control(control, tiny_world, teacher, tmp_path):
  """Training and evaluation both follow the teacher, or its absence."""
  overrides = ["aux.teacher="] if control else []
  trainer = konfig.resolve(
      _small("siglip_b:dense", tiny_world, teacher, tmp_path, *overrides)
  )
  z = _representations(teacher)[not control]
  source = trainer.train_ds.data_source
  rows, _ = source.draw(0)
  np.testing.assert_allclose(source[0]["representations"], z[rows], rtol=1e-5)
  valid = trainer.evals["synthetic_valid"].ds.data_source
  file = npz.open(tiny_world["triplets"])
  s = similarity.pair_similarities(z[file.indices[:16]])
  np.testing.assert_allclose(
      valid[0]["similarities"], -np.sort(-s, axis=1), rtol=1e-4, atol=1e-5
  )
  # The images stand in the order of the answers: the nearest pair first.
  store = images_lib.open_store(tiny_world["images"])
  row, odd = 3, 2 - int(np.argmax(s[3]))
  np.testing.assert_array_equal(
      valid[0]["images"][row, 2], store.images[file.indices[row, odd]]
  )


def test_the_matched_control_by_a_pair_of_overrides(
    tiny_world, teacher, tmp_path
):
  """The temperature of `alignet respond` gives the aligned mean entropy."""
  indices = npz.open(tiny_world["triplets"]).indices
  plain, aligned = (
      similarity.pair_similarities(z[indices])
      for z in _representations(teacher)
  )
  target = temperature.mean_entropy(aligned)
  t = temperature.match(plain, target)
  assert t > 1.5
  trainer = konfig.resolve(
      _small(
          *("siglip_b:dense", tiny_world, teacher, tmp_path),
          *("aux.teacher=", f"aux.target_tau={t}"),
      )
  )
  evaluator = trainer.evals["synthetic_valid"]
  batches = [evaluator.ds.data_source[k] for k in range(len(evaluator.ds))]
  s, present = (
      np.concatenate([batch[key] for batch in batches])
      for key in ("similarities", "present")
  )
  for part in (
      *(loss.of for loss in trainer.train_losses.values()),
      *(trainer.train_metrics["synthetic_kl"], evaluator.losses["jsd"]),
      evaluator.metrics["synthetic_kl"],
  ):
    found = temperature.mean_entropy(s[present], part.target_tau)
    assert found == pytest.approx(target, abs=1e-6)
