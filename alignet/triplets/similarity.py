"""Similarities of triplets and what follows from them.

Written once for NumPy and JAX: each function works in the namespace of its
arguments (JAX's where they differ), in at least float32 (float16 and bfloat16
are summed in float32), and is finite, as is its gradient, for every finite
input whose products do not overflow.

Symbols: z are representations, s = [s01, s02, s12] the similarities of the
three pairs, p = softmax(s) the probability that each pair is judged the most
similar one (softmax at temperature 1, natural logarithms, nats).
"""

from typing import Literal

from alignet.triplets.layout import PAIRS
import numpy as np

Kind = Literal["dot", "cosine"]

_MAX_BYTES = 2**29  # Of normalised rows in memory.


def normalise(x):
  """Unit-length vectors along the last axis; a zero vector stays zero.

  Dividing by the largest component first keeps the sum of squares from
  overflowing or vanishing.
  """
  xp, x = _as_float(x)
  largest = xp.max(xp.abs(x), axis=-1, keepdims=True)
  x = x / xp.where(largest > 0, largest, 1)
  squares = xp.sum(x * x, axis=-1, keepdims=True)
  return x / xp.sqrt(xp.where(squares > 0, squares, 1))


def pair_similarities(z, kind: Kind = "dot"):
  """Similarities of the three pairs of each triplet.

  Args:
    z: [..., 3, d] representations of the three objects.
    kind: "dot" or "cosine".

  Returns:
    [..., 3] in the order [s01, s02, s12].
  """
  xp, z = _as_float(z)
  if kind == "cosine":
    z = normalise(z)
  return xp.stack(
      [xp.sum(z[..., a, :] * z[..., b, :], axis=-1) for a, b in PAIRS], axis=-1
  )


def matrix(x, y=None, kind: Kind = "dot"):
  """All similarities of x [..., n, d] and y [..., m, d], x if None.

  Returns [..., n, m].
  """
  xp, x, y = _as_float(x, x if y is None else y)
  if kind == "cosine":
    x, y = normalise(x), normalise(y)
  return xp.matmul(x, xp.swapaxes(y, -1, -2))


def of_triplets(
    features: np.ndarray,
    triplets: np.ndarray,
    kind: Kind = "dot",
    *,
    rows: int = 256,
) -> np.ndarray:
  """Pair similarities of triplets of rows of a (memory-mapped) array.

  Cosines of many triplets take the time of dot products: the rows in use are
  normalised once, before they are gathered, where that copy is 512 MiB at most.

  Args:
    features: (n, d) NumPy array.
    triplets: (m, 3) row numbers.
    kind: "dot" or "cosine".
    rows: triplets gathered at a time; few enough to stay in the processor's
      cache.

  Returns:
    (m, 3) [s01, s02, s12], float32, or float64 where the features are.
  """
  dtype = np.float64 if features.dtype == np.float64 else np.float32
  if kind == "cosine":
    used, places = np.unique(triplets, return_inverse=True)
    if len(used) * features.shape[1] * np.dtype(dtype).itemsize <= _MAX_BYTES:
      features = normalise(np.asarray(features[used]))
      triplets, kind = places.reshape(-1, 3), "dot"
  out = np.empty((len(triplets), 3), dtype)
  for start in range(0, len(triplets), rows):
    block = slice(start, start + rows)
    out[block] = pair_similarities(features[triplets[block]], kind)
  return out


def log_choice_probabilities(s):
  """log softmax of [..., 3] pair similarities (Muttenthaler et al. 2025)."""
  xp, s = _as_float(s)
  s = s - xp.max(s, axis=-1, keepdims=True)
  return s - xp.log(xp.sum(xp.exp(s), axis=-1, keepdims=True))


def choice_probabilities(s):
  """softmax of [..., 3] pair similarities."""
  xp, s = _as_float(s)
  return xp.exp(log_choice_probabilities(s))


def entropy(log_p):
  """Entropy in nats of log probabilities, over the last axis; 0 log 0 = 0."""
  xp, log_p = _as_float(log_p)
  return -xp.sum(_weighted(xp, log_p, log_p), axis=-1)


def cross_entropy(log_p, log_q):
  """-sum p log q over the last axis, in nats; 0 log 0 = 0."""
  xp, log_p, log_q = _as_float(log_p, log_q)
  return -xp.sum(_weighted(xp, log_p, log_q), axis=-1)


def kl_divergence(log_p, log_q):
  """KL(p || q) = sum p (log p - log q) over the last axis, in nats."""
  xp, log_p, log_q = _as_float(log_p, log_q)
  # Where p is 0 the difference of two infinite logarithms must not be formed.
  zero = xp.isneginf(log_p)
  safe_p = xp.where(zero, 0, log_p)
  difference = xp.where(zero, 0, safe_p - xp.where(zero, 0, log_q))
  return xp.sum(xp.exp(log_p) * difference, axis=-1)


def js_divergence(log_p, log_q):
  """Jensen-Shannon divergence over the last axis, in nats, at most log 2.

  .5 KL(p || m) + .5 KL(q || m) with m = (p + q) / 2.
  """
  xp, log_p, log_q = _as_float(log_p, log_q)
  both_zero = xp.isneginf(log_p) & xp.isneginf(log_q)
  a = xp.where(both_zero, 0, log_p)
  b = xp.where(both_zero, 0, log_q)
  log_m = xp.where(both_zero, 0, xp.logaddexp(a, b) - np.log(2))
  return 0.5 * (kl_divergence(log_p, log_m) + kl_divergence(log_q, log_m))


def _weighted(xp, log_p, values):
  """p * values with 0 * anything = 0."""
  zero = xp.isneginf(log_p)
  return xp.exp(log_p) * xp.where(zero, 0, values)


def _as_float(*arrays):
  """The arrays' namespace and the arrays in at least float32.

  NumPy's only if all are NumPy's: JAX takes both.
  """
  arrays = [
      x if hasattr(x, "__array_namespace__") else np.asarray(x) for x in arrays
  ]
  spaces = [x.__array_namespace__() for x in arrays]
  xp = next((xp for xp in spaces if xp is not np), np)
  return xp, *(
      x
      if x.dtype.itemsize >= 4 and xp.isdtype(x.dtype, "real floating")
      else x.astype(xp.float32)
      for x in map(xp.asarray, arrays)
  )
