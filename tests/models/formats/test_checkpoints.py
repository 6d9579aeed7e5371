import re

from alignet import models
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.models.formats import checkpoints
import flax
import jax
import jax.numpy as jnp
from kauldron import kd
import numpy as np
import pytest
import safetensors.numpy


def _flat(params):
  return flax.traverse_util.flatten_dict(params, sep="/")


def _assert_equal(found, wanted):
  found, wanted = _flat(found), _flat(wanted)
  assert found.keys() == wanted.keys()
  for key, value in wanted.items():
    np.testing.assert_array_equal(found[key], value)
    assert found[key].dtype == np.float32


def test_round_trip(tmp_path, tiny):
  model, params = tiny
  path = tmp_path / "w.safetensors"
  models.save(path, model, params, meta={"steps": 3})
  found_model, found = models.load(path)
  assert found_model == model
  _assert_equal(found, params)


def test_every_field_of_the_model_is_kept(tmp_path, draw_params):
  model = models.VisionModel(
      backbone=models.ViT(
          patch_size=2, width=4, depth=1, num_heads=2, dtype=jnp.bfloat16
      ),
      pixel_range=(-1, 1),
      triplet_dim=3,
      images="batch.pictures",
  )
  images = jnp.zeros((1, 4, 4, 3), jnp.uint8)
  params = draw_params(model, images)
  path = tmp_path / "w.safetensors"
  models.save(path, model, params)
  found, found_params = models.load(path)
  assert checkpoints.describe(found) == checkpoints.describe(model)
  assert found.pixel_range == (-1, 1) and found.images == "batch.pictures"
  outputs = [
      jax.jit(m.apply)({"params": p}, images).pre_logits
      for m, p in ((model, params), (found, found_params))
  ]
  assert outputs[0].dtype == outputs[1].dtype == jnp.bfloat16
  np.testing.assert_array_equal(*(np.asarray(x, np.float32) for x in outputs))


def test_equal_weights_are_equal_bytes(tmp_path, make_model):
  model, params = make_model("map")
  backwards = dict(reversed(list(params.items())))
  # Same values, another layout in memory.
  backwards = jax.tree.map(np.asfortranarray, backwards)
  models.save(tmp_path / "a", model, params, meta={"a": 1, "b": 2})
  _assert_equal(models.load(tmp_path / "a")[1], params)
  models.save(tmp_path / "b", model, backwards, meta={"b": 2, "a": 1})
  assert files.sha256(tmp_path / "a") == files.sha256(tmp_path / "b")
  params["triplet_head"]["bias"][0] += 1
  models.save(tmp_path / "c", model, params, meta={"a": 1, "b": 2})
  assert files.sha256(tmp_path / "a") != files.sha256(tmp_path / "c")


def test_existing_weights_are_kept(tmp_path, make_model):
  path = tmp_path / "w.safetensors"
  path.write_bytes(b"precious")
  with pytest.raises(OutputExistsError):
    models.save(path, *make_model("gap"))
  assert path.read_bytes() == b"precious"
  models.save(path, *make_model("gap"), overwrite=True)
  models.load(path)


