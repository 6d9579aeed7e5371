"""SavedModels in AligNet's released layout, written here; none is to be had."""

import dataclasses
import shutil

from alignet import models
from alignet.errors import AlignetError
from alignet.models.encoders import encoders
from alignet.models.export import saved_model as export
from alignet.models.export import serving
from alignet.models.formats import saved_model
from alignet.models.formats import weights
from alignet.models.vit import zoo
import flax
import jax
import jax.numpy as jnp
from kauldron import kd
import numpy as np
import pytest
from tests.models import numpy_vit

tf = pytest.importorskip("tensorflow", reason="SavedModels are TensorFlow's")
jax2tf = pytest.importorskip("jax.experimental.jax2tf")

_SMALL = dict(width=12, depth=2, num_heads=3, mlp_dim=20)


def _variant(name="siglip-b16", **changes):
  variant = zoo.find(name)
  return dataclasses.replace(
      variant,
      fields={**variant.fields, **_SMALL, **changes},
      patch_size=4,
      image_size=8,
  )


def _model(**fields):
  return _variant(**fields).model(triplet_dim=5).clone(i1k_classes=7)


def _params(model, seed=0):
  """Flat, drawn large enough for activations and norms to matter."""
  rng = np.random.default_rng(seed)
  return {
      name: rng.normal(0, 0.5, shape).astype(np.float32)
      for name, shape in weights.shapes(model).items()
  }


def _tree(flat):
  return flax.traverse_util.unflatten_dict(flat, sep="/")


def _variables(tree):
  return tf.nest.map_structure(tf.Variable, tree)


def _save(path, module, model, params):
  """A SavedModel with variables of a module and the function of a model."""
  call = jax2tf.convert(
      serving.function(model),
      polymorphic_shapes=(None, "(b, 8, 8, 3)"),
      with_gradient=False,
  )
  constants = jax.tree.map(tf.constant, params)
  module.serve = tf.function(
      lambda images: call(constants, images),
      input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, "images")],
      autograph=False,
  )
  signatures = {"serving_default": module.serve}
  tf.saved_model.save(module, str(path), signatures=signatures)
  return path


def _released(path, model, flat, name=lambda ours: ours):
  """The released tree: model/_Model_0/…, triplet_head, i1k_head."""
  module = tf.Module()
  tree = _tree({name(k): v for k, v in flat.items()})
  module.model = _variables({"_Model_0": tree["backbone"]})
  module.triplet_head = _variables(tree["triplet_head"])
  module.i1k_head = _variables(tree["i1k_head"])
  return _save(path, module, model, _tree(flat))


@pytest.fixture(scope="module")
def released(tmp_path_factory):
  """A released student: pixels from 0 to 1, whatever its base model has."""
  model = _model().clone(pixel_range=(0.0, 1.0))
  flat = _params(model)
  path = tmp_path_factory.mktemp("released") / "SigLIP-B-alignet"
  return _released(path, model, flat), model, flat


@pytest.fixture
def images():
  return np.random.default_rng(3).integers(0, 256, (3, 8, 8, 3), np.uint8)


def test_weights_of_the_released_layout(released, images):
  path, wanted, flat = released
  model, params = weights.load(path, _variant())
  assert model == wanted  # Both heads, and the released pixel range.
  found = flax.traverse_util.flatten_dict(params, sep="/")
  assert found.keys() == flat.keys()
  for name, value in flat.items():
    np.testing.assert_array_equal(found[name], value)
    assert found[name].dtype == np.float32
  out = model.apply({"params": params}, images)
  pre, _ = numpy_vit.forward(images[1] / 255, _tree(flat), model.backbone)
  assert np.abs(out.pre_logits[1] - pre).max() / np.abs(pre).max() < 1e-5
  centred = pre - pre.mean()
  x = centred / np.sqrt((centred**2).mean() + 1e-6)
  x = x * flat["i1k_head/norm/scale"] + flat["i1k_head/norm/bias"]
  x = x @ flat["i1k_head/dense/kernel"] + flat["i1k_head/dense/bias"]
  np.testing.assert_allclose(out.i1k_logits[1], x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name, other",
    [
        # As big_vision has class tokens, and computes.
        ("vit-b16", dict(class_position=False)),
        ("vit-b16", {}),
        ("dinov1-b16", dict(class_position=False)),
        ("dinov2-b14", {}),
        ("clip-b16", dict(activation="quick_gelu", norm_epsilon=1e-5)),
        ("cappa-b16", {}),
    ],
)
def test_other_models_in_the_released_layout(tmp_path, images, name, other):
  # Made for images of 8 pixels, the model named for 16.
  tanh = dict(activation="gelu_tanh", norm_epsilon=1e-6, resampling="bilinear")
  model = _model(name=name, **{**tanh, **other})
  model = model.clone(pixel_range=(0.0, 1.0), image_size=8)
  flat = _params(model)
  _released(tmp_path, model, flat)
  named = dataclasses.replace(_variant(name), image_size=16)
  found, params = weights.load(tmp_path, named)
  if name == "clip-b16":
    model = model.clone(backbone=model.backbone.clone(resampling="bicubic"))
  assert found == model
  assert named.vit().grid == (4, 4) and found.backbone.grid == (2, 2)
  out = found.apply({"params": params}, images)
  pre, _ = numpy_vit.forward(images[1] / 255, _tree(flat), model.backbone)
  assert np.abs(out.pre_logits[1] - pre).max() / np.abs(pre).max() < 1e-5


