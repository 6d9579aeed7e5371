"""The divergence over every triplet there is, by blocks.

n objects make n (n - 1) (n - 2) / 6 triplets: 1.06e9 for the 1,854 of THINGS,
whose probabilities would fill 12 GB. Those of a human embedding follow from its
matrix of pair similarities, so nothing is stored: a block of triplets at a time
is formed, compared and forgotten. Probabilities of another origin, a file or a
posterior predictive, are asked for a block at a time. What a training on
sampled triplets estimates is known exactly, and so is its gradient.
"""

from collections.abc import Callable
import functools
import itertools

from alignet.errors import AlignetError
from alignet.io import progress
from alignet.triplets import similarity
import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 128
"""Objects a side of a block: enough for all cores, little beside memory."""

Given = Callable[[np.ndarray], np.ndarray]
"""From triplets (m, 3), i < j < k, to probabilities (m, 3) of their pairs."""


def divergence(
    z: jax.Array, human: jax.Array | Given, *, block: int = _BLOCK
) -> jax.Array:
  """Mean KL(pi || p) in nats over all triplets of n objects.

  p are the choice probabilities of the dot products of z. Differentiable with
  respect to z; with a function not inside `jax.jit`, since it is called here.

  Args:
    z: [n, k] transformed representations, n at least 3.
    human: [n, c] human embedding, pi being those of its dot products
      (`soft_point`); or a function that gives pi of some triplets [s01, s02,
      s12], such as `lambda t: p[exhaustive.rank(t, n)]` for a memory map of all
      of them, or `lambda t: vice.posterior_predictive(mu, sigma, t)[0]`.
    block: objects a side of a block; a function is called with up to the third
      power of it.

  Returns:
    A scalar.

  Raises:
    AlignetError: a function gives no probabilities, with the triplet.
  """
  if callable(human):
    return _given(z, human, block)
  return _of_embedding(z, human, block)


def rank(triplets: np.ndarray, n: int) -> np.ndarray:
  """Number of each triplet among all of n objects.

  Args:
    triplets: (m, 3) integers, 0 <= i < j < k < n.
    n: number of objects.

  Returns:
    (m,) int64, in the order of `itertools.combinations(range(n), 3)`.
  """
  i, j, k = np.asarray(triplets, np.int64).T
  pairs = lambda m: m * (m - 1) // 2
  threes = lambda m: m * (m - 1) * (m - 2) // 6
  before = threes(n) - threes(n - i)
  return before + pairs(n - i - 1) - pairs(n - j) + k - j - 1


@functools.partial(jax.jit, static_argnames=("block",))
def _of_embedding(z, human, block):
  n = len(z)
  model, people = (_matrix(x, block) for x in (z, human))

  # Recomputed for the gradient: logits of a block are cheaper than memory.
  @jax.checkpoint
  def add(total, start):
    h, s = (_pairs(x, start, block) for x in (people, model))
    log_pi, log_sum = _logsumexp(h), _logsumexp(s)
    values = sum(jnp.exp(a - log_pi) * (a - b) for a, b in zip(h, s))
    values = values - log_pi + log_sum
    return total + jnp.sum(jnp.where(_used(start, n, block), values, 0)), None

  total, _ = jax.lax.scan(add, jnp.zeros((), model.dtype), _starts(n, block))
  return total / _count(n)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _given(z, probabilities, block):
  model = _matrix(z, block)
  n = len(z)
  total = sum(
      _of_block(model, start, pi, n)
      for start, pi in _targets(probabilities, n, block)
  )
  return total / _count(n)


def _given_forward(z, probabilities, block):
  """The value, and its gradient by z from that by z z'."""
  model = _matrix(z, block)
  n = len(z)
  total, slope = jnp.zeros((), model.dtype), jnp.zeros_like(model)
  for start, pi in _targets(probabilities, n, block):
    value, gradient = _of_block_with_gradient(model, start, pi, n)
    total, slope = total + value, slope + gradient
  slope = slope[:n, :n]
  return total / _count(n), (slope + slope.T) @ z / _count(n)


def _given_backward(probabilities, block, gradient, cotangent):
  del probabilities, block
  return (cotangent * gradient,)


_given.defvjp(_given_forward, _given_backward)


def _targets(probabilities, n, block):
  """Start and pi [block, block, block, 3] of each block that has triplets."""
  for start in progress.bar(_starts(n, block), desc="triplets", unit="block"):
    used = np.asarray(_used(start, n, block))
    triplets = start + np.argwhere(used)
    if not len(triplets):
      continue
    p = np.asarray(probabilities(triplets))
    if p.shape != triplets.shape:
      raise AlignetError(
          f"probabilities: expected shape {triplets.shape}, found {p.shape}"
      )
    # Not the other way round: a NaN is none of what is expected.
    good = (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) < 1e-3)
    if not good.all():
      row = int(np.argmin(good))
      raise AlignetError(
          f"probabilities of triplet {triplets[row].tolist()} are"
          f" {p[row].tolist()}; expected three of at least 0 that sum to one"
      )
    pi = np.zeros((block,) * 3 + (3,), p.dtype)
    pi[used] = p
    yield start, pi


@functools.partial(jax.jit, static_argnames=("n",))
def _of_block(model, start, pi, n):
  """Sum of the divergences of a block."""
  block = len(pi)
  s = _pairs(model, start, block)
  known = pi > 0
  values = jnp.sum(pi * jnp.log(jnp.where(known, pi, 1)), axis=-1)
  values = values + _logsumexp(s) - sum(pi[..., c] * s[c] for c in range(3))
  return jnp.sum(jnp.where(_used(start, n, block), values, 0))


_of_block_with_gradient = jax.jit(
    jax.value_and_grad(_of_block), static_argnames=("n",)
)


def _matrix(x, block):
  """x x', padded to whole blocks."""
  return jnp.pad(similarity.matrix(jnp.asarray(x)), [(0, -len(x) % block)] * 2)


def _starts(n, block) -> np.ndarray:
  """(blocks, 3) first objects of each block."""
  blocks = itertools.combinations_with_replacement(range(-(-n // block)), 3)
  return block * np.array(list(blocks), np.int32)


def _used(start, n, block):
  """[block, block, block] which of a block are triplets i < j < k < n."""
  i, j, k = start[:, None] + np.arange(block)
  i, j = i[:, None, None], j[None, :, None]
  return (i < j) & (j < k) & (k < n)


def _count(n):
  return n * (n - 1) * (n - 2) / 6


def _pairs(s, start, block):
  """The three pair similarities of a block, each spread over one axis less."""
  i, j, k = start
  part = lambda a, b: jax.lax.dynamic_slice(s, (a, b), (block, block))
  return part(i, j)[:, :, None], part(i, k)[:, None, :], part(j, k)[None]


def _logsumexp(s):
  """Of three arrays that broadcast to a block."""
  largest = jax.lax.stop_gradient(jnp.maximum(jnp.maximum(s[0], s[1]), s[2]))
  return largest + jnp.log(sum(jnp.exp(x - largest) for x in s))
