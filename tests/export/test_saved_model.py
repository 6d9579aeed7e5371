"""A SavedModel computes what the model does, by the released signature."""

import dataclasses

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.export import folder
from alignet.export import saved_model
from alignet.export import serving
from alignet.models import saved_model as reader
from alignet.models.vision_model import VisionModel
from alignet.models.vit import ViT
import jax
import numpy as np
import pytest

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


def _params(model, size=(16, 24)):
  images = np.zeros((1, *size, 3), np.uint8)
  params = model.init(jax.random.key(0), images)["params"]
  # Biases and scales that matter.
  rng = np.random.default_rng(0)
  return jax.tree.map(
      lambda a: np.asarray(a) + 0.1 * rng.normal(size=a.shape), params
  )


@pytest.mark.parametrize("pool", ["map", "gap", "tok"])
def test_signature_and_values(pool, tmp_path):
  model = _model(pool)
  params = jax.tree.map(np.float32, _params(model))
  written = saved_model.write(tmp_path, model, params)
  assert written.difference < 1e-4 and "read back" in written.parity
  serve = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
  grey = np.random.default_rng(1).integers(0, 256, (5, 16, 24, 3), np.uint8)
  found = serve(images=tf.constant(grey / np.float32(255)))
  wanted = model.apply({"params": params}, grey)
  shapes = {name: tuple(value.shape) for name, value in found.items()}
  assert shapes == {
      "pre_logits": (5, 12),
      "triplet_logits": (5, 5),
      "class_logits": (5, 4),
      "i1k_logits": (5, 7),
      "layer_0": (5, 6, 12),
      "layer_1": (5, 6, 12),
  }
  for name, value in (
      ("pre_logits", wanted.pre_logits),
      ("triplet_logits", wanted.triplet_logits),
      ("class_logits", wanted.class_logits),
      ("i1k_logits", wanted.i1k_logits),
  ):
    np.testing.assert_allclose(found[name].numpy(), value, atol=1e-4)


def test_the_size_that_the_model_says(tmp_path):
  # Two pixels fill no patch, as six of So400m's 384; and positions for another.
  for i, grid in enumerate([(1, 1), (2, 2)]):
    model = dataclasses.replace(_model(grid=grid), image_size=10)
    params = jax.tree.map(np.float32, _params(model, (10, 10)))
    out = tmp_path / str(i)
    saved_model.write(out, model, params)
    assert reader.open(out).shape == (None, 10, 10)


def test_other_values_are_noticed():
  model = _model()
  params = jax.tree.map(np.float32, _params(model))
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
  params = jax.tree.map(np.float32, _params(model))
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
  params = jax.tree.map(np.float32, _params(model, size=(16, 16)))
  folder.export(tmp_path / "out", saved_model.write, model, params, title="T")
  text = (tmp_path / "out" / "README.md").read_text()
  assert "# T" in text and "6 outputs of two random" in text
  with pytest.raises(OutputExistsError):
    folder.export(tmp_path / "out", saved_model.write, model, params, title="T")


def test_without_tensorflow(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
  with pytest.raises(AlignetError, match="TensorFlow .*alignet.export"):
    saved_model.write(tmp_path, _model(), {})
