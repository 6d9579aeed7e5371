"""Vision transformer (Dosovitskiy et al. 2021) with big_vision's names.

The parameter tree is that of big_vision's `models/vit.py`: `embedding`,
`pos_embedding`, `cls`, `Transformer/encoderblock_{i}`,
`Transformer/encoder_norm`, `MAPHead_0`.
"""

import typing
from typing import Any, Literal

from alignet.errors import AlignetError
from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float

Pool = Literal["map", "gap", "tok"]


class MlpBlock(nn.Module):
  """Two dense layers with tanh-approximated GELU in between."""

  mlp_dim: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "*b n d"]) -> Float[Array, "*b n d"]:
    width = x.shape[-1]
    init = dict(
        kernel_init=nn.initializers.xavier_uniform(),
        bias_init=nn.initializers.normal(stddev=1e-6),
        dtype=self.dtype,
    )
    x = nn.Dense(self.mlp_dim, **init)(x)
    x = nn.gelu(x, approximate=True)
    return nn.Dense(width, **init)(x)


class EncoderBlock(nn.Module):
  """Pre-norm self-attention and MLP, each with a residual connection."""

  mlp_dim: int
  num_heads: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    y = nn.LayerNorm(dtype=self.dtype)(x)
    y = nn.MultiHeadDotProductAttention(
        num_heads=self.num_heads,
        kernel_init=nn.initializers.xavier_uniform(),
        dtype=self.dtype,
        deterministic=True,
    )(y, y)
    x = x + y
    y = nn.LayerNorm(dtype=self.dtype)(x)
    return x + MlpBlock(mlp_dim=self.mlp_dim, dtype=self.dtype)(y)


class Encoder(nn.Module):
  """A stack of encoder blocks and the final layer norm."""

  depth: int
  mlp_dim: int
  num_heads: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    for i in range(self.depth):
      x = EncoderBlock(
          name=f"encoderblock_{i}",
          mlp_dim=self.mlp_dim,
          num_heads=self.num_heads,
          dtype=self.dtype,
      )(x)
    return nn.LayerNorm(name="encoder_norm", dtype=self.dtype)(x)


class MAPHead(nn.Module):
  """Multi-head attention pooling: a learned probe attends to the tokens."""

  mlp_dim: int
  num_heads: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b d"]:
    batch, _, width = x.shape
    probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, width))
    probe = jnp.tile(probe.astype(x.dtype), (batch, 1, 1))
    x = nn.MultiHeadDotProductAttention(
        num_heads=self.num_heads,
        kernel_init=nn.initializers.xavier_uniform(),
        dtype=self.dtype,
        deterministic=True,
    )(probe, x)
    y = nn.LayerNorm(dtype=self.dtype)(x)
    x = x + MlpBlock(mlp_dim=self.mlp_dim, dtype=self.dtype)(y)
    return x[:, 0]


class ViT(nn.Module):
  """Images to one pooled representation each (`pre_logits`).

  Attributes:
    patch_size: side of a square patch in pixels.
    width: size of tokens and of the representation.
    depth: number of encoder blocks.
    num_heads: attention heads.
    mlp_dim: hidden size of the MLP; 4 * width where None.
    pool: "map" (attention pooling, as SigLIP), "gap" (mean of the tokens) or
      "tok" (class token).
    dtype: compute dtype, float32 where None; parameters are always float32.

  Images are float, already in the model's pixel range.

  Raises:
    AlignetError: an unknown pool, images that no whole number of patches
      covers, heads that do not divide the width.
  """

  patch_size: int
  width: int
  depth: int
  num_heads: int
  mlp_dim: int | None = None
  pool: Pool = "map"
  dtype: Any = None

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
    height, width = images.shape[1:3]
    if self.pool not in typing.get_args(Pool):
      raise AlignetError(f"pool: expected map, gap or tok, found {self.pool!r}")
    if self.width % self.num_heads:
      raise AlignetError(
          f"a width of {self.width} cannot be shared by {self.num_heads} heads"
      )
    if height % self.patch_size or width % self.patch_size:
      raise AlignetError(
          f"images of {height} x {width} pixels cannot be cut into patches of"
          f" {self.patch_size}; change the images' size or patch_size"
      )
    x = nn.Conv(
        self.width,
        (self.patch_size, self.patch_size),
        strides=(self.patch_size, self.patch_size),
        padding="VALID",
        name="embedding",
        dtype=self.dtype,
    )(images)
    batch, rows, columns, _ = x.shape
    x = x.reshape(batch, rows * columns, self.width)
    x = x + self.param(
        "pos_embedding",
        nn.initializers.normal(stddev=self.width**-0.5),
        (1, rows * columns, self.width),
    ).astype(x.dtype)
    if self.pool == "tok":
      cls = self.param("cls", nn.initializers.zeros, (1, 1, self.width))
      cls = jnp.tile(cls.astype(x.dtype), (batch, 1, 1))
      x = jnp.concatenate([cls, x], axis=1)
    mlp_dim = self.mlp_dim or 4 * self.width
    x = Encoder(
        name="Transformer",
        depth=self.depth,
        mlp_dim=mlp_dim,
        num_heads=self.num_heads,
        dtype=self.dtype,
    )(x)
    if self.pool == "map":
      return MAPHead(
          name="MAPHead_0",
          mlp_dim=mlp_dim,
          num_heads=self.num_heads,
          dtype=self.dtype,
      )(x)
    return x[:, 0] if self.pool == "tok" else x.mean(axis=1)
