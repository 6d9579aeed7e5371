"""Attention, MLP and attention pooling, with big_vision's names.

Parameters are float32. Matrix products and the residual stream have the
compute dtype; softmax and the statistics of layer norms are float32 always.
"""

import functools
import typing
from typing import Any, Literal

from alignet.errors import AlignetError
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from kauldron.modules import misc
from kauldron.utils import train_property  # noqa: F401  # Gives `apply` its keyword.

Activation = Literal["gelu_tanh", "gelu", "quick_gelu"]

_ACTIVATIONS = {
    "gelu_tanh": functools.partial(nn.gelu, approximate=True),
    "gelu": functools.partial(nn.gelu, approximate=False),
    # The sigmoid approximation of Hendrycks & Gimpel (2016), as CLIP has it.
    "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
}
assert set(_ACTIVATIONS) == set(typing.get_args(Activation))


class Weights(nn.Module):
  """Kernel and bias of a projection, in the compute dtype.

  The layers below multiply by hand, so that shapes in files are big_vision's
  and shapes of products are the fast ones. Kernels start as if the projection
  were a plain matrix of `fan` inputs and outputs.
  """

  shape: tuple[int, ...]
  bias: tuple[int, ...] | None
  fan: tuple[int, ...]
  kernel_init: Any = nn.initializers.xavier_uniform()
  bias_init: Any = nn.initializers.zeros
  dtype: Any = None

  @nn.compact
  def __call__(self) -> tuple[Array, Array | None]:
    kernel = self.param(
        "kernel",
        lambda key: self.kernel_init(key, self.fan).reshape(self.shape),
    )
    bias = None
    if self.bias is not None:
      bias = self.param("bias", self.bias_init, self.bias)
    return nn.dtypes.promote_dtype(kernel, bias, dtype=self.dtype)


class Attention(nn.Module):
  """Multi-head attention of `queries` to `tokens`.

  One product makes queries, keys and values where both are the same, and the
  softmax is divided out after the values are summed: that touches the large
  (queries x tokens) matrix less often, forward and backward.
  """

  num_heads: int
  dtype: Any = None

  @nn.compact
  def __call__(
      self,
      queries: Float[Array, "b q d"],
      tokens: Float[Array, "b n d"] | None = None,
  ) -> Float[Array, "b q d"]:
    batch, n_queries, width = queries.shape
    heads, size = self.num_heads, width // self.num_heads
    weights = functools.partial(Weights, fan=(width, width), dtype=self.dtype)
    kernels, biases = {}, {}
    for name in ("query", "key", "value"):
      kernel, bias = weights(
          shape=(width, heads, size), bias=(heads, size), name=name
      )()
      # The logits' scale costs least here.
      scale = size**-0.5 if name == "query" else 1.0
      kernels[name] = (kernel * scale).reshape(width, width)
      biases[name] = (bias * scale).reshape(width)

    def project(x, *names):
      """(b, n, d) -> (b, heads, n, size) for each name."""
      kernel = jnp.concatenate([kernels[name] for name in names], axis=1)
      bias = jnp.concatenate([biases[name] for name in names])
      y = x.reshape(-1, width) @ kernel + bias
      y = y.reshape(batch, -1, len(names), heads, size)
      return y.transpose(2, 0, 3, 1, 4)

    if tokens is None:
      q, k, v = project(queries, "query", "key", "value")
    else:
      (q,), (k, v) = project(queries, "query"), project(tokens, "key", "value")
    logits = jnp.einsum(
        "bhqe,bhke->bhqk", q, k, preferred_element_type=jnp.float32
    )
    largest = jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True))
    weight = jnp.exp(logits - largest)
    total = weight.sum(axis=-1, keepdims=True)
    y = jnp.einsum(
        "bhqk,bhke->bhqe",
        weight.astype(v.dtype),
        v,
        preferred_element_type=jnp.float32,
    )
    y = (y / total).astype(v.dtype).transpose(0, 2, 1, 3)
    kernel, bias = weights(
        shape=(heads, size, width), bias=(width,), name="out"
    )()
    y = y.reshape(-1, width) @ kernel.reshape(width, width) + bias
    return y.reshape(batch, n_queries, width)


class MlpBlock(nn.Module):
  """Two dense layers with an activation in between."""

  mlp_dim: int
  activation: Activation = "gelu_tanh"
  dropout: float = 0.0
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    if self.activation not in _ACTIVATIONS:
      raise AlignetError(
          f"activation: expected {', '.join(_ACTIVATIONS)}; found"
          f" {self.activation!r}"
      )
    width = x.shape[-1]
    init = dict(
        kernel_init=nn.initializers.xavier_uniform(),
        bias_init=nn.initializers.normal(stddev=1e-6),
        dtype=self.dtype,
    )
    x = nn.Dense(self.mlp_dim, name="Dense_0", **init)(x)
    x = _ACTIVATIONS[self.activation](x)
    x = drop(x, self.dropout)
    return nn.Dense(width, name="Dense_1", **init)(x)


class MAPHead(nn.Module):
  """Attention pooling (Lee et al. 2019): a learned probe attends to tokens."""

  mlp_dim: int
  num_heads: int
  activation: Activation = "gelu_tanh"
  norm_epsilon: float = 1e-6
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b d"]:
    batch, _, width = x.shape
    probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, width))
    probe = jnp.tile(probe.astype(x.dtype), (batch, 1, 1))
    x = Attention(
        num_heads=self.num_heads,
        dtype=self.dtype,
        name="MultiHeadDotProductAttention_0",
    )(probe, x)
    y = nn.LayerNorm(
        epsilon=self.norm_epsilon, dtype=self.dtype, name="LayerNorm_0"
    )(x)
    x = x + MlpBlock(
        mlp_dim=self.mlp_dim,
        activation=self.activation,
        dtype=self.dtype,
        name="MlpBlock_0",
    )(y)
    return x[:, 0]


def drop(x: Array, rate: float) -> Array:
  """Dropout where Kauldron trains (`is_training_property`), else nothing."""
  return misc.Dropout(rate)(x) if rate else x