def test_what_we_write_is_read_back(tmp_path, images):
  model = _model()
  flat = _params(model)
  export.write(tmp_path, model, _tree(flat))
  found, params = weights.load(tmp_path, _variant())
  assert found == model  # Here the model's own pixel range.
  wanted = model.apply({"params": _tree(flat)}, images)
  again = found.apply({"params": params}, images)
  for a, b in zip(jax.tree.leaves(wanted), jax.tree.leaves(again), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
  shutil.rmtree(tmp_path / "variables")
  with pytest.raises(AlignetError, match="get the whole folder"):
    weights.load(tmp_path, _variant())


def test_a_training_starts_from_one(released):
  path, model, flat = released
  tree = _tree({k: np.zeros_like(v) for k, v in flat.items()})
  state = kd.train.TrainState(
      step=jnp.asarray(0),
      params=jax.tree.map(jnp.asarray, tree),
      opt_state=None,
      collections={},
  )
  state = models.InitFromWeights(path=str(path)).transform(state)
  found = flax.traverse_util.flatten_dict(state.params, sep="/")
  for name, value in flat.items():
    np.testing.assert_array_equal(found[name], value)


def _flat_names(tree):
  """A tree as one dict, which TensorFlow escapes: {"a/b": value}."""
  return {"params/" + k: tf.Variable(v) for k, v in tree.items()}


def _listed(tree):
  """A tree as a list: only the variables' own names say what they are."""
  return [tf.Variable(v, name=f"x/{k}") for k, v in tree.items()]


@pytest.mark.parametrize("keep", [_flat_names, _listed])
def test_other_ways_of_naming(tmp_path, keep):
  model = _model()
  flat = _params(model)
  module = tf.Module()
  upstream = {
      k.replace("backbone/", "model/_Model_0/"): v for k, v in flat.items()
  }
  module.tree = keep(upstream)
  module.serve = tf.function(
      lambda images: {"pre_logits": images},
      input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, "images")],
  )
  tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
  found = weights.read(tmp_path, weights.shapes(model))
  assert found.keys() == flat.keys()
  for name, value in flat.items():
    np.testing.assert_array_equal(found[name], value)


def _fails(path, variant, *parts):
  with pytest.raises(AlignetError) as error:
    weights.load(path, variant)
  message = str(error.value)
  assert "\n" not in message and str(path) in message
  for part in parts:
    assert part in message, message


def test_what_does_not_fit_is_told(released, tmp_path):
  path, model, flat = released
  _fails(path, None, "does not describe its model")
  _fails(
      path,
      _variant(depth=3, width=24),
      "missing 16 (backbone/Transformer/encoderblock_2/",
      "of another shape",
      "bias: model (24,), file (12,)",
  )
  _fails(path, _variant("vit-b16"), "unexpected 15 (backbone/MAPHead_0/")
  _fails(
      path,
      _variant(final_norm="after_pool"),
      "computes something else",
      "with pixels in (-1.0, 1.0) and gelu_tanh",
      "with pixels in (0.0, 1.0) and gelu_tanh",
      f"--model=saved_model:{path}",
  )
  half = tmp_path / "half"
  bfloat = {k: jnp.asarray(v, jnp.bfloat16) for k, v in flat.items()}
  _released(half, model, bfloat)
  _fails(half, _variant(), "half precision", "bfloat16")


