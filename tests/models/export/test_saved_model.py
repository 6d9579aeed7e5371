"""A SavedModel computes what the model does, by the released signature."""

import dataclasses
import shutil

import alignet
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.models.export import folder
from alignet.models.export import saved_model
from alignet.models.export import serving
from alignet.models.formats import saved_model as reader
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vit import ViT
import jax
import numpy as np
import pytest
from tests.models.export import drawn

tf = pytest.importorskip("tensorflow", reason="SavedModels are TensorFlow's")


def _model(pool="map", **fields):
  backbone = ViT(
      patch_size=8,
      width=12,
      depth=2,
      num_heads=3,
      pool=pool,
      **{"grid": (2, 3), **fields},
  )
  return VisionModel(
      backbone=backbone,
      pixel_range=(-1.0, 1.0),
      triplet_dim=5,
      num_classes=4,
      i1k_classes=7,
  )


@pytest.mark.parametrize("pool", ["map", "gap", "tok"])
def test_signature_and_values(pool, tmp_path):
  _check(_model(pool), tmp_path, d=12, patches=6, heads=(5, 4, 7))


def test_full_width(tmp_path):
  model = drawn.full_width().clone(num_classes=4)
  _check(model, tmp_path, d=768, patches=196, heads=(1024, 4, 1000))
  shutil.rmtree(tmp_path)  # Two hundred megabytes, which pytest keeps.


def _check(model, path, *, d, patches, heads):
  params = drawn.params(model)
  written = saved_model.write(path, model, params)
  assert written.difference < 1e-4 and "read back" in written.parity
  serve = tf.saved_model.load(str(path)).signatures["serving_default"]
  grey = drawn.grey(model)
  found = serve(images=tf.constant(grey / np.float32(255)))
  wanted = model.apply({"params": params}, grey)
  assert {name: tuple(value.shape) for name, value in found.items()} == {
      "pre_logits": (5, d),
      "triplet_logits": (5, heads[0]),
      "class_logits": (5, heads[1]),
      "i1k_logits": (5, heads[2]),
      "layer_0": (5, patches, d),
      "layer_1": (5, patches, d),
  }
  for name in model.outputs:
    drawn.assert_near(found[name].numpy(), getattr(wanted, name))


def test_the_command(tmp_path):
  weights = drawn.trained(tmp_path / "weights.safetensors")
  out = tmp_path / "out"
  arguments = [f"--model={weights}", "--to=saved_model", f"--out={out}"]
  assert main.main(["export", *arguments]) == 0
  assert "read back after writing" in (out / "README.md").read_text()
  encode = alignet.load_model(f"saved_model:{out}")
  assert encode.encoder.size == 10
  images = np.random.default_rng(2).integers(0, 256, (3, 10, 10, 3), np.uint8)
  drawn.assert_near(encode(images), alignet.load_model(weights)(images))


def test_the_size_that_the_model_says(tmp_path):
  # Two pixels fill no patch, as six of So400m's 384; and positions for another.
  for i, grid in enumerate([(1, 1), (2, 2)]):
    model = dataclasses.replace(_model(grid=grid), image_size=10)
    params = drawn.params(model)
    out = tmp_path / str(i)
    saved_model.write(out, model, params)
    assert reader.open(out).shape == (None, 10, 10)


def test_other_values_are_noticed():
  model = _model()
  params = drawn.params(model)
  serve = jax.jit(serving.function(model))

  def worse(images):
    found = dict(serve(params, images))
    found["layer_1"] = found["layer_1"] + 0.01
    return found

  with pytest.raises(
      AlignetError, match="gives other values of layer_1: 0.01 away"
  ):
    serving.check(model, params, worse)
  with pytest.raises(AlignetError, match="lacks class_logits"):
    serving.check(
        model, params, lambda x: {"pre_logits": serve(params, x)["pre_logits"]}
    )


@pytest.mark.parametrize("factor", [1e-2, 0.0])
def test_a_small_output_is_compared_with_its_own_size(factor):
  model = _model()
  params = drawn.params(model)
  head = params["triplet_head"]
  params["triplet_head"] = jax.tree.map(lambda a: a * factor, head)
  serve = jax.jit(serving.function(model, layers=False))
  exact = lambda images: serve(params, images)
  assert serving.check(model, params, exact, layers=False)[0] == 0

  def worse(images):
    found = dict(exact(images))
    found["triplet_logits"] = found["triplet_logits"] + 2e-5
    return found

  with pytest.raises(AlignetError, match="values of triplet_logits: 2e-05"):
    serving.check(model, params, worse, layers=False)


def test_a_folder_with_a_card(tmp_path):
  model = _model(grid=None)
  params = drawn.params(_model(grid=(2, 2)))
  folder.export(tmp_path / "out", saved_model.write, model, params, title="T")
  text = (tmp_path / "out" / "README.md").read_text()
  assert "# T" in text and "6 outputs of two random" in text
  with pytest.raises(OutputExistsError):
    folder.export(tmp_path / "out", saved_model.write, model, params, title="T")


def test_without_tensorflow(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
  with pytest.raises(AlignetError, match="TensorFlow .*alignet.export"):
    saved_model.write(tmp_path, _model(), {})
