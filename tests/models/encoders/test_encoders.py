"""Encoders: ONNX files against NumPy, models of ours against Flax."""

import dataclasses
import shutil

from alignet import models
from alignet.data import image_folder
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.models.encoders import encoders
from alignet.models.encoders import onnx_encoder
from alignet.models.formats import huggingface
from alignet.models.formats import weights
from alignet.models.vit import blocks
from alignet.models.vit import zoo
from alignet.representations import extract
import cv2
import flax
import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
import pytest
import safetensors.numpy
from tests.models import numpy_vit


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
        ({}, dict(pool="max"), "expected one of first, mean"),
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
  with pytest.raises(AlignetError, match="expected onnx:FILE, saved_model:"):
    encoders.open("vit", **_GOOD)


@pytest.fixture
def variant(monkeypatch):
  """A small model under a published name."""
  found = zoo.find("vit-ti16")
  small = dict(width=12, depth=1, num_heads=3, mlp_dim=20)
  found = dataclasses.replace(
      found, fields={**found.fields, **small}, patch_size=4, image_size=8
  )
  monkeypatch.setattr(zoo, "ZOO", {found.name: found})
  return found


def _folder(path, variant, seed):
  """Weights as transformers lays them out in a folder."""
  rng = np.random.default_rng(seed)
  own = {
      k.removeprefix("backbone/"): rng.normal(size=shape).astype(np.float32)
      for k, shape in weights.shapes(variant.model()).items()
  }
  path.mkdir()
  file = path / "model.safetensors"
  file.write_bytes(safetensors.numpy.save(huggingface.write(own)))
  return path


def test_folders_of_other_weights_are_not_mixed(tmp_path, variant):
  (tmp_path / "images").mkdir()
  for i in range(3):
    image = np.full((8, 8, 3), 40 * i, np.uint8)
    cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), image)
  source = image_folder.FolderSource(tmp_path / "images")
  a, b = (_folder(tmp_path / name, variant, i) for i, name in enumerate("ab"))

  def run(folder, out, **settings):
    encoder = encoders.open(variant.name, weights=folder)
    return extract.to_directory(
        source, encoder, tmp_path / out, shard_size=2, **settings
    )

  run(a, "whole")
  shutil.copytree(a, tmp_path / "moved")
  assert run(tmp_path / "moved", "whole").extracted == 0  # The same weights.
  with pytest.raises(OutputExistsError, match="other settings"):
    run(b, "whole")
  run(a, "part", part=(0, 4))
  with pytest.raises(AlignetError, match=r"\(other weights_sha256\)"):
    run(b, "part")


def test_a_digest_is_of_names_shapes_and_values():
  model = models.VisionModel(
      backbone=models.ViT(patch_size=4, width=8, depth=1, num_heads=2)
  )
  trees = [
      {"a": {"b": np.arange(4.0)}},
      {"a": {"c": np.arange(4.0)}},
      {"a": {"b": np.arange(4.0).reshape(2, 2)}},
      {"a": {"b": np.arange(4.0) + 1e-9}},
      {"a": {"b": np.arange(4.0, dtype=np.float32)}},
  ]
  make = lambda tree: encoders.FlaxEncoder(model, tree, size=8, batch_size=1)
  digests = [make(tree).meta["weights_sha256"] for tree in trees]
  assert len(set(digests)) == len(trees) and set(map(len, digests)) == {64}
  order = [
      {"a": np.ones(2), "b": np.ones(1)},
      {"b": np.ones(1), "a": np.ones(2)},
  ]
  assert len({make(tree).meta["weights_sha256"] for tree in order}) == 1


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


@pytest.mark.parametrize(
    "grid, image_size, wanted",
    [((2, 2), 10, 10), ((2, 3), 8, 8), (None, 0, 12)],
)
def test_the_size_of_images(make_model, grid, image_size, wanted):
  model, params = make_model("tok", image_size=image_size)
  model = model.clone(backbone=model.backbone.clone(grid=grid))
  params["backbone"]["pos_embedding"] = np.zeros((1, 9, 12), np.float32)
  assert encoders.FlaxEncoder(model, params).size == wanted


