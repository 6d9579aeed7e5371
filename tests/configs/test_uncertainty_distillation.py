"""The teacher's Kauldron config: wiring, and one shrunk training."""

import dataclasses

from absl import flags
from alignet import transforms
from alignet.data import linear_world
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.io import config_files
import jax
import jax.numpy as jnp
from kauldron import kd
from kauldron import konfig
import numpy as np
import optax
import pytest
from uncertainty_distillation import fit
from uncertainty_distillation import objective
from uncertainty_distillation import vice

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


def _config(workdir, name="uncertainty_distillation", **aux):
  cfg = config_files.load(name)
  cfg.workdir = str(workdir)
  cfg.num_train_steps = 20
  cfg.aux.eval_every = 10
  cfg.aux.batch_size = 32
  for key, value in aux.items():
    cfg.aux[key] = value
  cfg.checkpointer = None
  return cfg


def test_wiring(tmp_path):
  trainer = konfig.resolve(_config(tmp_path))
  specs = trainer.context_specs
  assert specs.batch["triplets"].shape == (32, 3)
  assert specs.preds["similarities"].shape == (32, 3)
  assert specs.params["weights"].shape == (32, 32)
  source = trainer.train_ds.data_source
  assert source.data is not None and len(source) == 21
  # The trainer and the evaluator hold out the same concepts.
  np.testing.assert_array_equal(
      source.data.held_out, trainer.evals["transform"].data.held_out
  )
  assert source.data.held_out.mean() == 0.25


def test_training_writes_the_best_transform(tmp_path):
  x, concepts, embedding = linear_world.make(60, 2, features=16, seed=3)
  for name, array in (("F", x), ("C", concepts), ("V", embedding)):
    np.save(tmp_path / f"{name}.npy", array)
  cfg = _config(
      tmp_path / "run",
      features=str(tmp_path / "F.npy"),
      embedding=str(tmp_path / "V.npy"),
      concepts=str(tmp_path / "C.npy"),
      learning_rate=0.02,
  )
  cfg.num_train_steps = 60
  trainer = konfig.resolve(cfg)
  state, _ = trainer.train()
  transform = transforms.load(tmp_path / "run" / "transform.npz")
  assert transform.weights.shape == (16, 16)
  meta = transform.meta
  assert meta["selection"]["agreement"] > 0.7
  assert meta["selection"]["cross_entropy"] < np.log(3) - 0.1
  # They chose the step, so that nothing calls them held-out scores.
  assert "held_out" not in meta and len(meta["held_out_concepts"]) == 15
  assert set(meta["inputs"]) == {"features", "embedding", "concepts"}

  # A worse transform does not replace it.
  before = (tmp_path / "run" / "transform.npz").read_bytes()
  worse = state.replace(params={k: 0 * v for k, v in state.params.items()})
  trainer.evals["transform"].evaluate(worse, 61)
  assert (tmp_path / "run" / "transform.npz").read_bytes() == before


def test_batches_depend_on_seed_and_number_only(tmp_path):
  source = konfig.resolve(_config(tmp_path)).train_ds.data_source
  again = konfig.resolve(_config(tmp_path)).train_ds.data_source
  for key, value in source[7].items():
    np.testing.assert_array_equal(value, again[7][key])
  assert (source[7]["triplets"] != source[8]["triplets"]).any()
  data = source.data
  assert not data.held_out[data.training.triplets].any()
  assert data.held_out[data.validation.triplets].all()


def test_overrides_reach_both_places(tmp_path):
  trainer = konfig.resolve(_config(tmp_path, input_map="l2", folds=0))
  for data in (
      trainer.train_ds.data_source.data,
      trainer.evals["transform"].data,
  ):
    assert data.input_map == "l2" and not data.held_out.any()


def test_files_without_features_are_refused(tmp_path):
  cfg = _config(tmp_path, embedding="V.npy")
  with pytest.raises(AlignetError, match="cfg.aux.features"):
    konfig.resolve(cfg).train_ds.data_source[0]


def test_training_from_a_posterior(tmp_path):
  """Uncertainty distillation proper: the targets are a mean over samples."""
  x, concepts, mu = linear_world.make(30, 2, features=16, seed=3)
  np.save(tmp_path / "F.npy", x)
  np.save(tmp_path / "C.npy", concepts)
  np.savez(tmp_path / "vice.npz", mu=mu, sigma=np.full_like(mu, 0.3))
  cfg = _config(
      tmp_path / "run",
      features=str(tmp_path / "F.npy"),
      posterior=str(tmp_path / "vice.npz"),
      concepts=str(tmp_path / "C.npy"),
      samples=3,
  )
  trainer = konfig.resolve(cfg)
  training = trainer.train_ds.data_source.data.training
  expected, _ = vice.posterior_predictive(
      mu, np.full_like(mu, 0.3), training.triplets, samples=3, seed=0
  )
  np.testing.assert_allclose(training.probabilities, expected, atol=1e-5)
  trainer.train()
  meta = transforms.load(tmp_path / "run" / "transform.npz").meta
  assert set(meta["inputs"]) == {"features", "posterior", "concepts"}


