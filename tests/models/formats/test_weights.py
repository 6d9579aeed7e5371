"""Weights of every format, and each way a file can be wrong."""

import dataclasses
import pickle
import re
import shutil

from alignet import models
from alignet.errors import AlignetError
from alignet.models.formats import huggingface
from alignet.models.formats import weights
from alignet.models.vit import blocks
from alignet.models.vit import zoo
import flax
import jax
import jax.numpy as jnp
from kauldron import kd
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
import safetensors.numpy
from tests.models import numpy_vit

_SMALL = dict(width=12, depth=2, num_heads=3, mlp_dim=20)
_NAMES = ("siglip-b16", "clip-b16", "vit-b16", "dinov2-b14", "cappa-b16")


def _variant(name, **changes):
  variant = zoo.find(name)
  return dataclasses.replace(
      variant,
      fields={**variant.fields, **_SMALL, **changes},
      patch_size=4,
      image_size=8,
  )


def _params(variant, seed=0):
  """Flat parameters of the backbone."""
  rng = np.random.default_rng(seed)
  return {
      name.removeprefix("backbone/"): rng.normal(0, 0.5, shape).astype("f4")
      for name, shape in weights.shapes(variant.model()).items()
  }


def _tree(flat):
  return {"backbone": flax.traverse_util.unflatten_dict(flat, sep="/")}


def _write(path, tensors):
  tensors = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
  path.write_bytes(safetensors.numpy.save(tensors))
  return path


def _huggingface(path, variant, change=lambda tensors: tensors):
  return _write(path, change(huggingface.write(_params(variant))))


def _assert_loaded(path, variant, wanted, **fields):
  model, found = weights.load(path, variant)
  found = flax.traverse_util.flatten_dict(found["backbone"], sep="/")
  assert found.keys() == wanted.keys()
  for name, value in wanted.items():
    np.testing.assert_array_equal(found[name], value)
    assert found[name].dtype == np.float32
  assert model == variant.model(**fields)


@pytest.mark.parametrize("name", _NAMES[:-1])
def test_huggingface_names_there_and_back(tmp_path, name):
  variant = _variant(name)
  path = _huggingface(tmp_path / "model.safetensors", variant)
  _assert_loaded(path, variant, _params(variant))
  _assert_loaded(tmp_path, variant, _params(variant))  # The folder.


def test_towers_and_heads_that_are_not_needed(tmp_path):
  variant = _variant("siglip-b16")
  more = {"text_model.x": np.ones(2, "f4"), "logit_scale": np.ones(1, "f4")}
  path = _huggingface(tmp_path / "w", variant, lambda t: t | more)
  _assert_loaded(path, variant, _params(variant))
  variant = _variant("vit-b16")
  path = _huggingface(
      tmp_path / "w",
      variant,
      lambda t: {"vit." + k: v for k, v in t.items()}
      | {"classifier.weight": np.ones((3, 12), "f4")},
  )
  _assert_loaded(path, variant, _params(variant))


def test_a_layout_spelled_out():
  """One matrix of each kind, by what transformers' modules compute."""
  variant = _variant("siglip-b16")
  flat = _params(variant)
  tensors = huggingface.write(flat)
  x = np.random.default_rng(1).normal(size=12)
  block = "Transformer/encoderblock_1/MultiHeadDotProductAttention_0"
  layer = "vision_model.encoder.layers.1.self_attn"
  for ours, theirs in (("query", "q_proj"), ("key", "k_proj")):
    wanted = np.einsum("d,dhe->he", x, flat[f"{block}/{ours}/kernel"]).ravel()
    found = tensors[f"{layer}.{theirs}.weight"] @ x
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
  wanted = np.einsum("he,hed->d", x.reshape(3, 4), flat[f"{block}/out/kernel"])
  found = tensors[f"{layer}.out_proj.weight"] @ x
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  head = "MAPHead_0/MultiHeadDotProductAttention_0"
  fused = tensors["vision_model.head.attention.in_proj_weight"] @ x
  for part, name in zip(np.split(fused, 3), numpy_vit.QKV):
    wanted = np.einsum("d,dhe->he", x, flat[f"{head}/{name}/kernel"]).ravel()
    np.testing.assert_allclose(part, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "root", ["params/encoder/", "params/img/", "params/", ""]
)
def test_big_vision_and_a_forward_pass(tmp_path, root):
  variant = _variant("cappa-b16")
  flat = _params(variant)
  arrays = {root + k: v for k, v in flat.items()}
  if root.count("/") == 2:  # Beside another tower, or a decoder.
    arrays |= {"params/txt/x": np.ones(2), "opt/0": np.ones(2)}
  np.savez(tmp_path / "w.npz", **arrays)
  model, params = weights.load(tmp_path / "w.npz", variant)
  image = np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8)
  wanted, _ = numpy_vit.forward(image / 127.5 - 1, _tree(flat), model.backbone)
  found = model.apply({"params": params}, image[None]).pre_logits[0]
  assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-5


