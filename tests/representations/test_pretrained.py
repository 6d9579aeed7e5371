import dataclasses

import alignet
from alignet import models
from alignet import transforms
from alignet.cli import main
from alignet.data import decode
from alignet.errors import AlignetError
from alignet.io import download
from alignet.models.formats import huggingface
from alignet.models.formats import weights
from alignet.models.vit import zoo
from alignet.representations import pretrained
from alignet.representations import store
import cv2
import flax
import numpy as np
import pytest
import safetensors.numpy
from tests.models.encoders import test_encoders


@pytest.fixture
def teacher(tmp_path, monkeypatch):
  """A small model under the teacher's name, and its weights in a file."""
  variant = zoo.find("so400m-siglip-webli384")
  small = dict(width=12, depth=1, num_heads=3, mlp_dim=20)
  variant = dataclasses.replace(
      variant,
      fields={**variant.fields, **small},
      patch_size=4,
      image_size=10,
  )
  monkeypatch.setattr(zoo, "ZOO", {variant.name: variant})
  rng = np.random.default_rng(0)
  flat = {
      k: rng.normal(0, 0.5, shape).astype(np.float32)
      for k, shape in weights.shapes(variant.model()).items()
  }
  path = tmp_path / "model.safetensors"
  own = {k.removeprefix("backbone/"): v for k, v in flat.items()}
  path.write_bytes(safetensors.numpy.save(huggingface.write(own)))
  return variant, flax.traverse_util.unflatten_dict(flat, sep="/"), path


def _images(n=5, side=10):
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (n, side, side + 2, 3), np.uint8)


def test_features_by_name_and_by_path(tmp_path, teacher):
  variant, params, path = teacher
  images = _images()
  resized = np.stack([decode.resize(x, 10) for x in images])
  wanted = variant.model().apply({"params": params}, resized).pre_logits
  model = alignet.load_model(variant.name, weights=path, batch_size=2)
  np.testing.assert_allclose(model(images), wanted, rtol=1e-4, atol=1e-5)
  ours = tmp_path / "ours.safetensors"
  models.save(ours, variant.model(), params)
  model = alignet.load_model(ours)
  np.testing.assert_allclose(model(images), wanted, rtol=1e-4, atol=1e-5)
  for wrong in (images[:0], images.astype(int), images[0]):
    with pytest.raises(AlignetError):
      model(wrong)


def test_with_a_transform(tmp_path, teacher):
  variant, _, path = teacher
  weights_ = np.random.default_rng(2).normal(size=(12, 4))
  transform = transforms.Transform(
      weights=weights_, bias=np.ones(4), mean=0.5, std=2.0
  )
  transforms.save(tmp_path / "t.npz", transform)
  raw = alignet.load_model(variant.name, weights=path)(_images())
  given = {"weights": path, "transform": tmp_path / "t.npz"}
  with pytest.raises(AlignetError, match="does not say .*--columns=as_given"):
    alignet.load_model(variant.name, **given)
  model = alignet.load_model(variant.name, **given, columns="as_given")
  found = model(_images())
  wanted = (raw - 0.5) / 2 @ weights_ + 1
  np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_an_onnx_file(tmp_path):
  name = test_encoders.network(tmp_path / "m.onnx")
  images = _images(3, side=6)[:, :, :6]
  given = dict(layer="tokens", size=6, pixel_range="0,1")
  found = alignet.load_model(name, pool="mean", **given)(images)
  np.testing.assert_allclose(found, images.mean(axis=(1, 2)) / 255, atol=1e-6)
  found = alignet.load_model(name, pool="first", **given)(images)
  np.testing.assert_allclose(found, images[:, 0, 0] / 255, atol=1e-6)


def test_weights_are_downloaded_once(tmp_path, teacher, monkeypatch):
  variant, _, path = teacher
  monkeypatch.setenv("ALIGNET_CACHE", str(tmp_path / "cache"))
  asked = []

  def get(url, to, **_):
    asked.append(url)
    to.write_bytes(path.read_bytes())

  monkeypatch.setattr(download, "download", get)
  for _ in range(2):
    alignet.load_model(variant.name)(_images())
  assert (
      tmp_path / "cache" / "models" / f"{variant.name}.safetensors"
  ).exists()
  (url,) = asked
  assert url.endswith(
      "google/siglip-so400m-patch14-384/resolve/main/" "model.safetensors"
  )


def test_no_hub(tmp_path, teacher, monkeypatch):
  variant, _, _ = teacher
  monkeypatch.setenv("ALIGNET_CACHE", str(tmp_path / "cache"))
  monkeypatch.setattr(pretrained, "_HUB", "http://127.0.0.1:9/{hub}")
  with pytest.raises(AlignetError, match="no connection.*--weights=FILE"):
    pretrained.fetch(variant)
  with pytest.raises(AlignetError, match="no address of .*--weights=FILE"):
    pretrained.fetch(dataclasses.replace(variant, hub=None))


def test_commands(tmp_path, teacher, capsys):
  variant, params, path = teacher
  (tmp_path / "images").mkdir()
  images = _images(3)
  for i, image in enumerate(images):
    cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), image[..., ::-1])
  out = tmp_path / "reps"
  code = main.main(
      [
          *("extract", "--quiet", f"--source=folder:{tmp_path}/images"),
          *(f"--model={variant.name}", f"--weights={path}", f"--out={out}"),
      ]
  )
  assert code == 0, capsys.readouterr().err
  resized = np.stack([decode.resize(x, 10) for x in images])
  wanted = variant.model().apply({"params": params}, resized).pre_logits
  np.testing.assert_allclose(
      store.open(out).features, wanted, rtol=1e-4, atol=1e-5
  )
  for to in ("safetensors", "huggingface"):
    folder = tmp_path / to
    code = main.main(
        [
            *("export", f"--model={variant.name}", f"--weights={path}"),
            *(f"--to={to}", f"--out={folder}", "--data=none"),
            *(() if to == "safetensors" else ("--quiet",)),
        ]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    assert bool(said.out) == (to == "safetensors")
    card = (folder / "README.md").read_text()
    assert "Base model: google/siglip-so400m-patch14-384" in card
    assert "Licence: Apache-2.0" in card and "Data: none" in card
  code = main.main(
      [
          *("export", f"--model={tmp_path}/safetensors/weights.safetensors"),
          *("--to=huggingface", f"--out={tmp_path}/again"),
      ]
  )
  assert code == 0, capsys.readouterr().err
  assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
      tmp_path / "huggingface" / "model.safetensors"
  ).read_bytes()
