"""The reference curves: reproduced here, and mistakes called by their names."""

import ast
import json
import pathlib
import sys

from alignet.cli import main
from alignet.data import images as images_lib
from alignet.io import config_files
from alignet.training import doctor
from alignet.training import losses
from alignet.training import writer
from alignet.training.doctor import curves
from alignet.training.doctor import fixture
from alignet.training.doctor import mistakes
from alignet.triplets import npz
import jax
import jax.numpy as jnp
from kauldron import konfig
import numpy as np
import pytest

_KNOWN = doctor.reference()


def test_this_installation_agrees(capsys):
  assert main.main(["doctor"]) == 0
  out = capsys.readouterr().out
  assert out.count("\n") == 2 and "agrees with the reference" in out
  assert "overfits as the reference" in out


def test_the_trainers_own_step_gives_the_curve(tmp_path):
  """`student/siglip_b` on the ten batches: its model, loss, step, optimizer."""
  model, _, data = fixture.load()
  names = np.array([f"{i}.png" for i in range(len(data["images"]))])
  images_lib.write(
      tmp_path / "images",
      images_lib.ImageStore(
          images=data["images"], filenames=names, labels={}, meta={}
      ),
  )
  npz.write(
      tmp_path / "train.npz", names, data["triplets"], data["similarities"]
  )
  fields = {
      "workdir": tmp_path / "run",
      "num_train_steps": fixture.STEPS - 1,  # N steps are N + 1 updates.
      "log_metrics_every": 1,
      "aux.train": tmp_path / "train.npz",
      "aux.images": tmp_path / "images",
      "aux.weights": doctor.FOLDER / "weights.safetensors",
      "aux.batch_size": fixture.BATCH,
      "aux.num_workers": 0,
      "aux.peak": curves.PEAK,
      "train_ds.data_source.shuffle": False,
      "schedules.learning_rate.warmup_steps": 2,
      "schedules.learning_rate.decay_steps": fixture.STEPS,
      "optimizer.optimizer.decay.num_steps": fixture.STEPS,
      "model.triplet_dim": model.triplet_dim,
      **{
          f"model.backbone.{key}": getattr(model.backbone, key)
          for key in (
              *("patch_size", "grid", "width", "depth", "num_heads", "mlp_dim"),
          )
      },
  }
  cfg = config_files.load(
      "student/siglip_b", [f"{key}={value}" for key, value in fields.items()]
  )
  cfg.evals, cfg.checkpointer = {}, None
  konfig.resolve(cfg).train()
  scalars = writer.read_scalars(tmp_path / "run" / "scalars" / "train.jsonl")
  verdict = doctor.check(list(scalars["losses/jsd"].values()))
  assert verdict.agrees, verdict.text
  # And the shorter loss of the curves is the trainer's.
  z = jnp.asarray(np.random.default_rng(0).normal(0, 9, (8, 3, 4)))
  s = jnp.asarray(data["similarities"][:8])
  np.testing.assert_array_equal(
      losses.JSD().get_values(embeddings=z, similarities=s), curves.jsd(z, s)
  )


def test_shipped_files_are_those_of_the_seed():
  model, params, data = fixture.load()
  assert model == fixture.model()
  jax.tree.map(np.testing.assert_array_equal, params, fixture.draw_weights())
  drawn = fixture.draw_data()
  assert set(data) == set(drawn)
  for key, value in drawn.items():
    np.testing.assert_array_equal(data[key], value)
  assert set(_KNOWN["mistakes"]) == set(mistakes.MISTAKES)
  names = ("weights.safetensors", "data.npz", "reference.json")
  sizes = [(doctor.FOLDER / name).stat().st_size for name in names]
  assert sum(sizes) < 300_000


def test_data_are_as_documented():
  _, _, data = fixture.load()
  s = data["similarities"]
  assert (s[:, 0] > s[:, 1:].max(axis=1)).all() and s.min() > 0
  # The nearest pair in colour is more often than not the teacher's.
  x = data["images"].reshape(len(data["images"]), -1).astype(float)
  a, b, c = (x[data["triplets"][:, i]] for i in range(3))
  near = lambda p, q: np.linalg.norm(p - q, axis=1)
  right = near(a, b) < np.minimum(near(a, c), near(b, c))
  assert 0.4 < right.mean() < 0.99


@pytest.mark.parametrize("name", _KNOWN["mistakes"])
def test_each_mistake_is_named_despite_rounding(name):
  mistake = _KNOWN["mistakes"][name]
  rng = np.random.default_rng(0)
  noisy = lambda x: np.array(x) * np.exp(2e-4 * rng.normal(size=len(x)))
  losses, norms = noisy(mistake["losses"]), noisy(mistake["gradient_norms"])
  verdict = doctor.check(losses, norms)
  assert not verdict.agrees and verdict.mistake == name
  assert mistake["sentence"] in verdict.text
  # The loss alone never accuses of another mistake.
  verdict = doctor.check(losses)
  assert not verdict.agrees and verdict.mistake in (name, None)