@pytest.mark.parametrize("form", ["apart", "stacked", "huggingface", "ours"])
@pytest.mark.parametrize("scan", [False, True])
def test_blocks_apart_and_stacked(tmp_path, form, scan):
  variant = _variant("siglip-b16", scan=scan)
  flat = _params(_variant("siglip-b16"))
  if form == "huggingface":
    path = _huggingface(tmp_path / "w.safetensors", _variant("siglip-b16"))
  elif form == "ours":  # Of a training with the other layout.
    other = _variant("siglip-b16", scan=not scan).model()
    path = tmp_path / "w.safetensors"
    models.save(path, other, _tree(flat if scan else blocks.stack(flat)))
  else:
    path = tmp_path / "w.npz"
    np.savez(path, **(flat if form == "apart" else blocks.stack(flat)))
  wanted = blocks.stack(flat) if scan else flat
  if form != "ours":  # Which is loaded with its own layout.
    npz = {} if form == "huggingface" else {"resampling": "bilinear"}
    _assert_loaded(path, variant, wanted, **npz)
  zeros = {k: np.zeros_like(v) for k, v in wanted.items()}
  state = models.InitFromWeights(path=str(path)).transform(_state(_tree(zeros)))
  found = flax.traverse_util.flatten_dict(state.params["backbone"], sep="/")
  assert found.keys() == wanted.keys()
  for name, value in wanted.items():
    np.testing.assert_array_equal(found[name], value)


def test_stacked_blocks_that_do_not_fit(tmp_path):
  path = tmp_path / "w.npz"
  flat = _params(_variant("cappa-b16"))
  np.savez(path, **flat)
  _fails(
      path,
      _variant("cappa-b16", scan=True, depth=3),
      "of another shape 16",
      "LayerNorm_0/bias: model (3, 12), file (2, 12)",
  )
  del flat["Transformer/encoderblock_0/LayerNorm_0/bias"]
  np.savez(path, **flat)
  _fails(
      path,
      _variant("cappa-b16", scan=True),
      "missing 1 (backbone/Transformer/encoderblock/LayerNorm_0/bias)",
      "unexpected 1 (backbone/Transformer/encoderblock_1/LayerNorm_0/bias)",
  )


def test_old_names_and_the_class_tokens_position(tmp_path):
  variant = _variant("vit-b16")
  flat = _params(variant)
  old = {
      k.replace("LayerNorm_1", "LayerNorm_2")
      .replace("Attention_0", "Attention_1")
      .replace("MlpBlock_0", "MlpBlock_3"): v
      for k, v in flat.items()
  }
  old["Transformer/posembed_input/pos_embedding"] = old.pop("pos_embedding")
  old["head/kernel"] = np.ones((12, 3))
  np.savez(tmp_path / "w.npz", **old)
  # Not as transformers computes, from whose files it differs.
  numerics = dict(
      activation="gelu_tanh", norm_epsilon=1e-6, resampling="bilinear"
  )
  assert variant.vit() != variant.vit(**numerics)
  _assert_loaded(tmp_path / "w.npz", variant, flat, **numerics)
  model, params = weights.load(tmp_path / "w.npz", variant)
  image = np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8)
  found = model.apply({"params": params}, image[None]).pre_logits[0]
  wanted, _ = numpy_vit.forward(
      image / 127.5 - 1, _tree(flat), variant.vit(**numerics)
  )
  assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-5
  without = _variant("vit-b16", class_position=False)
  folded = dict(flat)
  folded["cls"] = flat["cls"] + flat["pos_embedding"][:, :1]
  folded["pos_embedding"] = flat["pos_embedding"][:, 1:]
  _assert_loaded(tmp_path / "w.npz", without, folded, **numerics)


