"""Rows of triplets by a rule over groups, one row at a time.

Row r of seed s has eight uniform numbers u for itself, multiples of 2^-53 in
[0, 1): the two 256-bit blocks at counters 2r + 1 and 2r + 2 of Philox 4x64-10
(Salmon et al. 2011) with s as its key, as `np.random.Philox` gives them. Which
of them a rule uses for what is part of every sampled file: never change it.

floor(u * m) is an integer in [0, m); its probability differs from 1 / m by less
than 2^-52. Distinct integers are drawn without rejection: the second from m - 1
values, moved up by one from the first on, and so on.
"""

from alignet.triplets.compiling import kernel
from llvmlite import ir
from numba import extending
from numba import types
import numpy as np

_RANDOM, _BETWEEN, _BORDER, _WITHIN = range(4)
_RULES = {
    "random": _RANDOM,
    "between": _BETWEEN,
    "border": _BORDER,
    "within": _WITHIN,
}


def draw(
    rule: str,
    law: str,
    images: np.ndarray,
    sizes: np.ndarray,
    offsets: np.ndarray,
    group_of: np.ndarray,
    seed: int,
    start: int,
    out: np.ndarray,
) -> None:
  """Draws rows from `start` on.

  Args:
    rule: "random", "between", "border" or "within".
    law: "groups" or "images".
    images: (m,) int32, image numbers sorted by group.
    sizes: (k,) int64, images of each group.
    offsets: (k,) int64, position of each group's first image.
    group_of: (m,) int32, group of each position.
    seed: from 0 to 2^128 - 1.
    start: number of the first row.
    out: (n, 3) int32, filled. Under border the pair comes first.
  """
  _draw(
      _RULES[rule],
      law == "images",
      *(images, sizes, offsets, group_of),
      np.array([seed % 2**64, seed >> 64], np.uint64),
      np.uint64(start),
      out,
  )


@extending.intrinsic
def _multiply_high(typing_context, a, b):
  """The upper 64 bits of the product of two uint64, in LLVM's words."""
  del typing_context, a, b

  def generate(context, builder, signature, arguments):
    del context, signature
    wide = ir.IntType(128)
    x, y = (builder.zext(argument, wide) for argument in arguments)
    product = builder.mul(x, y)
    high = builder.lshr(product, ir.Constant(wide, 64))
    return builder.trunc(high, ir.IntType(64))

  return types.uint64(types.uint64, types.uint64), generate


@kernel
def _philox(counter, key):
  """Four uniform numbers at a counter."""
  c0, c1, c2, c3 = counter, np.uint64(0), np.uint64(0), np.uint64(0)
  k0, k1 = key[0], key[1]
  m0, m1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
  for _ in range(10):
    high0, low0 = _multiply_high(m0, c0), m0 * c0
    high1, low1 = _multiply_high(m1, c2), m1 * c2
    c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
    k0 += np.uint64(0x9E3779B97F4A7C15)
    k1 += np.uint64(0xBB67AE8584CAA73B)
  bits = np.uint64(11)
  return (
      np.float64(c0 >> bits) * 2.0**-53,
      np.float64(c1 >> bits) * 2.0**-53,
      np.float64(c2 >> bits) * 2.0**-53,
      np.float64(c3 >> bits) * 2.0**-53,
  )


@kernel
def _second(u, m, first):
  """An integer in [0, m) that is not the first."""
  x = np.int64(u * (m - 1))
  return x + (x >= first)


@kernel
def _third(u, m, first, second):
  """An integer in [0, m) that is neither of two."""
  x = np.int64(u * (m - 2))
  x += x >= min(first, second)
  return x + (x >= max(first, second))


@kernel
def _skip(x, start, length):
  """Moves an integer past the interval [start, start + length)."""
  return x + (length if x >= start else 0)


@kernel
def _draw(rule, by_images, images, sizes, offsets, group_of, key, start, out):
  total, groups = len(images), len(sizes)
  for row in range(len(out)):
    counter = np.uint64(2) * (start + np.uint64(row)) + np.uint64(1)
    u0, u1, u2, u3 = _philox(counter, key)
    if rule == _RANDOM:
      a = np.int64(u0 * total)
      b = _second(u1, total, a)
      c = _third(u2, total, a, b)
    elif by_images:
      a = np.int64(u0 * total)
      g = group_of[a]
      begin, size = offsets[g], sizes[g]
      if rule == _BETWEEN:
        b = _skip(np.int64(u1 * (total - size)), begin, size)
        h = group_of[b]
        c = np.int64(u2 * (total - size - sizes[h]))
        c = _skip(c, offsets[min(g, h)], sizes[min(g, h)])
        c = _skip(c, offsets[max(g, h)], sizes[max(g, h)])
      else:  # Others of the first one's group: the first is left out.
        second = np.int64(u1 * (size - 1))
        b = begin + _skip(second, a - begin, 1)
        if rule == _BORDER:
          c = _skip(np.int64(u2 * (total - size)), begin, size)
        else:
          c = begin + _skip(_second(u2, size - 1, second), a - begin, 1)
    elif rule == _WITHIN:
      g = np.int64(u0 * groups)
      begin, size = offsets[g], sizes[g]
      a = np.int64(u1 * size)
      b = _second(u2, size, a)
      c = begin + _third(u3, size, a, b)
      a += begin
      b += begin
    else:
      u4, u5, _, _ = _philox(counter + np.uint64(1), key)
      g = np.int64(u0 * groups)
      h = _second(u1, groups, g)
      if rule == _BORDER:
        a = np.int64(u2 * sizes[g])
        b = offsets[g] + _second(u3, sizes[g], a)
        a += offsets[g]
        c = offsets[h] + np.int64(u4 * sizes[h])
      else:
        i = _third(u2, groups, g, h)
        a = offsets[g] + np.int64(u3 * sizes[g])
        b = offsets[h] + np.int64(u4 * sizes[h])
        c = offsets[i] + np.int64(u5 * sizes[i])
    out[row, 0], out[row, 1], out[row, 2] = images[a], images[b], images[c]
