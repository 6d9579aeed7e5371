"""The ViT against big_vision's layout and a forward pass written out."""

from alignet import models
from alignet.errors import AlignetError
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

_QKV = ("query", "key", "value")
_WIDTH, _HEADS, _MLP, _PATCH = 12, 3, 20, 4


def _flat(params):
  return flax.traverse_util.flatten_dict(params, sep="/")


def _layout(*, width, heads, mlp, depth, patch, tokens, pool):
  """Names and shapes of big_vision's models/vit.py, rep_size=False."""
  head = width // heads
  dense = lambda name, *shape: {
      f"{name}/kernel": shape,
      f"{name}/bias": shape[1:],
  }
  norm = lambda name: {f"{name}/scale": (width,), f"{name}/bias": (width,)}

  def attention(name):
    found = {}
    for part in _QKV:
      found[f"{name}/{part}/kernel"] = (width, heads, head)
      found[f"{name}/{part}/bias"] = (heads, head)
    found[f"{name}/out/kernel"] = (heads, head, width)
    found[f"{name}/out/bias"] = (width,)
    return found

  layout = {
      "embedding/kernel": (patch, patch, 3, width),
      "embedding/bias": (width,),
      "pos_embedding": (1, tokens, width),
      **norm("Transformer/encoder_norm"),
  }
  for i in range(depth):
    block = f"Transformer/encoderblock_{i}"
    layout |= norm(f"{block}/LayerNorm_0") | norm(f"{block}/LayerNorm_1")
    layout |= attention(f"{block}/MultiHeadDotProductAttention_0")
    layout |= dense(f"{block}/MlpBlock_0/Dense_0", width, mlp)
    layout |= dense(f"{block}/MlpBlock_0/Dense_1", mlp, width)
  if pool == "map":
    layout["MAPHead_0/probe"] = (1, 1, width)
    layout |= attention("MAPHead_0/MultiHeadDotProductAttention_0")
    layout |= norm("MAPHead_0/LayerNorm_0")
    layout |= dense("MAPHead_0/MlpBlock_0/Dense_0", width, mlp)
    layout |= dense("MAPHead_0/MlpBlock_0/Dense_1", mlp, width)
  if pool == "tok":
    layout["cls"] = (1, 1, width)
  return layout


def test_parameter_tree_is_big_visions(tiny):
  model, params = tiny
  assert {k: v.shape for k, v in _flat(params["backbone"]).items()} == _layout(
      width=_WIDTH,
      heads=_HEADS,
      mlp=_MLP,
      depth=2,
      patch=_PATCH,
      tokens=2 * 3,
      pool=model.backbone.pool,
  )


def _norm(x, p):
  centred = x - x.mean(-1, keepdims=True)
  scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
  return scaled * p["scale"] + p["bias"]


def _mlp(x, p):
  h = x @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
  h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
  return h @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]


def _attention(queries, tokens, p):
  """One image: (q, d) queries attend to (n, d) tokens, head by head."""
  out = p["out"]["bias"].copy() + np.zeros_like(queries)
  for h in range(_HEADS):
    kernels = {part: p[part]["kernel"][:, h] for part in _QKV}
    q, k, v = (
        x @ kernels[part] + p[part]["bias"][h]
        for part, x in zip(_QKV, (queries, tokens, tokens))
    )
    logits = q @ k.T / np.sqrt(q.shape[-1])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    out = out + weights @ v @ p["out"]["kernel"][h]
  return out


