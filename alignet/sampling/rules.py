"""How the three images of a row share groups, and how to draw such rows.

  random   three images, whatever their groups
  between  three images of three groups
  border   two images of one group, then one of another
  within   three images of one group

Drawing works on images sorted by group: a group is an interval of positions.
"""

import dataclasses
from typing import Literal, get_args

from alignet.errors import AlignetError
from alignet.sampling import draws
import numpy as np

Rule = Literal["random", "between", "border", "within"]

Law = Literal["groups", "images"]
"""What is uniform: groups, then images in the group; or images, so that a
group is as likely as it is large among what the rule still allows."""

MIN_IMAGES: dict[Rule, int] = {
    "random": 1,
    "between": 1,
    "border": 2,
    "within": 3,
}
"""Images that a group needs to take part in a row, in any role."""

MIN_GROUPS: dict[Rule, int] = {
    "random": 1,
    "between": 3,
    "border": 2,
    "within": 1,
}
"""Groups that a rule needs."""


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


def draw(rule: Rule, law: Law, layout: Layout, u: np.ndarray) -> np.ndarray:
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
    return draws.distinct(u[:, :3], len(layout.group_of))
  pick = {"between": _between, "border": _border, "within": _within}[rule]
  return pick(law, layout, u)


def obeys(rule: Rule, labels: np.ndarray) -> np.ndarray:
  """Whether rows of three labels fit a rule, in whatever order they stand.

  Args:
    rule: one of the four.
    labels: (n, 3) integers; a negative one, of an excluded image, fits none.

  Returns:
    (n,) bool.

  Raises:
    AlignetError: no such rule.
  """
  if rule not in get_args(Rule):
    raise AlignetError(
        f"rule: expected one of {', '.join(get_args(Rule))}, found {rule!r}"
    )
  i, j, k = np.asarray(labels).T
  equal = (i == j).astype(int) + (i == k) + (j == k)
  included = (i >= 0) & (j >= 0) & (k >= 0)
  if rule == "random":
    return included
  return included & (equal == {"between": 0, "border": 1, "within": 3}[rule])


def _between(law: Law, layout: Layout, u: np.ndarray) -> np.ndarray:
  sizes, offsets, group_of = layout.sizes, layout.offsets, layout.group_of
  if law == "groups":
    groups = draws.distinct(u[:, :3], len(sizes))
    return offsets[groups] + draws.integers(u[:, 3:6], sizes[groups])
  total = len(group_of)
  first = draws.integers(u[:, 0], total)
  a = group_of[first]
  second = draws.integers(u[:, 1], total - sizes[a])
  second = draws.skip(second, offsets[a], sizes[a])
  b = group_of[second]
  third = draws.integers(u[:, 2], total - sizes[a] - sizes[b])
  for g in (np.minimum(a, b), np.maximum(a, b)):
    third = draws.skip(third, offsets[g], sizes[g])
  return np.stack([first, second, third], axis=1)


def _border(law: Law, layout: Layout, u: np.ndarray) -> np.ndarray:
  sizes, offsets, group_of = layout.sizes, layout.offsets, layout.group_of
  if law == "groups":
    a, b = draws.distinct(u[:, :2], len(sizes)).T
    pair = offsets[a, None] + draws.distinct(u[:, 2:4], sizes[a])
    odd = offsets[b] + draws.integers(u[:, 4], sizes[b])
  else:
    pair, a = _images_of_one_group(layout, u[:, :2])
    odd = draws.integers(u[:, 2], len(group_of) - sizes[a])
    odd = draws.skip(odd, offsets[a], sizes[a])
  return np.column_stack([pair, odd])


def _within(law: Law, layout: Layout, u: np.ndarray) -> np.ndarray:
  if law == "groups":
    a = draws.integers(u[:, 0], len(layout.sizes))
    images = draws.distinct(u[:, 1:4], layout.sizes[a])
    return layout.offsets[a, None] + images
  return _images_of_one_group(layout, u[:, :3])[0]


def _images_of_one_group(
    layout: Layout, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """A uniform image and others of its group: (n, c) positions, (n,) groups."""
  first = draws.integers(u[:, 0], len(layout.group_of))
  group = layout.group_of[first]
  start = layout.offsets[group]
  # The others are distinct among the rest of the group: leave out the first.
  others = draws.distinct(u[:, 1:], layout.sizes[group] - 1)
  others = draws.skip(others, (first - start)[:, None], np.int64(1))
  return np.column_stack([first, start[:, None] + others]), group
