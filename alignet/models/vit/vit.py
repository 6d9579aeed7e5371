"""Vision transformers (Dosovitskiy et al. 2021), one family for all models.

The parameter tree is that of big_vision's `models/vit.py`: `embedding`,
`pos_embedding`, `cls`, `Transformer/encoderblock_{i}`,
`Transformer/encoder_norm`, `MAPHead_0`; what big_vision lacks is `pre_norm`
and `layer_scale_{0,1}` in a block. `alignet.models.vit.zoo` knows the fields of
published models.
"""

from collections.abc import Callable, Mapping
import typing
from typing import Any, Literal

from alignet import errors
from alignet.errors import AlignetError
from alignet.models.vit import positions
from alignet.models.vit.layers import Activation
from alignet.models.vit.layers import Attention
from alignet.models.vit.layers import MAPHead
from alignet.models.vit.layers import MlpBlock
from alignet.models.vit.layers import Weights
from alignet.models.vit.layers import drop
from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float

Pool = Literal["map", "gap", "tok"]
FinalNorm = Literal["before_pool", "after_pool"]


class EncoderBlock(nn.Module):
  """Norm, attention, norm, MLP, with two residual connections.

  Returns the residual stream, and once more beside what attention added to it,
  before any layer scale: a carry and an output, as `nn.scan` wants.
  """

  mlp_dim: int
  num_heads: int
  activation: Activation = "gelu_tanh"
  norm_epsilon: float = 1e-6
  layer_scale: float | None = None
  dropout: float = 0.0
  dtype: Any = None

  @nn.compact
  def __call__(
      self, x: Float[Array, "b n d"]
  ) -> tuple[Float[Array, "b n d"], tuple[Array, Array]]:
    norm = dict(epsilon=self.norm_epsilon, dtype=self.dtype)
    y = nn.LayerNorm(name="LayerNorm_0", **norm)(x)
    attention = Attention(
        num_heads=self.num_heads,
        dtype=self.dtype,
        name="MultiHeadDotProductAttention_0",
    )(y)
    x = x + drop(self._scale(attention, 0), self.dropout)
    y = nn.LayerNorm(name="LayerNorm_1", **norm)(x)
    y = MlpBlock(
        mlp_dim=self.mlp_dim,
        activation=self.activation,
        dropout=self.dropout,
        dtype=self.dtype,
        name="MlpBlock_0",
    )(y)
    x = x + drop(self._scale(y, 1), self.dropout)
    return x, (x, attention)

  def _scale(self, x: Array, i: int) -> Array:
    if self.layer_scale is None:
      return x
    init = nn.initializers.constant(self.layer_scale)
    scale = self.param(f"layer_scale_{i}", init, x.shape[-1:])
    return x * scale.astype(x.dtype)


class Encoder(nn.Module):
  """A stack of blocks and the final norm.

  Returns the tokens, and each block's residual stream and attention branch.

  Attributes:
    block: fields of each `EncoderBlock`.
    depth: number of blocks.
    reduce: what happens to the tokens before the final norm.
    remat: compute a block's activations again in the backward pass.
    scan: one compiled block in a loop; see `alignet.models.vit.blocks`.
  """

  block: Mapping[str, Any]
  depth: int
  reduce: Callable[[Array], Array] = lambda x: x
  remat: bool = False
  scan: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]):
    block = EncoderBlock
    if self.remat:
      block = nn.remat(block, prevent_cse=not self.scan)
    if self.scan:
      block = nn.scan(
          block,
          variable_axes={"params": 0},
          split_rngs={"params": True, "dropout": True},
          length=self.depth,
      )
      x, stacked = block(name="encoderblock", **self.block)(x)
      activations = [[a[i] for a in stacked] for i in range(self.depth)]
    else:
      activations = []
      for i in range(self.depth):
        x, pair = block(name=f"encoderblock_{i}", **self.block)(x)
        activations.append(pair)
    x = nn.LayerNorm(
        epsilon=self.block["norm_epsilon"],
        dtype=self.block["dtype"],
        name="encoder_norm",
    )(self.reduce(x))
    return x, activations