def test_embedding_is_joined_by_name(tmp_path):
  x, _, embedding = linear_world.make(12, 1, features=8, seed=3)
  order = np.random.default_rng(0).permutation(12)
  np.save(tmp_path / "F.npy", x)
  np.save(tmp_path / "V.npy", embedding[order])
  (tmp_path / "names.txt").write_text("\n".join(map(str, range(12))))
  (tmp_path / "order.txt").write_text("\n".join(map(str, order)))
  paths = {
      "features": "F.npy",
      "embedding": "V.npy",
      "concept_list": "names.txt",
      "embedding_names": "order.txt",
  }
  paths = {name: str(tmp_path / path) for name, path in paths.items()}
  source = konfig.resolve(_config(tmp_path, **paths)).train_ds.data_source
  np.testing.assert_array_equal(source.data.inputs.embedding, embedding)
  paths["embedding_names"] = ""
  source = konfig.resolve(_config(tmp_path, **paths)).train_ds.data_source
  with pytest.raises(AlignetError, match="embedding_order=things"):
    _ = source.data.inputs


@pytest.mark.parametrize("standardise", ["scalar", "per_dimension"])
def test_training_goes_on_from_a_transform(tmp_path, standardise):
  """A ridge regression, of features standardised in another way."""
  x, concepts, embedding = linear_world.make(30, 2, features=16, seed=3)
  x += np.arange(16, dtype=np.float32)
  judgments = judgments_lib.from_embedding(embedding)
  transform, _ = fit.fit(
      *(x, concepts, judgments),
      fit.Config(steps=0, inner_folds=0, input_map="none"),
      embedding=embedding,
  )
  transforms.save(tmp_path / "ridge.npz", transform)
  for name, array in (("F", x), ("C", concepts), ("V", embedding)):
    np.save(tmp_path / f"{name}.npy", array)
  aux = {
      "features": str(tmp_path / "F.npy"),
      "embedding": str(tmp_path / "V.npy"),
      "concepts": str(tmp_path / "C.npy"),
      "start": str(tmp_path / "ridge.npz"),
      "standardise": standardise,
      "folds": 0,
      "learning_rate": 1e-7,
  }
  cfg = _config(tmp_path / "run", **aux)
  trainer = konfig.resolve(cfg)
  data, params = trainer.train_ds.data_source.data, trainer.init_state().params
  np.testing.assert_allclose(
      data.x @ params["weights"] + params["bias"],
      transform(x),
      rtol=1e-3,
      atol=1e-4,
  )
  trainer.train()
  after = transforms.load(tmp_path / "run" / "transform.npz")
  np.testing.assert_allclose(after(x), transform(x), rtol=1e-2, atol=1e-2)
  assert set(after.meta["inputs"]) > {"start", "features"}
  for change, message in (
      ({"input_map": "l2"}, "--cfg.aux.input_map=none"),
      ({"features": ""}, "without features"),
  ):
    cfg = _config(tmp_path / "run", **(aux | change))
    with pytest.raises(AlignetError, match=message):
      _ = konfig.resolve(cfg).context_specs
  cfg = _config(tmp_path / "run", **aux)
  cfg.model.width = 9
  with pytest.raises(AlignetError, match="width=9 dimensions.*found 6"):
    _ = konfig.resolve(cfg).context_specs


def test_zero_is_no_start(tmp_path):
  cfg = _config(tmp_path)
  cfg.model.scale = cfg.model.bias = 0.0
  with pytest.raises(AlignetError, match="never leave"):
    _ = konfig.resolve(cfg).context_specs


def test_losses_are_those_of_the_objective(tmp_path):
  trainer = konfig.resolve(_config(tmp_path))
  rng = np.random.default_rng(0)
  s = rng.normal(size=(5, 3)).astype(np.float32)
  pi = rng.dirichlet(np.ones(3), 5).astype(np.float32)
  kl = trainer.train_losses["kl"].get_state(similarities=s, targets=pi)
  np.testing.assert_allclose(
      kl.compute(), objective.divergence(s, pi).mean(), rtol=1e-6
  )
  w = rng.normal(size=(4, 4)).astype(np.float32)
  penalty = trainer.train_losses["regulariser"]
  np.testing.assert_allclose(
      penalty.get_state(weights=w).compute(),
      0.1 * objective.regulariser(w, "identity"),
      rtol=1e-6,
  )
  assert isinstance(penalty, kd.losses.Loss)


