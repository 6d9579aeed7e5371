"""Encoders: ONNX files against NumPy, models of ours against Flax."""

from alignet import models
from alignet.errors import AlignetError
from alignet.models import encoders
import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
import pytest


def network(
    path,
    *,
    shape=("n", 3, "h", "w"),
    dtype=TensorProto.FLOAT,
    inputs=("x",),
    outputs=("mean", "tokens", "map"),
):
  """An ONNX file: channel means (n, 3), pixels as tokens, the map itself."""
  axes = [2, 3] if shape[1] == 3 else [1, 2]
  nodes = [
      helper.make_node("Cast", ["x"], ["map"], to=TensorProto.FLOAT),
      helper.make_node("ReduceMean", ["map", "axes"], ["mean"], keepdims=0),
      helper.make_node("Reshape", ["map", "three"], ["flat"]),
      helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
  ]
  constants = [
      helper.make_tensor("axes", TensorProto.INT64, [2], axes),
      helper.make_tensor("three", TensorProto.INT64, [3], [0, 3, -1]),
  ]
  graph = helper.make_graph(
      nodes,
      "g",
      [helper.make_tensor_value_info(name, dtype, shape) for name in inputs],
      [
          helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
          for name in outputs
      ],
      constants,
  )
  model = helper.make_model(
      graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
  )
  onnx.save(model, path)
  return f"onnx:{path}"


@pytest.fixture
def images():
  return np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), np.uint8)


@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), ("n", "h", "w", 3)])
def test_layout_and_range(tmp_path, images, shape):
  name = network(tmp_path / "m.onnx", shape=shape, inputs=("x",))
  encoder = encoders.open(
      name, layer="mean", size=6, pixel_range="-1,1", batch_size=5
  )
  wanted = (images / 127.5 - 1).mean(axis=(1, 2))
  np.testing.assert_allclose(encoder(images), wanted, atol=1e-6)
  assert encoder.meta["layer"] == "mean" and encoder.parallel
  assert encoder.meta["model"] == "onnx:m.onnx"


def test_pool(tmp_path, images):
  name = network(tmp_path / "m.onnx")
  open_ = lambda pool: encoders.open(
      name, layer="tokens", size=6, pixel_range="0,1", pool=pool
  )
  np.testing.assert_allclose(
      open_("first")(images), images[:, 0, 0] / 255, atol=1e-6
  )
  np.testing.assert_allclose(
      open_("mean")(images), images.mean(axis=(1, 2)) / 255, atol=1e-6
  )
  with pytest.raises(AlignetError, match="one vector an image, found shape"):
    open_(None)(images)


def test_a_fixed_batch_is_padded(tmp_path, images):
  name = network(tmp_path / "m.onnx", shape=(4, 3, 6, 6))
  encoder = encoders.open(name, layer="mean", pixel_range="0,255")
  assert encoder.batch_size == 4 and encoder.size == 6
  np.testing.assert_allclose(
      encoder(images[:3]), images[:3].mean(axis=(1, 2)), rtol=1e-6
  )


def test_grey_values_as_they_are(tmp_path, images):
  name = network(tmp_path / "m.onnx", dtype=TensorProto.UINT8)
  encoder = encoders.open(name, layer="mean", size=6)
  np.testing.assert_allclose(
      encoder(images), images.mean(axis=(1, 2)), rtol=1e-6
  )
  with pytest.raises(AlignetError, match="grey values as they are"):
    encoders.open(name, layer="mean", size=6, pixel_range="0,1")


_GOOD = dict(layer="mean", size=6, pixel_range="0,1")


@pytest.mark.parametrize(
    "made, asked, message",
    [
        ({}, dict(layer="feat"), "outputs mean, tokens, map; .*found 'feat'"),
        ({}, dict(layer=None), "outputs mean, tokens, map"),
        ({}, dict(pixel_range=None), "does not say which pixel range"),
        ({}, dict(size=None), "images of any size; pass --size"),
        ({}, dict(pool="max"), "expected first or mean"),
        ({}, dict(batch_size=-1), "batch size: expected at least 1"),
        (dict(shape=("n", 3, 4, 4)), {}, "images of 4 pixels, found --size=6"),
        (dict(shape=(2, 3, 6, 6)), dict(batch_size=3), "expected 2, found 3"),
        (dict(shape=("n", 1, 6, 6)), {}, "expected one input of images"),
        (dict(inputs=("x", "input_ids")), {}, "found x, input_ids; export the"),
    ],
)
def test_what_cannot_be_used(tmp_path, made, asked, message):
  name = network(tmp_path / "m.onnx", **made)
  with pytest.raises(AlignetError, match=message):
    encoders.open(name, **{**_GOOD, **asked})


def test_no_onnx_file(tmp_path):
  with pytest.raises(AlignetError, match="does not exist"):
    encoders.open(f"onnx:{tmp_path}/m.onnx", **_GOOD)
  (tmp_path / "m.onnx").write_bytes(b"no network")
  with pytest.raises(AlignetError, match="cannot be read as an ONNX file"):
    encoders.open(f"onnx:{tmp_path}/m.onnx", **_GOOD)
  with pytest.raises(AlignetError, match="expected onnx:FILE, a .safeten"):
    encoders.open("vit", **_GOOD)


def test_a_model_of_ours(tmp_path):
  model = models.VisionModel(
      backbone=models.ViT(patch_size=4, width=8, depth=1, num_heads=2),
      triplet_dim=5,
  )
  images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
  params = jax.jit(model.init)(jax.random.key(0), jnp.asarray(images))["params"]
  path = tmp_path / "m.safetensors"
  models.save(path, model, params)
  encoder = encoders.open(str(path), layer="triplet_logits")
  assert encoder.size == 8  # From the position embedding.
  wanted = model.apply({"params": params}, images).triplet_logits
  np.testing.assert_allclose(encoder(images), wanted, rtol=1e-4, atol=1e-5)
  with pytest.raises(AlignetError, match="belongs to the model"):
    encoders.open(str(path), pixel_range="0,1")