def test_a_tree_of_something_else(tmp_path):
  module = tf.Module()
  module.dense = tf.Variable([1.0])
  module.serve = tf.function(
      lambda x: {"y": x * module.dense},
      input_signature=[tf.TensorSpec((None, 1), tf.float32, "x")],
  )
  tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
  _fails(tmp_path, _variant(), "no parameters known here", "found dense;")
  with pytest.raises(AlignetError, match=r"images \(n, h, w, 3\), found x fl"):
    encoders.open(f"saved_model:{tmp_path}")


def test_damaged_files(released, tmp_path):
  path = shutil.copytree(released[0], tmp_path / "copy")
  (data,) = (path / "variables").glob("*.data*")
  data.write_bytes(data.read_bytes()[:-100])
  _fails(path, _variant(), "damaged")
  with pytest.raises(AlignetError, match="damaged"):
    saved_model.open(path)
  (path / "saved_model.pb").write_bytes(b"nothing")
  with pytest.raises(AlignetError, match="damaged"):
    saved_model.open(path)
  with pytest.raises(AlignetError, match="does not exist"):
    saved_model.open(tmp_path / "nothing")
  with pytest.raises(AlignetError, match="no SavedModel: expected a folder"):
    saved_model.open(tmp_path)


def test_without_tensorflow(released, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
  with pytest.raises(AlignetError, match=r"pip install 'alignet.export"):
    weights.load(released[0], _variant())


def test_an_encoder_of_any_output(released, images):
  path, model, flat = released
  name = f"saved_model:{path}/"
  _, sown = model.apply(
      {"params": _tree(flat)}, images, mutable=["intermediates"]
  )
  out = model.apply({"params": _tree(flat)}, images)
  encoder = encoders.open(name)
  assert encoder.size == 8 and not encoder.parallel
  np.testing.assert_allclose(encoder(images), out.pre_logits, atol=1e-4)
  encoder = encoders.open(name, layer="i1k_logits", batch_size=3)
  np.testing.assert_allclose(encoder(images), out.i1k_logits, atol=1e-4)
  attention = sown["intermediates"]["backbone"]["attention_1"]
  for pool, wanted in (
      ("mean", attention.mean(axis=1)),
      ("first", attention[:, 0]),
  ):
    encoder = encoders.open(name, layer="layer_1", pool=pool)
    np.testing.assert_allclose(encoder(images), wanted, atol=1e-4)
  meta = encoder.meta
  assert meta == {
      "model": "saved_model:SigLIP-B-alignet",
      "weights_sha256": meta["weights_sha256"],
      "layer": "layer_1",
      "pixel_range": "0,1",
      "pool": "first",
  }
  wider = encoders.open(name, pixel_range="-1,3")
  assert np.abs(wider(images) - out.pre_logits).max() > 0.01
  with pytest.raises(AlignetError, match="outputs .*pre_logits.*'feat'"):
    encoders.open(name, layer="feat")
  with pytest.raises(AlignetError, match="images of 8 pixels, found --size=9"):
    encoders.open(name, size=9)
  with pytest.raises(AlignetError, match="expected one vector an image"):
    encoders.open(name, layer="layer_0")(images)


def test_a_digest_is_of_graph_and_variables(released, tmp_path):
  path = shutil.copytree(released[0], tmp_path / "copy")
  digest = saved_model.sha256(path)
  assert digest == saved_model.sha256(released[0]) and len(digest) == 64
  (data,) = (path / "variables").glob("*.data*")
  content = bytearray(data.read_bytes())
  content[10] ^= 1
  data.write_bytes(content)
  assert saved_model.sha256(path) != digest
  shutil.rmtree(path / "variables")  # As of a graph of constants.
  assert saved_model.sha256(path) != digest


def test_a_fixed_batch_and_a_free_size(tmp_path, images):
  class Mean(tf.Module):

    @tf.function(
        input_signature=[tf.TensorSpec((4, None, None, 3), tf.float32, "x")]
    )
    def serve(self, x):
      return {"mean": tf.reduce_mean(x, axis=(1, 2))}

  module = Mean()
  tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
  name = f"saved_model:{tmp_path}"
  encoder = encoders.open(name, size=8, pixel_range="-1,1")
  assert encoder.batch_size == 4
  wanted = (images / 127.5 - 1).mean(axis=(1, 2))
  np.testing.assert_allclose(encoder(images), wanted, atol=1e-6)
  with pytest.raises(AlignetError, match="pass --size"):
    encoders.open(name, pixel_range="-1,1")
  with pytest.raises(AlignetError, match="does not say which pixel range"):
    encoders.open(name, size=8)
  with pytest.raises(AlignetError, match="batch size: expected 4, found 3"):
    encoders.open(name, size=8, pixel_range="-1,1", batch_size=3)