def _state(params):
  return kd.train.TrainState(
      step=jnp.asarray(0),
      params=jax.tree.map(jnp.asarray, params),
      opt_state=None,
      collections={},
  )


@pytest.mark.parametrize(
    "form", ["huggingface", "big_vision", "orbax", "ended", "ours"]
)
def test_training_starts_from_any_format(tmp_path, form):
  variant = _variant("siglip-b16")
  flat = _params(variant)
  if form == "huggingface":
    path = _huggingface(tmp_path / "w.safetensors", variant)
  elif form == "big_vision":
    path = tmp_path / "w.npz"
    np.savez(path, **{f"params/img/{k}": v for k, v in flat.items()})
  elif form == "ours":
    path = tmp_path / "w.safetensors"
    models.save(path, variant.model(), _tree(flat))
  else:
    path = tmp_path / "run"
    last = flat
    if form == "ended":  # Its last checkpoint lies before its end.
      last = {k: v + 1 for k, v in flat.items()}
      models.save(path / "weights.safetensors", variant.model(), _tree(flat))
    for step, tree in ((2, {"backbone": {}}), (10, _tree(last))):
      ocp.PyTreeCheckpointer().save(
          path / "checkpoints" / f"ckpt_{step}" / "default",
          {"params": tree, "step": np.asarray(step)},
      )
  model = variant.model(triplet_dim=5)
  zeros = flax.traverse_util.unflatten_dict(
      {k: np.zeros(s, "f4") for k, s in weights.shapes(model).items()}, sep="/"
  )
  zeros["triplet_head"] = jax.tree.map(np.ones_like, zeros["triplet_head"])
  transform = models.InitFromWeights(path=str(path))
  found = transform.transform(_state(zeros)).params
  for k, v in flax.traverse_util.flatten_dict(
      found["backbone"], sep="/"
  ).items():
    np.testing.assert_array_equal(v, flat[k])
  np.testing.assert_array_equal(found["triplet_head"]["bias"], np.ones(5))


def _checkpoint(path, tree):
  """A checkpoint of one folder an array, so that one can be damaged."""
  handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False)
  ocp.Checkpointer(handler).save(path / "default", tree)
  return path


def test_a_trainings_parameters_are_read_alone(tmp_path):
  variant = _variant("siglip-b16")
  flat = _params(variant)
  moments = {"mu": np.ones(3), "nu": np.ones(3)}
  path = _checkpoint(
      tmp_path / "ckpt_1", {"params": _tree(flat), "opt_state": moments}
  )
  damaged = list((path / "default").glob("opt_state.*/[0-9]*"))
  assert len(damaged) == 2
  for values in damaged:
    values.write_bytes(b"no values")
  found = weights.read(tmp_path, weights.shapes(variant.model()))
  assert found.keys() == {f"backbone/{k}" for k in flat}
  for k, v in flat.items():
    np.testing.assert_array_equal(found[f"backbone/{k}"], v)


