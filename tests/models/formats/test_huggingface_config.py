"""config.json beside weights of transformers: another model is noticed."""

import dataclasses
import json

from alignet.errors import AlignetError
from alignet.models.export import folder
from alignet.models.export import weights as export
from alignet.models.formats import huggingface
from alignet.models.formats import weights
from alignet.models.vit import zoo
import flax
import numpy as np
import pytest
import safetensors.numpy

_OURS = dict(num_attention_heads=3, patch_size=4, image_size=8)
_PIXELS = {
    "vit-b16": dict(image_mean=[0.5] * 3, image_std=[0.5] * 3),
    "dinov1-b16": dict(
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ),
}


def _variant(name):
  variant = zoo.find(name)
  small = dict(width=12, depth=1, num_heads=3, mlp_dim=48)
  fields = {**variant.fields, **small}
  return dataclasses.replace(
      variant, fields=fields, patch_size=4, image_size=8, served=None
  )


def _write(path, name, config=None, processor=None):
  """A folder of the hub."""
  rng = np.random.default_rng(0)
  flat = {
      k.removeprefix("backbone/"): rng.normal(size=shape).astype(np.float32)
      for k, shape in weights.shapes(_variant(name).model()).items()
  }
  tensors = huggingface.write(flat)
  path.mkdir(exist_ok=True)
  (path / "model.safetensors").write_bytes(safetensors.numpy.save(tensors))
  for file, content in (
      ("config.json", config),
      ("preprocessor_config.json", processor),
  ):
    if content is not None:
      (path / file).write_text(json.dumps(content))
  return path


def _found(path, name):
  with pytest.raises(AlignetError) as error:
    weights.load(path, _variant(name))
  message = str(error.value)
  assert "\n" not in message and str(path) in message
  return message


def test_the_same_model(tmp_path):
  cases = (
      ("vit-b16", _OURS),
      ("vit-b16", _OURS | dict(image_size=11)),  # Pixels that fill no patch.
      ("clip-b16", {"vision_config": _OURS, "hidden_size": 99}),
      ("siglip-b16", _OURS | dict(hidden_act="gelu_pytorch_tanh")),
      ("dinov2-b14", _OURS | dict(layer_norm_eps=1e-6)),
  )
  for i, (name, config) in enumerate(cases):
    path = _write(tmp_path / str(i), name, config, _PIXELS.get(name))
    weights.load(path, _variant(name))
    weights.load(path / "model.safetensors", _variant(name))


def test_another_activation(tmp_path):
  # As LAION's CLIPs: what is not said is the default of the class.
  config = {"vision_config": _OURS | {"hidden_act": "gelu"}}
  path = _write(tmp_path / "w", "clip-b16", config)
  message = _found(path, "clip-b16")
  assert "hidden_act: expected 'quick_gelu', found 'gelu'" in message
  assert message.count("expected") == 1
  (path / "model.safetensors").rename(path / "clip.safetensors")
  weights.load(path / "clip.safetensors", _variant("clip-b16"))


def test_all_that_differs_is_told_at_once(tmp_path):
  config = {"layer_norm_eps": 1e-6, "patch_size": 4}
  message = _found(_write(tmp_path / "w", "vit-b16", config), "vit-b16")
  for part in (
      "num_attention_heads: expected 3, found 12",
      "layer_norm_eps: expected 1e-12, found 1e-06",
      "image_size: expected 8, found 224",
  ):
    assert part in message, message


def test_dino_is_no_vit(tmp_path):
  """Equal names, shapes and config.json: only their pixels differ."""
  for name, other in (("vit-b16", "dinov1-b16"), ("dinov1-b16", "vit-b16")):
    path = _write(tmp_path / name, name, _OURS, _PIXELS[name])
    weights.load(path, _variant(name))
    message = _found(path, other)
    wanted, found = (_PIXELS[n]["image_mean"] for n in (other, name))
    assert f"image_mean: expected {wanted}, found {found}" in message


def test_a_student_is_not_its_base(tmp_path):
  """Post-trained on pixels from 0 to 1, as AligNet's."""
  model = _variant("siglip-b16").model().clone(pixel_range=(0.0, 1.0))
  flat = {k: np.ones(s, np.float32) for k, s in weights.shapes(model).items()}
  params = flax.traverse_util.unflatten_dict(flat, sep="/")
  folder.export(
      tmp_path / "w", export.write_huggingface, model, params, title="mine"
  )
  message = _found(tmp_path / "w", "siglip-b16")
  assert "image_std: expected [0.5, 0.5, 0.5], found [1.0, 1.0, 1.0]" in message


def test_damaged_configs(tmp_path):
  path = _write(tmp_path / "w", "vit-b16", [], {"image_mean": "half"})
  assert "config.json: expected a JSON object, found []" in _found(
      path, "vit-b16"
  )
  _write(path, "vit-b16", _OURS)
  assert "image_mean" in _found(path, "vit-b16")
  (path / "config.json").write_text("{")
  assert "config.json" in _found(path, "vit-b16")


_HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)


@pytest.mark.parametrize(
    "processor",
    [
        dict(_HALF, rescale_factor=1 / 255),
        dict(image_mean=0.5, image_std=0.5),
        # The same of grey values that nothing rescales.
        dict(do_rescale=False, image_mean=[127.5] * 3, image_std=[127.5] * 3),
        dict(rescale_factor=1 / 127.5, image_mean=[1] * 3, image_std=[1] * 3),
        {},
        dict(do_normalize=None, image_mean=None),
    ],
)
@pytest.mark.parametrize("newer", [False, True])
def test_pixels_are_what_they_become(tmp_path, processor, newer):
  sides = dict(image_size=[8, 8], patch_size=[4, 4])
  path = _write(tmp_path / "w", "vit-b16", _OURS | sides, None)
  if newer:
    content = {"image_processor": processor}
    (path / "processor_config.json").write_text(json.dumps(content))
  else:
    (path / "preprocessor_config.json").write_text(json.dumps(processor))
  weights.load(path, _variant("vit-b16"))


@pytest.mark.parametrize(
    "processor",
    [
        dict(do_normalize=False),
        dict(_HALF, do_normalize=False),
        dict(_HALF, rescale_factor=1 / 127.5),
        dict(_HALF, rescale_factor=0),
        dict(_HALF, do_rescale=False),
        dict(_HALF, image_std=[0.5, 0.5]),
        dict(image_mean=[0.5] * 3),
        dict(rescale_factor=1 / 127.5, do_normalize=False),
    ],
)
@pytest.mark.parametrize("newer", [False, True])
def test_other_pixels(tmp_path, processor, newer):
  name = "processor_config.json" if newer else "preprocessor_config.json"
  path = _write(tmp_path / "w", "vit-b16", _OURS)
  (path / name).write_text(json.dumps(processor))
  assert "image_" in _found(path, "vit-b16")


@pytest.mark.parametrize("side", [[8, 16], [16, 16], [8], "8", 8.5])
def test_other_sides(tmp_path, side):
  path = _write(tmp_path / "w", "vit-b16", _OURS | {"image_size": side})
  assert "image_size" in _found(path, "vit-b16")