def test_no_square_and_no_size(make_model):
  model, params = make_model("map")  # Of 2 x 3 patches, which it does not say.
  with pytest.raises(AlignetError, match="6 positions are no square grid"):
    encoders.FlaxEncoder(model, params)
  model = model.clone(backbone=model.backbone.clone(grid=(2, 3)))
  with pytest.raises(AlignetError, match="8 x 12 pixels, which are no square"):
    encoders.FlaxEncoder(model, params)


@pytest.mark.parametrize("model", ["onnx:m.onnx", "saved_model:m"])
@pytest.mark.parametrize("given", [{"weights": "w"}, {"allow_half": True}])
def test_weights_that_would_not_be_used(model, given):
  with pytest.raises(AlignetError, match="the weights it holds; leave out --"):
    encoders.open(model, **given)


@pytest.mark.parametrize("pool", ["map", "tok"])
@pytest.mark.parametrize("scan", [False, True])
def test_layers_of_a_model_of_ours(make_model, pool, scan):
  model, params = make_model(pool)
  backbone = model.backbone.clone(grid=(2, 2), scan=scan)
  model = model.clone(backbone=backbone)
  images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
  params["backbone"]["pos_embedding"] = params["backbone"]["pos_embedding"][
      :, :4
  ]
  _, wanted = numpy_vit.forward(
      images[1] / 255, params, backbone.clone(scan=False)
  )
  if scan:
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    params = flax.traverse_util.unflatten_dict(blocks.stack(flat), sep="/")
  encode = lambda **how: encoders.FlaxEncoder(
      model, params, batch_size=4, **how
  )
  patches = slice(1 if pool == "tok" else 0, None)
  for k, (residual, attention) in enumerate(wanted):
    for name, value in (("layer", residual), ("attention", attention)):
      encoder = encode(layer=f"{name}_{k}")
      found = encoder(images)
      assert found.shape == (3, 12) and found.dtype == np.float32
      mean = value[patches].mean(axis=0)
      np.testing.assert_allclose(found[1], mean, rtol=1e-3, atol=1e-4)
      assert encoder.meta["layer"] == f"{name}_{k}"
      assert encoder.meta["pool"] == "mean"
  if pool == "tok":
    encoder = encode(layer="layer_0", pool="first")
    np.testing.assert_allclose(
        encoder(images)[1], wanted[0][0][0], rtol=1e-3, atol=1e-4
    )
    assert encoder.meta["pool"] == "first"
  else:
    with pytest.raises(AlignetError, match="has no class token"):
      encode(layer="layer_0", pool="first")
  assert "pool" not in encode().meta
  for layer in ("layer_2", "layer_01", "tokens", "i1k_logits"):
    with pytest.raises(AlignetError, match=f"no {layer}; .*k below 2"):
      encode(layer=layer)
  with pytest.raises(AlignetError, match="leave out --pool=mean"):
    encode(pool="mean")
  with pytest.raises(AlignetError, match="expected one of first, mean"):
    encode(layer="layer_0", pool="max")


def test_external_weights_are_part_of_the_digest(tmp_path):
  network(tmp_path / "m.onnx")
  plain = onnx_encoder._sha256(tmp_path / "m.onnx")
  assert plain == files.sha256(tmp_path / "m.onnx")
  # As protobuf writes an entry of a tensor's external_data.
  entry = b"\x0a\x08location\x12\x05w.bin"
  (tmp_path / "e.onnx").write_bytes((tmp_path / "m.onnx").read_bytes() + entry)
  found = []
  for content in (b"one", b"two", b"one"):
    (tmp_path / "w.bin").write_bytes(content)
    found.append(onnx_encoder._sha256(tmp_path / "e.onnx"))
  assert found[0] == found[2] != found[1]
