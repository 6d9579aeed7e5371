"""A ViT written out in NumPy, float64, image by image and head by head."""

import jax
import numpy as np
from scipy import special

QKV = ("query", "key", "value")

_ACTIVATIONS = {
    "gelu_tanh": lambda h: (
        0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    ),
    "gelu": lambda h: h * special.ndtr(h),
    "quick_gelu": lambda h: h / (1 + np.exp(-1.702 * h)),
}


def norm(x, p, eps=1e-6):
  centred = x - x.mean(-1, keepdims=True)
  scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
  return scaled * p["scale"] + p["bias"]


def mlp(x, p, activation):
  h = _ACTIVATIONS[activation](
      x @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
  )
  return h @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]


def attention(queries, tokens, p):
  """One image: (q, d) queries attend to (n, d) tokens, head by head."""
  out = p["out"]["bias"].copy() + np.zeros_like(queries)
  for h in range(p["query"]["kernel"].shape[1]):
    kernels = {part: p[part]["kernel"][:, h] for part in QKV}
    q, k, v = (
        x @ kernels[part] + p[part]["bias"][h]
        for part, x in zip(QKV, (queries, tokens, tokens))
    )
    logits = q @ k.T / np.sqrt(q.shape[-1])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    out = out + weights @ v @ p["out"]["kernel"][h]
  return out


def forward(image, params, vit):
  """One (h, w, 3) float image -> pre_logits, [(layer_k, attention_k)]."""
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), params["backbone"])
  side, eps = vit.patch_size, vit.norm_epsilon
  tokens = []
  for r in range(image.shape[0] // side):
    for c in range(image.shape[1] // side):
      patch = image[r * side : (r + 1) * side, c * side : (c + 1) * side]
      tokens.append(np.einsum("hwc,hwcd->d", patch, p["embedding"]["kernel"]))
  x = np.stack(tokens) + p["embedding"].get("bias", 0.0)
  if vit.pool == "tok" and vit.class_position:
    x = np.concatenate([p["cls"][0], x]) + p["pos_embedding"][0]
  else:
    x = x + p["pos_embedding"][0]
    if vit.pool == "tok":
      x = np.concatenate([p["cls"][0], x])
  if vit.pre_norm:
    x = norm(x, p["pre_norm"], eps)
  activations = []
  for i in range(vit.depth):
    block = p["Transformer"][f"encoderblock_{i}"]
    y = norm(x, block["LayerNorm_0"], eps)
    branch = attention(y, y, block["MultiHeadDotProductAttention_0"])
    x = x + branch * block.get("layer_scale_0", 1.0)
    y = mlp(
        norm(x, block["LayerNorm_1"], eps), block["MlpBlock_0"], vit.activation
    )
    x = x + y * block.get("layer_scale_1", 1.0)
    activations.append((x, branch))
  final = p["Transformer"]["encoder_norm"]
  if vit.final_norm == "before_pool":
    x = norm(x, final, eps)
  if vit.pool == "map":
    head = p["MAPHead_0"]
    x = attention(head["probe"][0], x, head["MultiHeadDotProductAttention_0"])
    y = norm(x, head["LayerNorm_0"], eps)
    x = (x + mlp(y, head["MlpBlock_0"], vit.activation))[0]
  else:
    x = x[0] if vit.pool == "tok" else x.mean(0)
  if vit.final_norm == "after_pool":
    x = norm(x, final, eps)
  return x, activations
