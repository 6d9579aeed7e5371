"""The divergence over every triplet there is, by blocks.

n objects make n (n - 1) (n - 2) / 6 triplets: 1.06e9 for the 1,854 of THINGS,
whose probabilities would fill 12 GB. They follow from two matrices of pair
similarities, the model's and the human embedding's, so nothing is stored: a
block of triplets at a time is formed, compared and forgotten. What a training
on sampled triplets estimates is known exactly, and so is its gradient.
"""

import functools
import itertools

from alignet import similarity
import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 128
"""Objects a side of a block: enough for all cores, little beside memory."""


@functools.partial(jax.jit, static_argnames=("block",))
def divergence(
    z: jax.Array, human: jax.Array, *, block: int = _BLOCK
) -> jax.Array:
  """Mean KL(pi || p) in nats over all triplets of n objects.

  p are the choice probabilities of the dot products of z, pi those of the
  human embedding (`soft_point`). Differentiable with respect to z.

  Args:
    z: [n, k] transformed representations, n at least 3.
    human: [n, c] human embedding.
    block: objects a side of a block.

  Returns:
    A scalar.
  """
  n = len(z)
  pad = [(0, -n % block)] * 2
  model, people = (jnp.pad(similarity.matrix(x), pad) for x in (z, human))
  blocks = itertools.combinations_with_replacement(range(-(-n // block)), 3)
  starts = block * np.array(list(blocks), np.int32)

  # Recomputed for the gradient: logits of a block are cheaper than memory.
  @jax.checkpoint
  def add(total, start):
    i, j, k = start[:, None] + jnp.arange(block)
    i, j = i[:, None, None], j[None, :, None]
    used = (i < j) & (j < k) & (k < n)
    h, s = (_pairs(x, start, block) for x in (people, model))
    log_pi, log_sum = _logsumexp(h), _logsumexp(s)
    values = sum(jnp.exp(a - log_pi) * (a - b) for a, b in zip(h, s))
    return total + jnp.sum(jnp.where(used, values - log_pi + log_sum, 0)), None

  total, _ = jax.lax.scan(add, jnp.zeros((), model.dtype), starts)
  return total / (n * (n - 1) * (n - 2) / 6)


def _pairs(s, start, block):
  """The three pair similarities of a block, each spread over one axis less."""
  i, j, k = start
  part = lambda a, b: jax.lax.dynamic_slice(s, (a, b), (block, block))
  return part(i, j)[:, :, None], part(i, k)[:, None, :], part(j, k)[None]


def _logsumexp(s):
  """Of three arrays that broadcast to a block."""
  largest = jax.lax.stop_gradient(jnp.maximum(jnp.maximum(s[0], s[1]), s[2]))
  return largest + jnp.log(sum(jnp.exp(x - largest) for x in s))