def test_glocal_wiring_and_training(tmp_path):
  cfg = config_files.load(
      "glocal",
      [
          f"workdir={tmp_path}/run",
          "num_train_steps=10",
          "aux.batch_size=32",
          "aux.eval_every=10",
          "aux.alpha=0.25",
          "aux.local_batch=20",
      ],
  )
  cfg.checkpointer = None
  trainer = konfig.resolve(cfg)
  assert trainer.context_specs.batch["local"].shape == (20, 32)
  assert trainer.context_specs.preds["local"].shape == (20, 32)
  losses = trainer.train_losses
  assert losses["kl"].weight == 0.75 and losses["local"].weight == 0.25
  trainer.train()
  assert transforms.load(tmp_path / "run" / "transform.npz").meta["step"] == 10


def test_local_images_are_standardised_where_they_are_transformed(tmp_path):
  images = np.random.default_rng(0).normal(size=(9, 32)).astype(np.float32)
  np.save(tmp_path / "L.npy", images)
  cfg = config_files.load(
      "glocal", [f"workdir={tmp_path}", f"aux.local={tmp_path}/L.npy"]
  )
  source = konfig.resolve(cfg).train_ds.data_source
  mean, std = source.data.moments
  batch = source[3]
  np.testing.assert_array_equal(
      np.sort(batch["original"], axis=0), np.sort(images, axis=0)
  )
  np.testing.assert_allclose(
      batch["local"], (batch["original"] - mean) / std, rtol=1e-6
  )
  np.save(tmp_path / "L.npy", images[:, :5])
  with pytest.raises(AlignetError, match="expected shape .any, 32"):
    konfig.resolve(cfg).train_ds.data_source[0]


@pytest.mark.parametrize("batch, alpha", [(8, 0), (64, 0), (8, 0.4)])
def test_steps_are_those_of_the_bare_objective(tmp_path, batch, alpha):
  """The trainer and a loop over the objective: the same batches, one path."""
  x, _, embedding = linear_world.make(40, 1, features=32, seed=3)
  x += 3  # So that neighbourhoods change when the mean is subtracted.
  np.save(tmp_path / "F.npy", x)
  np.save(tmp_path / "V.npy", embedding)
  np.save(tmp_path / "L.npy", x[:9])
  aux = {
      "batch_size": batch,
      "features": str(tmp_path / "F.npy"),
      "embedding": str(tmp_path / "V.npy"),
  }
  name = "uncertainty_distillation"
  if alpha:
    name = "glocal"
    aux |= {"alpha": alpha, "tau": 0.1, "local": str(tmp_path / "L.npy")}
  cfg = _config(tmp_path / "run", name, **aux)
  cfg.num_train_steps = 9
  trainer = konfig.resolve(cfg)
  state, _ = trainer.train()
  source = trainer.train_ds.data_source
  x = source.data.x
  images = np.load(tmp_path / "L.npy")
  mean, std = source.data.moments
  local = objective.Local(original=images, inputs=(images - mean) / std)
  rows = np.arange(40)[None]
  params = {"weights": 1e-3 * jnp.eye(32), "bias": jnp.full(32, 1e-3)}
  optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
  moments = optimizer.init(params)
  for number in range(10):
    element = source[number]
    gradient = jax.grad(objective.loss)(
        params,
        x,
        rows,
        element["triplets"],
        element["targets"],
        kind="identity",
        weight=0.1,
        alpha=alpha,
        tau=0.1,
        local=local if alpha else None,
    )
    updates, moments = optimizer.update(gradient, moments)
    params = optax.apply_updates(params, updates)
  for name, value in params.items():
    np.testing.assert_allclose(
        state.params[name], value, rtol=1e-4, atol=1e-7, err_msg=name
    )


def test_processes_share_each_batch(tmp_path):
  cfg = config_files.load("glocal", [f"workdir={tmp_path}"])
  cfg.aux.batch_size = 32
  source = konfig.resolve(cfg).train_ds.data_source
  assert source.part == (0, 1)
  whole = source[4]
  parts = [dataclasses.replace(source, part=(i, 2))[4] for i in range(2)]
  for key, value in whole.items():
    joined = np.concatenate([part[key] for part in parts])
    np.testing.assert_array_equal(joined, value)
  with pytest.raises(AlignetError, match="batch of 32 .* 3 processes"):
    dataclasses.replace(source, part=(0, 3))[4]  # pylint: disable=expression-not-assigned


def test_widths_by_override(tmp_path):
  """SigLIP-So400m has 1,152 dimensions."""
  rng = np.random.default_rng(0)
  np.save(tmp_path / "F.npy", rng.normal(size=(20, 1152)).astype(np.float32))
  np.save(tmp_path / "V.npy", rng.gamma(1, size=(20, 5)).astype(np.float32))
  paths = {
      "features": str(tmp_path / "F.npy"),
      "embedding": str(tmp_path / "V.npy"),
  }
  for width in (None, 64):
    cfg = _config(tmp_path, **paths)
    cfg.model.width = width
    specs = konfig.resolve(cfg).context_specs
    assert specs.params["weights"].shape == (1152, width or 1152)
