"""What the README prints runs as printed."""

import pathlib
import re

from alignet import transforms
import jax
import numpy as np

_README = pathlib.Path(__file__).parent.parent / "README.md"


def _python_examples():
  return re.findall(r"```python\n(.*?)```", _README.read_text(), re.DOTALL)


def test_example_of_a_transform(tmp_path, monkeypatch):
  code, _, _ = _python_examples()
  rng = np.random.default_rng(0)
  features = rng.normal(size=(5, 4)).astype(np.float32)
  weights = rng.normal(size=(4, 2))
  np.save(tmp_path / "features.npy", features)
  transforms.save(
      tmp_path / "transform.npz",
      transforms.Transform(weights=weights, bias=np.ones(2), mean=0.5, std=2.0),
  )
  monkeypatch.chdir(tmp_path)
  names = {}
  exec(code, names)  # pylint: disable=exec-used

  z = (features - 0.5) / 2 @ weights + 1
  s = np.array([z[0] @ z[1], z[0] @ z[2], z[1] @ z[2]])
  p = np.exp(s) / np.exp(s).sum()
  np.testing.assert_allclose(names["s"][0], s, rtol=1e-5)
  np.testing.assert_allclose(names["p"][0], p, rtol=1e-5)


def test_example_of_a_model(tmp_path, monkeypatch):
  # pylint: disable=g-import-not-at-top
  import alignet
  from alignet import models

  _, _, code = _python_examples()
  backbone = models.ViT(
      patch_size=4, width=8, depth=1, num_heads=2, grid=(2, 2)
  )
  model = models.VisionModel(backbone=backbone)
  images = np.zeros((3, 8, 8, 3), np.uint8)
  params = model.init(jax.random.key(0), images)["params"]
  models.save(tmp_path / "weights.safetensors", model, params)
  monkeypatch.chdir(tmp_path)
  names = {"alignet": alignet, "images": images}
  exec(code, names)  # pylint: disable=exec-used
  expected = model.apply({"params": params}, images).pre_logits
  np.testing.assert_allclose(names["features"], expected, atol=1e-5)


def test_files_and_folders_it_names_are_there():
  text = _README.read_text()
  named = re.findall(r"`((?:configs|docs)/[\w./]*|[A-Z]+\.\w+)`", text)
  assert len(named) > 6
  for name in named:
    assert (_README.parent / name).exists(), name


def test_commands_it_names_exist():
  from alignet.cli import main

  named = set(re.findall(r"`alignet (\w+)", _README.read_text()))
  assert named == set(main.COMMANDS)
