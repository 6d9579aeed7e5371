"""Our ViTs against `transformers`, with the same random weights.

Not collected by `make test`: run by `make parity`, which has PyTorch. Values
are large enough for each operation to matter. For every layer and the output
the largest difference is printed beside the largest value.
"""

import dataclasses
import gc
import shutil

# First: PyTorch crashes where TensorFlow, which Kauldron imports, is there
# already.
import torch
import transformers

# ruff: noqa: E402, I001
# pylint: disable=g-bad-import-order,g-import-not-at-top
_ = [
    getattr(transformers, name)
    for name in (
        *("SiglipVisionModel", "CLIPVisionModel"),
        *("ViTModel", "Dinov2Model"),
    )
]

from alignet.models.export import folder
from alignet.models.export import weights as export
from alignet.models.formats import huggingface_config
from alignet.models.vit import pixels
from alignet.models.formats import weights
from alignet.models.vit import zoo
import jax
import numpy as np
import pytest

_TOLERANCE = 1e-4

# Variant, number of blocks (None: all), images.
_CASES = (
    ("siglip-b16", 2, 2),
    ("so400m-siglip-webli384", 2, 1),
    ("siglip2-b16", 2, 2),
    ("dinov1-b16", 2, 2),
    ("dinov2-b14", 2, 1),
    ("vit-b16", 2, 2),
    ("vit-b32", 2, 2),
    ("vit-ti16", 2, 2),
    ("vit-s16", 2, 2),
    ("clip-b16", 2, 2),
    ("clip-b32", 2, 2),
    ("siglip-b16", None, 1),
    ("so400m-siglip-webli384", None, 1),
)
_ARCHITECTURES = {
    "siglip": ("SiglipVisionModel", "SiglipVisionConfig"),
    "clip": ("CLIPVisionModel", "CLIPVisionConfig"),
    "vit": ("ViTModel", "ViTConfig"),
    "dino": ("ViTModel", "ViTConfig"),
    "dinov2": ("Dinov2Model", "Dinov2Config"),
}
_ACTIVATIONS = {"gelu_tanh": "gelu_pytorch_tanh"}


def _reduced(name, depth):
  variant = zoo.find(name)
  if depth is None:
    return variant
  return dataclasses.replace(variant, fields={**variant.fields, "depth": depth})


def _family(name):
  for prefix in ("dinov2", "dino", "clip", "vit"):
    if name.startswith(prefix):
      return prefix
  return "siglip"


def _built(variant):
  """The model of `transformers`, built from its own config."""
  model_name, config_name = _ARCHITECTURES[_family(variant.name)]
  f = variant.fields
  fields = dict(
      hidden_size=f["width"],
      num_hidden_layers=f["depth"],
      num_attention_heads=f["num_heads"],
      image_size=variant.image_size,
      patch_size=variant.patch_size,
      attn_implementation="sdpa",
  )
  if _family(variant.name) != "dinov2":
    fields["intermediate_size"] = f["mlp_dim"]
  config = getattr(transformers, config_name)(**fields)
  # What defines the family must be its own default, not taken from us.
  assert config.layer_norm_eps == f["norm_epsilon"], variant.name
  assert config.hidden_act == _ACTIVATIONS.get(f["activation"], f["activation"])
  extra = {"add_pooling_layer": False} if model_name == "ViTModel" else {}
  return getattr(transformers, model_name)(config, **extra).eval()


def _theirs(variant):
  """`_built` with random weights."""
  model = _built(variant)
  generator = torch.Generator().manual_seed(0)
  for name, p in model.named_parameters():
    values = torch.empty_like(p).normal_(generator=generator)
    if p.ndim >= 2 and "position" not in name and "token" not in name:
      values *= np.prod(p.shape[1:]) ** -0.5
    elif "norm" in name and name.endswith("weight") or "lambda" in name:
      values = 0.7 + 0.2 * values
    else:
      values *= 0.3
    p.data = values
  return model


def _loaded(kind, folder):
  extra = {"add_pooling_layer": False} if kind.__name__ == "ViTModel" else {}
  return kind.from_pretrained(folder, **extra).eval()


def _report(what, ours, theirs):
  difference, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
  print(f"{what:34s} max|a-b| {difference:.1e}  max|b| {scale:.1f}")
  assert ours.shape == theirs.shape and scale > 0.1
  assert difference < _TOLERANCE, (what, difference, scale)


def _run_theirs(model, images, interpolate=False):
  """Pooled output, residual stream and attention branch of each layer."""
  attention, hooks = [], []
  for name, module in model.named_modules():
    if name.split(".")[-1] in ("self_attn", "attention") and "head" not in name:
      if name.split(".")[-2].isdigit():
        hooks.append(
            module.register_forward_hook(
                lambda m, i, o: attention.append(
                    (o[0] if isinstance(o, tuple) else o).numpy()
                )
            )
        )
  extra = {}
  if interpolate and not type(model).__name__.startswith("Dinov2"):
    extra["interpolate_pos_encoding"] = True
  with torch.no_grad():
    out = model(pixel_values=images, output_hidden_states=True, **extra)
  for hook in hooks:
    hook.remove()
  pooled = out.pooler_output
  if pooled is None:
    pooled = out.last_hidden_state[:, 0]
  return pooled.numpy(), [h.numpy() for h in out.hidden_states[1:]], attention


