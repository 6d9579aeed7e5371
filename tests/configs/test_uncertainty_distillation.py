"""The teacher's Kauldron configs make what `alignet teach` makes."""

import dataclasses
import pathlib

from absl import flags
from alignet import transforms
from alignet.cli import main
from alignet.data import linear_world
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.training import training_run
import numpy as np
import pytest
from uncertainty_distillation import fit
from uncertainty_distillation import objective

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()

_SMALL = {"batch": 64, "max_triplets": 5000, "inner_folds": 3}


def _trainer(workdir, name="uncertainty_distillation", seed=0, **aux):
  overrides = [f"workdir={workdir}", f"seed={seed}"]
  overrides += [f"aux.{key}={value}" for key, value in (_SMALL | aux).items()]
  return training_run.resolve(config_files.load(name, overrides))


def _teach(out, seed=0, **given):
  settings = (_SMALL | given).items()
  command = [f"--{key}={value}" for key, value in settings]
  assert not main.main(
      ["teach", *command, f"--seed={seed}", f"--out={out}", "--quiet"]
  )
  return transforms.load(out)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """Paths of files by the name of their flag."""
  folder = tmp_path_factory.mktemp("world")
  x, concepts, embedding = linear_world.make(40, 2, features=16, seed=3)
  arrays = {
      "features": x + np.arange(16, dtype=np.float32),
      "concepts": concepts,
      "embedding": embedding,
      "local": x[:50] + 3,
  }
  for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array)
  sigma = np.full_like(embedding, 0.3)
  np.savez(folder / "posterior.npz", mu=embedding, sigma=sigma)
  return {path.stem: str(path) for path in folder.iterdir()}


def _given(world, *names, **settings):
  trusted = {"rows": "as_stored", "columns": "as_given"}
  return {name: world[name] for name in names} | trusted | settings


def _assert_same(found, expected):
  """As near as the same formulas in another program are."""
  largest = np.abs(expected.weights).max()
  for name in ("weights", "bias", "mean", "std"):
    np.testing.assert_allclose(
        *(getattr(t, name) for t in (found, expected)),
        rtol=0,
        atol=1e-4 * largest,
        err_msg=name,
    )
  assert found.input_map == expected.input_map
  assert found.meta.keys() == expected.meta.keys()
  for key in ("steps", "config", "inputs", "notes", "temperature"):
    assert found.meta[key] == expected.meta[key], key


def test_defaults_are_those_of_the_command():
  parser = main.make_parser("teach")
  args = vars(parser.parse_args(["teach", "--out="]))
  for key, value in config_files.load("uncertainty_distillation").aux.items():
    default = args[key]
    if isinstance(default, tuple):  # Of several values the best is chosen.
      (default,) = default
    assert (default or "") == (value or ""), key


@pytest.mark.parametrize(
    "given, settings, stopped",
    [
        (("features", "concepts", "embedding"), {"regulariser": "l2"}, False),
        (
            ("features", "concepts", "posterior"),
            {"samples": 3, "start": "identity", "steps": 100},
            True,
        ),
        (
            ("features", "concepts", "embedding", "local"),
            {"alpha": 0.4, "tau": 0.2, "local_batch": 20, "start": "small"},
            True,
        ),
    ],
)
def test_two_doors_to_one_recipe(world, tmp_path, given, settings, stopped):
  given = _given(world, *given, **settings)
  expected = _teach(tmp_path / "T.npz", seed=1, **given)
  trainer = _trainer(tmp_path / "run", seed=1, **given)
  if stopped:
    assert expected.meta["steps"] > 31
    checkpointer = dataclasses.replace(
        trainer.checkpointer, save_interval_steps=20, workdir=trainer.workdir
    )
    trainer = trainer.replace(checkpointer=checkpointer)
    trainer.replace(stop_after_steps=31).train()
    assert not (tmp_path / "run" / "transform.npz").exists()
    assert any((tmp_path / "run" / "checkpoints").glob("ckpt_*"))
  path = training_run.train(trainer)
  _assert_same(transforms.load(path), expected)
  # Complete, it is not repeated; nor does it become another training.
  before = path.stat().st_mtime_ns
  assert training_run.train(_trainer(tmp_path / "run", seed=1, **given)) == path
  assert path.stat().st_mtime_ns == before
  with pytest.raises(AlignetError, match="another recipe: config"):
    training_run.train(_trainer(tmp_path / "run", seed=2, **given))


def test_simulated_problem_and_kauldron_s_own_loop(tmp_path):
  """It runs on to the end, which changes nothing of the result."""
  trainer = _trainer(tmp_path / "a", steps=100, start="identity")
  state, _ = trainer.train()
  found = transforms.load(tmp_path / "a" / "transform.npz")
  data = trainer.train_ds.data_source.data
  assert data is trainer.model.data is trainer.evals["transform"].data
  inputs, config = data.inputs, data.config
  expected, _ = fit.fit(
      *(inputs.features, inputs.concepts, inputs.judgments, config),
      embedding=inputs.embedding,
  )
  _assert_same(
      found, dataclasses.replace(expected, meta=found.meta | expected.meta)
  )
  after = fit.finish(data.prepared, state.params)
  np.testing.assert_array_equal(after.weights, found.weights)
  assert int(state.step) == 101 > found.meta["steps"]