def _forward(image, params, pool):
  """pre_logits of one (h, w, 3) float image in float64."""
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), params["backbone"])
  rows, columns = image.shape[0] // _PATCH, image.shape[1] // _PATCH
  tokens = []
  for r in range(rows):
    for c in range(columns):
      patch = image[
          r * _PATCH : (r + 1) * _PATCH, c * _PATCH : (c + 1) * _PATCH
      ]
      kernel = p["embedding"]["kernel"]
      tokens.append(np.einsum("hwc,hwcd->d", patch, kernel))
  x = np.stack(tokens) + p["embedding"]["bias"] + p["pos_embedding"][0]
  if pool == "tok":
    x = np.concatenate([p["cls"][0], x])
  for i in range(2):
    block = p["Transformer"][f"encoderblock_{i}"]
    y = _norm(x, block["LayerNorm_0"])
    x = x + _attention(y, y, block["MultiHeadDotProductAttention_0"])
    x = x + _mlp(_norm(x, block["LayerNorm_1"]), block["MlpBlock_0"])
  x = _norm(x, p["Transformer"]["encoder_norm"])
  if pool == "gap":
    return x.mean(0)
  if pool == "tok":
    return x[0]
  head = p["MAPHead_0"]
  x = _attention(head["probe"][0], x, head["MultiHeadDotProductAttention_0"])
  return (x + _mlp(_norm(x, head["LayerNorm_0"]), head["MlpBlock_0"]))[0]


def _images(n=3):
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (n, 8, 12, 3), np.uint8)


def test_forward_pass(tiny):
  model, params = tiny
  images = _images()
  wanted = np.stack(
      [_forward(x / 255.0, params, model.backbone.pool) for x in images]
  )
  found = jax.jit(model.apply)({"params": params}, images)
  error = np.abs(found.pre_logits - wanted).max() / np.abs(wanted).max()
  assert error < 1e-5
  for head, values in (
      ("triplet_head", found.triplet_logits),
      ("class_head", found.class_logits),
  ):
    p = params[head]
    np.testing.assert_allclose(
        values, wanted @ p["kernel"] + p["bias"], rtol=1e-4, atol=1e-4
    )


def test_pixel_range(make_model):
  model, params = make_model("map", pixel_range=(-1.0, 1.0))
  (image,) = _images(1)
  found = jax.jit(model.apply)({"params": params}, image[None]).pre_logits[0]
  wanted = _forward(image / 127.5 - 1, params, "map")
  assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-5


def test_vit_b_16_has_as_many_parameters_as_counted():
  model = models.ViT(
      patch_size=16, width=768, depth=12, num_heads=12, pool="map"
  )
  shapes = jax.eval_shape(
      model.init, jax.random.key(0), jnp.zeros((1, 224, 224, 3))
  )
  found = sum(x.size for x in jax.tree.leaves(shapes))
  d, mlp = 768, 4 * 768
  attention = 4 * (d * d + d)
  block_mlp = d * mlp + mlp + mlp * d + d
  block = attention + block_mlp + 2 * 2 * d
  embedding = 16 * 16 * 3 * d + d + 14 * 14 * d
  head = d + attention + 2 * d + block_mlp
  assert found == embedding + 12 * block + 2 * d + head == 92_884_224


def test_parameters_are_float32_and_compute_is_not_where_asked():
  model = models.ViT(
      patch_size=4, width=8, depth=1, num_heads=2, dtype=jnp.bfloat16
  )
  images = jnp.ones((2, 8, 8, 3))
  features, variables = jax.eval_shape(
      model.init_with_output, jax.random.key(0), images
  )
  assert features.dtype == jnp.bfloat16
  dtypes = {k: v.dtype for k, v in _flat(variables["params"]).items()}
  assert set(dtypes.values()) == {np.dtype(np.float32)}, dtypes


@pytest.mark.parametrize(
    "change, message",
    [
        ({"patch_size": 5}, "8 x 8 pixels"),
        ({"pool": "max"}, "map, gap, tok"),
        ({"num_heads": 3}, "3 heads"),
    ],
)
def test_what_cannot_be_built(change, message):
  fields = {"patch_size": 4, "width": 8, "depth": 1, "num_heads": 2, **change}
  with pytest.raises(AlignetError, match=message):
    models.ViT(**fields).init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
