"""Safetensors of `transformers` in several files."""

import dataclasses
import json

from alignet.errors import AlignetError
from alignet.models.formats import huggingface
from alignet.models.formats import shards
from alignet.models.formats import weights
from alignet.models.vit import zoo
import flax
import numpy as np
import pytest
import safetensors.numpy


def _variant():
  variant = zoo.find("siglip-b16")
  small = dict(width=12, depth=2, num_heads=3, mlp_dim=20)
  return dataclasses.replace(
      variant, fields={**variant.fields, **small}, patch_size=4, image_size=8
  )


@pytest.fixture
def folder(tmp_path):
  """Three files, one of which holds another tower alone; and the values."""
  rng = np.random.default_rng(0)
  flat = {
      name.removeprefix("backbone/"): rng.normal(size=shape).astype(np.float32)
      for name, shape in weights.shapes(_variant().model()).items()
  }
  tensors = huggingface.write(flat)
  names = sorted(tensors)
  parts = (
      {name: tensors[name] for name in names[::2]},
      {name: tensors[name] for name in names[1::2]},
      {"text_model.x": np.ones(3, np.float32)},
  )
  places = {}
  for i, part in enumerate(parts):
    file = f"model-{i + 1:05d}-of-00003.safetensors"
    (tmp_path / file).write_bytes(safetensors.numpy.save(part))
    places |= dict.fromkeys(part, file)
  _index(tmp_path, {"metadata": {"total_size": 1}, "weight_map": places})
  return tmp_path, flat


def _index(folder, content):
  (folder / shards.INDEX).write_text(json.dumps(content))


def test_all_files_are_read(folder):
  folder, flat = folder
  model, params = weights.load(folder, _variant())
  assert model == _variant().model()
  found = flax.traverse_util.flatten_dict(params["backbone"], sep="/")
  assert found.keys() == flat.keys()
  for name, value in flat.items():
    np.testing.assert_array_equal(found[name], value)


def _fails(folder, *parts):
  with pytest.raises(AlignetError) as error:
    weights.load(folder, _variant())
  message = str(error.value)
  assert "\n" not in message and str(folder) in message
  for part in parts:
    assert part in message, message


def test_a_file_that_is_missing_or_truncated(folder):
  folder, _ = folder
  path = folder / "model-00002-of-00003.safetensors"
  content = path.read_bytes()
  path.write_bytes(content[:-4])
  _fails(folder, path.name, "truncated")
  path.unlink()
  _fails(folder, path.name, "does not exist")


def test_files_of_another_index(folder):
  folder, _ = folder
  content = json.loads((folder / shards.INDEX).read_text())
  more = content["weight_map"] | {"a.b": "model-00001-of-00003.safetensors"}
  _index(folder, {"weight_map": more})
  _fails(folder, "holds other tensors", "model-00001", "a.b")
  content["weight_map"].pop("text_model.x")
  content["weight_map"][
      "vision_model.post_layernorm.bias"
  ] = "model-00003-of-00003.safetensors"
  _index(folder, content)
  _fails(folder, "holds other tensors")


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"weight_map": {}},
        {"weight_map": {"a": 3}},
        {"weight_map": {"a": "../model.safetensors"}},
        {"weight_map": {"a": "/etc/passwd"}},
        {"weight_map": {"a": "model\0.safetensors"}},
    ],
)
def test_no_index(tmp_path, content):
  _index(tmp_path, content)
  _fails(tmp_path, "get the index again")


def test_an_index_that_is_no_json(tmp_path):
  (tmp_path / shards.INDEX).write_text("{")
  _fails(tmp_path, "not valid JSON")
