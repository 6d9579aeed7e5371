"""Sampling in NumPy: what the kernel must give, bit for bit."""

import dataclasses

import numpy as np

DRAWS = 8
"""Random numbers reserved for a row, more than any rule uses.

A constant: to change it is to change every sampled file.
"""

_PER_COUNTER = 4  # Philox yields four 64-bit numbers a counter value.


def uniforms(seed: int, start: int, stop: int) -> np.ndarray:
  """Uniform numbers of rows start to stop.

  Philox 4x64-10 (Salmon et al. 2011) with the seed as its key; row r has the
  counter values 2r and 2r + 1 for itself.

  Args:
    seed: key, from 0 to 2^128 - 1.
    start: first row.
    stop: row after the last.

  Returns:
    (stop - start, 8) float64, multiples of 2^-53 in [0, 1).
  """
  philox = np.random.Philox(key=seed)
  philox.advance(start * (DRAWS // _PER_COUNTER))
  raw = philox.random_raw((stop - start) * DRAWS)
  return (raw.reshape(-1, DRAWS) >> np.uint64(11)) * 2.0**-53


def integers(u: np.ndarray, m: np.ndarray | int) -> np.ndarray:
  """Maps uniform numbers in [0, 1) to integers in [0, m).

  floor(u * m) with u a multiple of 2^-53: the probability of each integer
  differs from 1 / m by less than 2^-52, which for a million images is one part
  in four billion. For m < 2^53 the product never rounds up to m.
  """
  return (u * m).astype(np.int64)


def distinct(u: np.ndarray, m: np.ndarray | int) -> np.ndarray:
  """Maps (n, c) uniform numbers, c <= 3, to c distinct integers in [0, m).

  All ordered choices are equally likely. Without rejection: the second integer
  is drawn from m - 1 values and moved up by one from the first on, and so on.

  Args:
    u: (n, c) in [0, 1).
    m: number of values, or (n,) of them; at least c.

  Returns:
    (n, c) int64.
  """
  drawn = []
  for column in range(u.shape[1]):
    x = integers(u[:, column], m - column)
    for taken in np.sort(np.array(drawn), axis=0) if drawn else ():
      x += x >= taken
    drawn.append(x)
  return np.stack(drawn, axis=1)


def skip(x: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
  """Moves integers past the interval [start, start + length).

  Integers drawn from m - length values become integers of m values outside of
  the interval. To skip several intervals, take them in ascending order.
  """
  return x + np.where(x >= start, length, 0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
  """Images sorted by group.

  Attributes:
    sizes: (k,) images of each group.
    offsets: (k,) position of each group's first image.
    group_of: (m,) group of each position.
  """

  sizes: np.ndarray
  offsets: np.ndarray
  group_of: np.ndarray

  @classmethod
  def of_sizes(cls, sizes: np.ndarray) -> "Layout":
    sizes = np.asarray(sizes, np.int64)
    return cls(
        sizes=sizes,
        offsets=np.cumsum(sizes) - sizes,
        group_of=np.repeat(np.arange(len(sizes)), sizes),
    )


def draw(rule, law, layout: Layout, u: np.ndarray) -> np.ndarray:
  """Positions of the images of each row.

  Args:
    rule: one of the four.
    law: "groups" or "images"; of no consequence for the rule random.
    layout: images by group, all groups large enough for the rule.
    u: (n, 8) uniform numbers.

  Returns:
    (n, 3) int64 positions, distinct in a row. Under border the pair comes
    first.
  """
  if rule == "random":
    return distinct(u[:, :3], len(layout.group_of))
  pick = {"between": _between, "border": _border, "within": _within}[rule]
  return pick(law, layout, u)


def _between(law, layout: Layout, u: np.ndarray) -> np.ndarray:
  sizes, offsets, group_of = layout.sizes, layout.offsets, layout.group_of
  if law == "groups":
    groups = distinct(u[:, :3], len(sizes))
    return offsets[groups] + integers(u[:, 3:6], sizes[groups])
  total = len(group_of)
  first = integers(u[:, 0], total)
  a = group_of[first]
  second = integers(u[:, 1], total - sizes[a])
  second = skip(second, offsets[a], sizes[a])
  b = group_of[second]
  third = integers(u[:, 2], total - sizes[a] - sizes[b])
  for g in (np.minimum(a, b), np.maximum(a, b)):
    third = skip(third, offsets[g], sizes[g])
  return np.stack([first, second, third], axis=1)


def _border(law, layout: Layout, u: np.ndarray) -> np.ndarray:
  sizes, offsets, group_of = layout.sizes, layout.offsets, layout.group_of
  if law == "groups":
    a, b = distinct(u[:, :2], len(sizes)).T
    pair = offsets[a, None] + distinct(u[:, 2:4], sizes[a])
    odd = offsets[b] + integers(u[:, 4], sizes[b])
  else:
    pair, a = _images_of_one_group(layout, u[:, :2])
    odd = integers(u[:, 2], len(group_of) - sizes[a])
    odd = skip(odd, offsets[a], sizes[a])
  return np.column_stack([pair, odd])


def _within(law, layout: Layout, u: np.ndarray) -> np.ndarray:
  if law == "groups":
    a = integers(u[:, 0], len(layout.sizes))
    images = distinct(u[:, 1:4], layout.sizes[a])
    return layout.offsets[a, None] + images
  return _images_of_one_group(layout, u[:, :3])[0]


def _images_of_one_group(
    layout: Layout, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """A uniform image and others of its group: (n, c) positions, (n,) groups."""
  first = integers(u[:, 0], len(layout.group_of))
  group = layout.group_of[first]
  start = layout.offsets[group]
  # The others are distinct among the rest of the group: leave out the first.
  others = distinct(u[:, 1:], layout.sizes[group] - 1)
  others = skip(others, (first - start)[:, None], np.int64(1))
  return np.column_stack([first, start[:, None] + others]), group