class ViT(nn.Module):
  """Images to one pooled representation each (`pre_logits`).

  Activations of every block are sown in the collection `intermediates`, at no
  cost unless asked for with `apply(…, mutable=["intermediates"])`: `layer_{k}`,
  the residual stream after block k, and `attention_{k}`, what block k's
  attention added to it (before layer scale), which is what AligNet's released
  models call layer_k. k counts from 0; (b, tokens, width), a class token first.

  Attributes:
    patch_size: side of a square patch in pixels.
    width: size of tokens and of the representation.
    depth: number of encoder blocks.
    num_heads: attention heads.
    mlp_dim: hidden size of the MLP; 4 * width where None.
    pool: "map" (attention pooling, as SigLIP), "gap" (mean of the tokens) or
      "tok" (class token).
    class_position: the class token has a position of its own, the first of
      `pos_embedding` (`transformers`); without, it has none (big_vision).
    patch_bias: the patch embedding has a bias; CLIP's has none.
    pre_norm: a layer norm before the first block, as CLIP.
    final_norm: the last norm is of the tokens, "before_pool", or of their
      pooled value, "after_pool". For a class token it is the same.
    activation: "gelu_tanh", "gelu" (exact) or "quick_gelu".
    norm_epsilon: of all layer norms.
    layer_scale: initial value of a learned factor on each channel of each
      branch, as DINOv2; None for no such factor.
    grid: (rows, columns) of patches that `pos_embedding` is made for; images
      of other sizes are met by resampling it, and pixels at the right and lower
      edge that fill no patch are left out (six of 384 in So400m/14). None: that
      of the first images, which must be whole patches.
    resampling: see `positions.resample`.
    dropout: rate, after positions, attention and both layers of the MLP, where
      Kauldron trains; elsewhere apply with `is_training_property=False`.
    remat: recompute each block in the backward pass, for memory.
    scan: loop over the blocks, for compile time; parameters are stacked, see
      `alignet.models.vit.blocks`.
    dtype: compute dtype, float32 where None. Parameters are always float32, and
      so are softmax and the statistics of layer norms.

  Images are float, already in the model's pixel range.

  Raises:
    AlignetError: an unknown pool, norm, activation or resampling, images that
      no whole number of patches covers, heads that do not divide the width.
  """

  patch_size: int
  width: int
  depth: int
  num_heads: int
  mlp_dim: int | None = None
  pool: Pool = "map"
  class_position: bool = False
  patch_bias: bool = True
  pre_norm: bool = False
  final_norm: FinalNorm = "before_pool"
  activation: Activation = "gelu_tanh"
  norm_epsilon: float = 1e-6
  layer_scale: float | None = None
  grid: tuple[int, int] | None = None
  resampling: positions.Method = "bicubic"
  dropout: float = 0.0
  remat: bool = False
  scan: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
    self._check(images)
    x, grid = self._embed_patches(images)
    x = self._add_positions(x, grid)
    x = drop(x, self.dropout)
    norm = dict(epsilon=self.norm_epsilon, dtype=self.dtype)
    if self.pre_norm:
      x = nn.LayerNorm(name="pre_norm", **norm)(x)
    mlp_dim = self.mlp_dim or 4 * self.width
    pool = {
        "map": MAPHead(
            name="MAPHead_0",
            mlp_dim=mlp_dim,
            num_heads=self.num_heads,
            activation=self.activation,
            norm_epsilon=self.norm_epsilon,
            dtype=self.dtype,
        ),
        "gap": lambda x: x.mean(axis=1),
        "tok": lambda x: x[:, 0],
    }[self.pool]
    early = self.final_norm == "after_pool" or self.pool == "tok"
    x, activations = Encoder(
        name="Transformer",
        block=dict(
            mlp_dim=mlp_dim,
            num_heads=self.num_heads,
            activation=self.activation,
            norm_epsilon=self.norm_epsilon,
            layer_scale=self.layer_scale,
            dropout=self.dropout,
            dtype=self.dtype,
        ),
        depth=self.depth,
        reduce=pool if early else lambda x: x,
        remat=self.remat,
        scan=self.scan,
    )(x)
    for k, (residual, attention) in enumerate(activations):
      self.sow("intermediates", f"layer_{k}", residual, **_REPLACE)
      self.sow("intermediates", f"attention_{k}", attention, **_REPLACE)
    return x if early else pool(x)

  def forward_flops(self, height: int, width: int | None = None) -> float:
    """FLOP of one image's forward pass: two per multiply-add, products only.

    Training takes three times as many: the backward pass has a product for the
    weights' gradient and one for the inputs' for each of the forward pass.

    Args:
      height: pixels.
      width: pixels; the height's if None.
    """
    patch, d = self.patch_size, self.width
    mlp = self.mlp_dim or 4 * d
    patches = (height // patch) * ((width or height) // patch)
    tokens = patches + (self.pool == "tok")
    embed = patches * patch**2 * 3 * d
    block = tokens * (4 * d * d + 2 * tokens * d + 2 * d * mlp)
    # Attention pooling: keys and values of all tokens, one query.
    head = 2 * tokens * d * d + 2 * tokens * d + 2 * d * d + 2 * d * mlp
    return 2.0 * (embed + self.depth * block + (self.pool == "map") * head)

  def _check(self, images: Array) -> None:
    for name, values in (("pool", Pool), ("final_norm", FinalNorm)):
      errors.check_choice(name, getattr(self, name), typing.get_args(values))
    if self.width % self.num_heads:
      raise AlignetError(
          f"a width of {self.width} cannot be shared by {self.num_heads} heads"
      )
    height, width = images.shape[1:3]
    rest = height % self.patch_size or width % self.patch_size
    if min(height, width) < self.patch_size or (rest and not self.grid):
      raise AlignetError(
          f"images of {height} x {width} pixels cannot be cut into patches of"
          f" {self.patch_size}; change the images' size or patch_size"
      )

  def _embed_patches(self, images: Array) -> tuple[Array, tuple[int, int]]:
    """A convolution whose stride is its size, as one matrix product."""
    batch, height, width, channels = images.shape
    p = self.patch_size
    rows, columns, n = height // p, width // p, p * p * channels
    kernel, bias = Weights(
        shape=(p, p, channels, self.width),
        bias=(self.width,) if self.patch_bias else None,
        fan=(n, self.width),
        kernel_init=nn.initializers.lecun_normal(),
        dtype=self.dtype,
        name="embedding",
    )()
    x = images[:, : rows * p, : columns * p].astype(kernel.dtype)
    x = x.reshape(batch, rows, p, columns, p, channels)
    x = x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, n)
    x = x @ kernel.reshape(n, self.width)
    x = x if bias is None else x + bias
    return x.reshape(batch, rows * columns, self.width), (rows, columns)

  def _add_positions(self, x: Array, grid: tuple[int, int]) -> Array:
    own = self.grid or grid
    extra = self.pool == "tok" and self.class_position
    values = self.param(
        "pos_embedding",
        nn.initializers.normal(stddev=self.width**-0.5),
        (1, extra + own[0] * own[1], self.width),
    )
    if tuple(own) != grid:
      values = positions.resample(values, own, grid, self.resampling)
    values = values.astype(x.dtype)
    if self.pool != "tok":
      return x + values
    cls = self.param("cls", nn.initializers.zeros, (1, 1, self.width))
    cls = jnp.tile(cls.astype(x.dtype), (x.shape[0], 1, 1))
    if self.class_position:
      return jnp.concatenate([cls, x], axis=1) + values
    return jnp.concatenate([cls, x + values], axis=1)


# The value itself, not the tuple of values that Flax collects.
_REPLACE = {"init_fn": lambda: None, "reduce_fn": lambda old, new: new}