def test_mistakes_are_further_apart_than_tolerances():
  """So that none is taken for another, or for right."""
  curve = lambda x: np.log(np.array(x["losses"] + x["gradient_norms"]) + 1e-12)
  rows = [curve(x) for x in (_KNOWN["curve"], *_KNOWN["mistakes"].values())]
  for i, row in enumerate(rows):
    for other in rows[:i]:
      assert np.abs(row - other).max() > 3 * max(
          _KNOWN["tolerance"][k] for k in ("losses", "gradient_norms")
      )


def test_noise_alone_is_no_mistake():
  right = _KNOWN["curve"]
  for steps in (1, 4, 10):
    verdict = doctor.check(
        np.array(right["losses"][:steps]) * 1.0005,
        np.array(right["gradient_norms"][:steps]) * 0.998,
    )
    assert verdict.agrees and verdict.mistake is None
  assert doctor.check(right["losses"]).agrees


def test_unknown_differences_say_where_to_look():
  losses = np.array(_KNOWN["curve"]["losses"])
  norms = np.array(_KNOWN["curve"]["gradient_norms"])
  scaled = doctor.check(7.3 * losses, 7.3 * norms)
  assert scaled.mistake is None and "7.3 times the reference" in scaled.text
  late = np.where(np.arange(10) < 6, 1, 1.5)
  verdict = doctor.check(losses * late, norms * late)
  assert verdict.step == 6 and "look at the optimizer" in verdict.text
  verdict = doctor.check(losses, 4.1 * norms)
  assert verdict.step == 0 and "its gradient does not" in verdict.text
  odd = np.linspace(1.7, 0.6, 10)
  verdict = doctor.check(losses * odd, norms * odd[::-1])
  assert "very first loss differs" in verdict.text


def test_what_is_not_finite():
  losses = list(_KNOWN["curve"]["losses"])
  losses[3] = float("nan")
  verdict = doctor.check(losses)
  assert not verdict.agrees and verdict.step == 3 and "nan" in verdict.text


def test_overfit_verdicts():
  right = np.array(_KNOWN["overfit"]["losses"])
  assert right[-1] < 0.2 * right[0]
  assert doctor.check_overfit(right * 1.05).agrees
  chance = doctor.check_overfit(np.full(len(right), right[0]))
  assert not chance.agrees and "does not learn" in chance.text
  assert "otherwise" in doctor.check_overfit(np.sqrt(right * right[0])).text
  assert "finite" in doctor.check_overfit(right * np.nan).text
  with pytest.raises(ValueError, match="one a pass"):
    doctor.check_overfit(right[:3])


def test_a_new_mistake_is_run_and_named():
  """From a training, not from the stored curve."""
  port = curves.Port(loss=lambda z, s: curves.jsd(z[..., ::-1, :], s))
  found = curves.run(port)
  verdict = doctor.check(found["losses"], found["gradient_norms"])
  assert verdict.mistake == "pairs_reversed"


def test_command(tmp_path, capsys):
  path = tmp_path / "curve.json"
  path.write_text(json.dumps(_KNOWN["mistakes"]["tau_missing"]))
  assert main.main(["doctor", f"--check={path}"]) == 1
  assert "not divided by tau" in capsys.readouterr().out
  path.write_text(json.dumps(_KNOWN["curve"]))
  assert main.main(["doctor", f"--check={path}"]) == 0
  for text, message in (
      ("[]", "expected a JSON object"),
      ('{"losses": [1, "x"]}', "expected a valid number"),
      ('{"losses": []}', "one to 10 losses"),
      ('{"losses": [1], "gradient_norms": [1, 2]}', "1 and 2"),
      ('{"overfit": [1]}', "expected 30 losses"),
  ):
    path.write_text(text)
    assert main.main(["doctor", f"--check={path}"]) == 2
    assert message in capsys.readouterr().err
  out = tmp_path / "files"
  assert main.main(["doctor", f"--write={out}"]) == 0
  assert {p.name for p in out.iterdir()} == {
      "weights.safetensors",
      "data.npz",
      "reference.json",
  }
  capsys.readouterr()
  assert main.main(["doctor", f"--write={out}"]) == 2


def test_checking_needs_numpy_alone():
  package = pathlib.Path(doctor.__file__).parent
  for name in ("__init__.py", "check.py"):
    tree = ast.parse((package / name).read_text())
    for node in tree.body:
      if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
      elif isinstance(node, ast.ImportFrom):
        modules = [node.module]
      else:
        continue
      for module in modules:
        known = module.partition(".")[0] in sys.stdlib_module_names
        assert known or module in (
            "numpy",
            "alignet.training.doctor.check",
        ), module