def test_truncated_foreign_and_missing_files(tmp_path, make_model):
  path = tmp_path / "w.safetensors"
  models.save(path, *make_model("gap"))
  content = path.read_bytes()
  for length in (0, 4, 100, len(content) // 2, len(content) - 1):
    path.write_bytes(content[:length])
    with pytest.raises(AlignetError, match="truncated") as error:
      models.load(path)
    assert "\n" not in str(error.value)
  with pytest.raises(AlignetError, match="does not exist"):
    models.load(tmp_path / "nothing")
  with pytest.raises(AlignetError):
    models.load(tmp_path)
  tensors = {"x": np.zeros(2, np.float32)}
  path.write_bytes(safetensors.numpy.save(tensors))
  with pytest.raises(AlignetError, match="not written by alignet"):
    models.load(path)
  for header in ("no json", "{}", '{"model": {"backbone": {"side": 3}}}'):
    path.write_bytes(safetensors.numpy.save(tensors, {"alignet": header}))
    with pytest.raises(AlignetError, match="cannot build"):
      models.load(path)


@pytest.mark.parametrize("length, start", [(19280, b"PK"), (66176, b"\x80\2")])
def test_a_header_whose_length_begins_as_a_pickle_does(
    tmp_path, make_model, length, start
):
  model, params = make_model("gap")
  path = tmp_path / "w.safetensors"
  models.save(path, model, params, meta={"note": ""})
  missing = length - int.from_bytes(path.read_bytes()[:8], "little")
  meta = {"note": "x" * missing}
  models.save(path, model, params, meta=meta, overwrite=True)
  assert path.read_bytes().startswith(start)
  _assert_equal(models.load(path)[1], params)


def _state(params):
  return kd.train.TrainState(
      step=jnp.asarray(0),
      params=jax.tree.map(jnp.asarray, params),
      opt_state=None,
      collections={},
  )


def _init(path, params, **fields):
  transform = models.InitFromWeights(path=str(path), **fields)
  return transform.transform(_state(params)).params


def test_init_takes_the_backbone_and_leaves_the_new_head(tmp_path, make_model):
  base, base_params = make_model("map", triplet_dim=0)
  path = tmp_path / "base.safetensors"
  models.save(path, base, base_params)
  _, random = make_model("map", num_classes=0, seed=7)
  found = _init(path, random)
  assert set(found) == {"backbone", "triplet_head"}
  _assert_equal(found["backbone"], base_params["backbone"])
  _assert_equal(found["triplet_head"], random["triplet_head"])


def test_init_takes_a_head_that_the_file_has(tmp_path, make_model):
  model, params = make_model("gap")
  path = tmp_path / "w.safetensors"
  models.save(path, model, params)
  zeros = jax.tree.map(np.zeros_like, params)
  _assert_equal(_init(path, zeros), params)


def test_misfits_are_named_side_by_side(tmp_path, make_model):
  model, params = make_model("map")
  path = tmp_path / "w.safetensors"
  models.save(path, model, params)
  other = jax.tree.map(np.asarray, params)
  other["backbone"] = dict(other["backbone"])
  other["backbone"]["pos_embedding"] = np.zeros((1, 9, 12), np.float32)
  other["backbone"]["cls"] = np.zeros((1, 1, 12), np.float32)
  del other["backbone"]["embedding"]
  with pytest.raises(AlignetError) as error:
    _init(path, other)
  message = str(error.value)
  assert "\n" not in message and str(path) in message
  for part in (
      "missing 1 (backbone/cls)",
      "unexpected 2 (backbone/embedding/bias, backbone/embedding/kernel)",
      "of another shape 1 (backbone/pos_embedding: model (1, 9, 12),"
      " file (1, 6, 12))",
  ):
    assert part in message, message


def test_a_checkpoint_of_another_architecture(tmp_path, make_model):
  path = tmp_path / "w.safetensors"
  models.save(path, *make_model("gap"))
  _, params = make_model("map")
  with pytest.raises(AlignetError, match=re.escape("missing 15")):
    _init(path, params)
  # A head that is there but does not fit is no new head.
  _, params = make_model("gap", triplet_dim=9)
  with pytest.raises(AlignetError, match="triplet_head/bias: model"):
    _init(path, params)
  # A head that must not be missing.
  models.save(path, *make_model("gap", triplet_dim=0), overwrite=True)
  with pytest.raises(AlignetError, match="missing 2"):
    _init(path, params, new=())


def test_only_a_vit_can_be_saved(tmp_path):
  model = models.VisionModel(backbone=flax.linen.Dense(3))
  with pytest.raises(AlignetError, match="ViT"):
    models.save(tmp_path / "w", model, {})
  assert not list(tmp_path.iterdir())