def test_going_on_from_a_transform(world, tmp_path):
  given = _given(world, "features", "concepts", "embedding")
  ridge = _teach(tmp_path / "ridge.npz", steps=0, **given | {"inner_folds": 0})
  given |= {"start": tmp_path / "ridge.npz", "inner_folds": 0}
  x = np.load(world["features"])
  for name, steps in (("none", 0), ("some", 50)):
    expected = _teach(
        tmp_path / f"{name}.npz", steps=steps, learning_rate=1e-6, **given
    )
    trainer = _trainer(
        tmp_path / name, steps=steps, learning_rate=1e-6, **given
    )
    found = transforms.load(training_run.train(trainer))
    _assert_same(found, expected)
    assert found.meta["start"] == expected.meta["start"]
    np.testing.assert_allclose(found(x), ridge(x), rtol=1e-2, atol=1e-2)
  for change, message in (
      ({"inner_folds": 3}, "set inner_folds to 0"),
      ({"width": 3}, "leave width out"),
      ({"input_map": "l2"}, "expected the input map 'l2', found 'none'"),
  ):
    with pytest.raises(AlignetError, match=message):
      training_run.train(_trainer(tmp_path / "x", **(given | change)))


@pytest.mark.parametrize("name", ["uncertainty_distillation_paper", "glocal"])
def test_the_papers_settings(name, tmp_path):
  trainer = _trainer(tmp_path, name, steps=50)
  config = trainer.model.data.config
  assert config.start == "small" and config.standardise == "scalar"
  optimisation = config.optimisation
  assert optimisation.regulariser_weight == 0.1
  assert optimisation.learning_rate == 1e-3 and optimisation.clip == 1
  assert optimisation.alpha == (0.1 if name == "glocal" else 0)
  assert ("local" in trainer.trainstep.aux.losses) == (name == "glocal")
  untouched = config_files.load(name).aux
  assert untouched.batch == 256 and untouched.inner_folds == 4
  assert training_run.train(trainer).exists()


def test_losses_are_those_of_the_objective(tmp_path):
  trainer = _trainer(tmp_path, "glocal")
  rng = np.random.default_rng(0)
  s = rng.normal(size=(5, 3)).astype(np.float32)
  pi = rng.dirichlet(np.ones(3), 5).astype(np.float32)
  w, x = rng.normal(size=(2, 6, 6)).astype(np.float32)
  for name, values, expected in (
      (
          "kl",
          {"similarities": s, "targets": pi},
          0.9 * objective.divergence(s, pi).mean(),
      ),
      (
          "local",
          {"original": x, "transformed": w},
          0.1 * objective.locality(x, w, 1.0),
      ),
      (
          "regulariser",
          {"weights": w},
          0.1 * objective.regulariser(w, "identity"),
      ),
  ):
    state = trainer.train_losses[name].get_state(**values)
    np.testing.assert_allclose(state.compute(), expected, rtol=1e-6)


def test_processes_share_each_batch(tmp_path):
  source = _trainer(tmp_path, "glocal", local_batch=32).train_ds.data_source
  assert source.part == (0, 1)
  whole = source[4]
  assert whole["local"].shape == whole["original"].shape == (32, 32)
  parts = [dataclasses.replace(source, part=(i, 2))[4] for i in range(2)]
  for key, value in whole.items():
    joined = np.concatenate([part[key] for part in parts])
    np.testing.assert_array_equal(joined, value)
  assert (source[5]["triplets"] != whole["triplets"]).any()
  with pytest.raises(AlignetError, match="batch of 64 .* 3 processes"):
    dataclasses.replace(source, part=(0, 3))[4]  # pylint: disable=expression-not-assigned


@pytest.mark.parametrize(
    "change, message",
    [
        ({"embedding": "V.npy"}, "embedding given without features.*cfg.aux"),
        ({"alpha": 2}, "alpha: expected 0 to 1, found 2"),
        ({"start": "zero"}, "never leave it"),
        ({"steps": 75}, "steps: expected a multiple of 50"),
    ],
)
def test_refused(tmp_path, change, message):
  with pytest.raises(AlignetError, match=message):
    training_run.train(_trainer(tmp_path / "run", **change))


def test_too_few_steps_for_the_result(tmp_path):
  trainer = _trainer(tmp_path, start="identity", steps=100, inner_folds=0)
  with pytest.raises(AlignetError, match="num_train_steps: expected at least"):
    training_run.train(trainer.replace(num_train_steps=99))


@pytest.mark.parametrize("left", ["checkpoints/ckpt_20/x", "transform.npz"])
def test_a_workdir_of_an_earlier_version_is_refused(left, tmp_path):
  path = pathlib.Path(tmp_path, left)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("")
  with pytest.raises(AlignetError, match="earlier version.*another workdir"):
    training_run.train(_trainer(tmp_path, steps=50))
  assert path.read_text() == ""