def test_damaged_trainings(tmp_path, monkeypatch):
  expected = weights.shapes(_variant("siglip-b16").model())
  path = _checkpoint(tmp_path / "ckpt_1", {"params": {"a": np.ones(3)}})
  (array,) = (path / "default").glob("params.*")
  shutil.rmtree(array)
  with pytest.raises(AlignetError, match="no checkpoint of a training"):
    weights.read(tmp_path, expected)
  path = _checkpoint(tmp_path / "ckpt_2", {"weights": {"a": np.ones(3)}})
  with pytest.raises(AlignetError, match="no checkpoint of a .*'params'"):
    weights.read(tmp_path, expected)
  (path / "default" / "_METADATA").write_text("{")
  with pytest.raises(AlignetError, match="no checkpoint of a training"):
    weights.read(tmp_path, expected)

  def metadata(*_):
    raise TypeError("a mistake in the code")

  monkeypatch.setattr(ocp.Checkpointer, "metadata", metadata)
  with pytest.raises(TypeError, match="a mistake in the code"):
    weights.read(tmp_path, expected)


def test_a_training_does_not_say_its_model(tmp_path):
  variant = _variant("siglip-b16")
  run = tmp_path / "run"
  path = run / "checkpoints" / "ckpt_3"
  _checkpoint(path, {"params": _tree(_params(variant))})
  for folder in (run, run / "checkpoints", path, path / "default"):
    for named in (variant, None):
      _fails(folder, named, f"pass {run}/weights.safetensors alone")


def test_ours_say_themselves_what_they_are(tmp_path):
  variant = _variant("siglip-b16")
  model = variant.model(triplet_dim=5, dropout=0.1)
  tree = flax.traverse_util.unflatten_dict(
      {k: np.ones(s, "f4") for k, s in weights.shapes(model).items()}, sep="/"
  )
  path = tmp_path / "w.safetensors"
  models.save(path, model, tree)
  found, params = weights.load(path, variant)
  assert found == model
  assert params["triplet_head"]["kernel"].shape == (12, 5)
  models.save(path, model.clone(pixel_range=(0.0, 1.0)), tree, overwrite=True)
  _fails(
      path,
      variant,
      "not siglip-b16: pixel_range=(0.0, 1.0) instead of (-1.0, 1.0)",
      f"--model={path}",
  )
  assert weights.load(path)[0].pixel_range == (0.0, 1.0)
  models.save(path, model, tree, overwrite=True)
  scaled = _variant("siglip-b16", layer_scale=1.0)
  _fails(path, scaled, "layer_scale=None instead of 1.0")


@pytest.mark.parametrize("pool", ["map", "tok"])
def test_an_open_grid_of_ours_may_be_of_any_form(tmp_path, pool):
  stated = _variant(
      "vit-b16", pool=pool, class_position=True, grid=(2, 3)
  ).model()
  model = stated.clone(backbone=stated.backbone.clone(grid=None))
  flat = {k: np.ones(s, "f4") for k, s in weights.shapes(stated).items()}
  path = tmp_path / "w.safetensors"
  models.save(path, model, flax.traverse_util.unflatten_dict(flat, sep="/"))
  assert weights.load(path)[0] == model
  del flat["backbone/pos_embedding"]
  models.save(
      path,
      model,
      flax.traverse_util.unflatten_dict(flat, sep="/"),
      overwrite=True,
  )
  _fails(path, None, "missing 1 (backbone/pos_embedding)")


def _fails(path, variant, *parts, **options):
  with pytest.raises(AlignetError) as error:
    weights.load(path, variant, **options)
  message = str(error.value)
  assert "\n" not in message
  assert str(path) in message or "expected" in message
  for part in parts:
    assert part in message, message


def test_wrong_family(tmp_path):
  path = _huggingface(tmp_path / "w", _variant("clip-b16"))
  _fails(path, _variant("siglip-b16"), "names of siglip", "those of clip")
  _fails(path, _variant("dinov2-b14"), "names of dinov2", "those of clip")
  _fails(path, _variant("cappa-b16"), "no family")