def _run_ours(model, params, images):
  def apply(params, images):
    out, state = model.apply(
        {"params": params}, images, mutable=["intermediates"]
    )
    return out.pre_logits, state["intermediates"]["backbone"]

  return jax.device_get(jax.jit(apply)(params, images))


def _images(variant, n, shape=None):
  """uint8 for us, (n, 3, h, w) float in the model's pixel range for them."""
  shape = shape or (variant.image_size, variant.image_size)
  images = np.random.default_rng(1).integers(0, 256, (n, *shape, 3), np.uint8)
  table = pixels.table(pixels.text(variant.pixel_range))
  planes = [table[c][images[..., c]] for c in range(3)]
  return images, torch.from_numpy(np.stack(planes, axis=1))


@pytest.mark.parametrize("name, depth, n", _CASES)
def test_parity(tmp_path, name, depth, n):
  variant = _reduced(name, depth)
  theirs = _theirs(variant)
  counted = sum(
      p.numel() for k, p in theirs.named_parameters() if "mask_token" not in k
  )
  if depth is None:
    assert counted == variant.parameters
  theirs.save_pretrained(tmp_path / "theirs")
  model, params = weights.load(tmp_path / "theirs", variant)
  assert sum(x.size for x in jax.tree.leaves(params)) == counted

  images, planes = _images(variant, n)
  pooled, residuals, attentions = _run_theirs(theirs, planes)
  found, ours = _run_ours(model, params, images)
  blocks = variant.fields["depth"]
  print()
  assert len(attentions) == blocks and len(residuals) == blocks
  for k in range(blocks):
    _report(f"{name} layer_{k}", ours[f"layer_{k}"], residuals[k])
    _report(f"{name} attention_{k}", ours[f"attention_{k}"], attentions[k])
  _report(f"{name} output", found, pooled)

  shutil.rmtree(tmp_path / "theirs")
  del ours, residuals, attentions
  folder.export(
      tmp_path / "back", export.write_huggingface, model, params, title=name
  )
  del params
  gc.collect()
  again = _loaded(type(theirs), tmp_path / "back")
  state = again.state_dict()
  for key, value in theirs.state_dict().items():
    if "mask_token" not in key:
      assert torch.equal(value, state[key]), key
  with torch.no_grad():
    out = again(pixel_values=planes)
  out = out.pooler_output
  if out is None:
    out = again(pixel_values=planes).last_hidden_state[:, 0]
  # Equal weights; PyTorch itself differs from run to run in the last digit.
  scale = np.abs(pooled).max()
  assert np.abs(out.detach().numpy() - pooled).max() <= 1e-6 * scale
  shutil.rmtree(tmp_path / "back")  # Up to two gigabytes, which pytest keeps.


def test_shards_that_transformers_writes(tmp_path):
  variant = _reduced("vit-ti16", 2)
  theirs = _theirs(variant)
  theirs.save_pretrained(tmp_path / "one")
  theirs.save_pretrained(tmp_path / "many", max_shard_size="1MB")
  assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
  (_, one), (_, many) = (
      weights.load(tmp_path / name, variant) for name in ("one", "many")
  )
  jax.tree.map(np.testing.assert_array_equal, one, many)


@pytest.mark.parametrize(
    "name, rows, columns",
    [
        ("siglip-b16", 5, 17),
        ("clip-b16", 5, 17),
        ("dinov2-b14", 5, 17),
        ("dinov2-b14", 16, 16),  # As it is served.
    ],
)
def test_other_grids(tmp_path, name, rows, columns):
  variant = _reduced(name, 1)
  theirs = _theirs(variant)
  theirs.save_pretrained(tmp_path)
  model, params = weights.load(tmp_path, variant)
  p = variant.patch_size
  images, planes = _images(variant, 1, (rows * p, columns * p))
  pooled, _, _ = _run_theirs(theirs, planes, interpolate=True)
  found = _run_ours(model, params, images)[0]
  print()
  _report(f"{name} {rows} x {columns} patches", found, pooled)


@pytest.mark.parametrize("name", [n for n, v in zoo.ZOO.items() if v.hub])
def test_as_many_parameters(name):
  with torch.device("meta"):  # Shapes alone.
    theirs = _built(zoo.find(name))
  counted = sum(
      p.numel() for k, p in theirs.named_parameters() if "mask_token" not in k
  )
  assert counted == zoo.find(name).parameters


def test_what_a_config_leaves_out():
  for kind in ("siglip", "clip", "vit", "dinov2"):
    config = getattr(transformers, _ARCHITECTURES[kind][1])()
    for name, value in huggingface_config.defaults(kind).items():
      assert getattr(config, name) == value, (kind, name)