def test_wrong_size(tmp_path):
  path = _huggingface(tmp_path / "w", _variant("siglip-b16"))
  wide = _variant("siglip-b16", width=24)
  _fails(path, wide, "of another shape 49", "bias: model (24,), file (12,)")
  deep = _variant("siglip-b16", depth=3)
  with pytest.raises(AlignetError) as error:
    weights.load(path, deep)
  missing = re.search(r"missing 16 \((.*) and 4 more\)", str(error.value))
  names = missing[1].split(", ")
  assert len(set(names)) == 12
  for name in names:
    assert name.startswith("backbone/Transformer/encoderblock_2/")
  other = dataclasses.replace(_variant("siglip-b16"), image_size=12)
  _fails(path, other, "pos_embedding: model (1, 9, 12), file (4, 12)")


def test_all_that_does_not_fit_is_told_at_once(tmp_path):
  def change(tensors):
    tensors["vision_model.encoder.more.weight"] = np.ones(2, "f4")
    del tensors["vision_model.post_layernorm.bias"]
    name = "vision_model.encoder.layers.0.mlp.fc1.weight"
    tensors[name] = np.ascontiguousarray(tensors[name].T)
    return tensors

  path = _huggingface(tmp_path / "w", _variant("siglip-b16"), change)
  _fails(
      path,
      _variant("siglip-b16"),
      "missing 1 (backbone/Transformer/encoder_norm/bias)",
      "unexpected 1 (backbone/encoder.more.weight)",
      "Dense_0/kernel: model (12, 20), file (20, 12)",
  )


def test_missing_head(tmp_path):
  path = _huggingface(
      tmp_path / "w",
      _variant("siglip-b16"),
      lambda t: {k: v for k, v in t.items() if ".head." not in k},
  )
  _fails(path, _variant("siglip-b16"), "missing 15 (backbone/MAPHead_0/")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_only_on_request(tmp_path, dtype):
  variant = _variant("siglip-b16")
  half = lambda t: {k: v.astype(dtype) for k, v in t.items()}
  path = _huggingface(tmp_path / "w", variant, half)
  _fails(path, variant, "half precision", np.dtype(dtype).name, "--allow_half")
  _, params = weights.load(path, variant, allow_half=True)
  found = params["backbone"]["Transformer"]["encoder_norm"]["scale"]
  wanted = _params(variant)["Transformer/encoder_norm/scale"]
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, wanted.astype(dtype).astype("f4"))


def test_integers(tmp_path):
  variant = _variant("siglip-b16")
  whole = lambda t: {k: v.astype(np.int32) for k, v in t.items()}
  _fails(
      _huggingface(tmp_path / "w", variant, whole),
      variant,
      "expected floats, found int32",
  )


def test_truncated_pickled_and_missing_files(tmp_path):
  variant = _variant("siglip-b16")
  path = _huggingface(tmp_path / "w.safetensors", variant)
  path.write_bytes(path.read_bytes()[:-9])
  _fails(path, variant, "truncated")
  path.write_bytes(pickle.dumps({"x": np.ones(2)}))
  _fails(path, variant, "a pickle", "safetensors of the same model")
  np.savez(tmp_path / "x.npz", x=np.ones(1))
  path.write_bytes((tmp_path / "x.npz").read_bytes())  # As torch.save's zip.
  _fails(path, variant, "zip archive")
  _fails(tmp_path / "x.npz", variant, "no image encoder", "found x")
  np.savez(tmp_path / "x.npz", x=np.array([{}], object))
  _fails(tmp_path / "x.npz", variant, "no image encoder")
  np.savez(tmp_path / "y.npz", **{"embedding/kernel": np.array([{}], object)})
  _fails(tmp_path / "y.npz", variant, "pickled")
  _fails(tmp_path / "nothing.safetensors", variant, "does not exist")
  _fails(tmp_path / "nothing.npz", variant, "does not exist")
  (tmp_path / "empty").mkdir()
  _fails(tmp_path / "empty", variant, "no model.safetensors", "--model")
  with pytest.raises(AlignetError, match="no checkpoint of a training"):
    weights.read(tmp_path / "empty", {})
  _fails(tmp_path / "x.npz", None, "does not describe its model")


def test_what_transformers_has_no_model_for():
  with pytest.raises(AlignetError, match="--to=safetensors"):
    huggingface.write(_params(_variant("cappa-b16")))
