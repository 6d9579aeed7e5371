"""Sampling rules: how the three images of a row share groups.

A rule is one object. `RULES` has ours, and a file of yours can bring another,
which goes by its path and name, as in `--strategy=mine.py:NEAR`:

    from alignet.triplets import sampling

    def draw(groups, by_groups, u):
      ...
      return positions  # (n, 3)

    NEAR = sampling.Rule(
        name="near", says="two of a group, one of the next",
        min_groups=2, min_images=2, draw=draw,
        holds=lambda a, b, c: (a == b) & (c == b + 1) | (b == c) & (a == b - 1),
    )

Row r of seed s has eight uniform numbers u for itself, multiples of 2^-53 in
[0, 1), which `uniforms` gives. Which of them a rule uses for what is part of
every sampled file: never change it.

floor(u * m) is an integer in [0, m); its probability differs from 1 / m by less
than 2^-52, and for m < 2^53 the product never rounds up to m. Distinct integers
are drawn without rejection: the second from m - 1 values, moved up by one from
the first on, and so on.
"""

from collections.abc import Callable
import dataclasses
import functools
import re
import runpy
from typing import Literal

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

Law = Literal["groups", "images"]
"""What is uniform: groups, then images in the group; or images, so that a
group is as likely as it is large among what the rule still allows."""

DRAWS = 8
"""Random numbers of a row, at least as many as any rule uses.

A constant: to change it is to change every sampled file.
"""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
  """Images sorted by group; a position is a place in that order.

  Attributes:
    sizes: (k,) int64, images of each group.
  """

  sizes: np.ndarray

  @functools.cached_property
  def offsets(self) -> np.ndarray:
    """(k,) int64, position of each group's first image."""
    return np.cumsum(self.sizes) - self.sizes

  @functools.cached_property
  def of(self) -> np.ndarray:
    """(m,) int32, group of each position."""
    return np.repeat(np.arange(len(self.sizes), dtype=np.int32), self.sizes)


Draw = Callable[[Groups, bool, np.ndarray], np.ndarray]
Holds = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """How the three images of a row share groups.

  Attributes:
    name: in commands and files.
    says: the same in words.
    min_groups: groups that it needs.
    min_images: images that a group needs to take part in a row, in any role.
    draw: of the groups, whether the law is "groups", and (n, 8) uniform
      numbers: (n, 3) positions, distinct in a row.
    holds: of the labels of a row's images, three arrays (n,) in ascending
      order: (n,) bool, whether the rule allows such a row.
    law: the only one there is; None where there are both.
  """

  name: str
  says: str
  min_groups: int
  min_images: int
  draw: Draw
  holds: Holds
  law: Law | None = None

  def obeyed(self, labels: np.ndarray) -> np.ndarray:
    """Whether rows of three labels fit, in whatever order they stand.

    Args:
      labels: (n, 3) integers; a negative one, of an excluded image, fits none.

    Returns:
      (n,) bool.
    """
    a, b, c = np.sort(labels, axis=1).T
    return (a >= 0) & self.holds(a, b, c)


def uniforms(seed: int, start: int, stop: int) -> np.ndarray:
  """Uniform numbers of rows start to stop.

  Philox 4x64-10 (Salmon et al. 2011) with the seed as its key, four numbers a
  counter value: row r has the values 2r + 1 and 2r + 2 for itself.

  Args:
    seed: from 0 to 2^128 - 1.
    start: first row.
    stop: row after the last.

  Returns:
    (stop - start, 8) float64.
  """
  philox = np.random.Philox(key=seed).advance(start * DRAWS // 4)
  return np.random.Generator(philox).random((stop - start, DRAWS))


def integers(u: np.ndarray, m: np.ndarray | int) -> np.ndarray:
  """Uniform numbers in [0, 1) to int64 in [0, m)."""
  return (u * m).astype(np.int64)


def different(u: np.ndarray, m: np.ndarray | int) -> np.ndarray:
  """(n, c) uniform numbers, c <= 3, to c distinct integers in [0, m) a row.

  All ordered choices are equally likely.
  """
  drawn = []
  for column in range(u.shape[1]):
    x = integers(u[:, column], m - column)
    for taken in np.sort(drawn, axis=0) if drawn else ():
      x += x >= taken
    drawn.append(x)
  return np.stack(drawn, axis=1)


def skip(x: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
  """Integers moved past the interval [start, start + length).

  Those drawn from m - length values become values of m outside the interval. To
  skip several intervals, take them in ascending order.
  """
  return x + np.where(x >= start, length, 0)


def _between(groups: Groups, by_groups: bool, u: np.ndarray) -> np.ndarray:
  sizes, offsets, total = groups.sizes, groups.offsets, len(groups.of)
  if by_groups:
    chosen = different(u[:, :3], len(sizes))
    return offsets[chosen] + integers(u[:, 3:6], sizes[chosen])
  first = integers(u[:, 0], total)
  a = groups.of[first]
  second = skip(integers(u[:, 1], total - sizes[a]), offsets[a], sizes[a])
  b = groups.of[second]
  third = integers(u[:, 2], total - sizes[a] - sizes[b])
  for g in (np.minimum(a, b), np.maximum(a, b)):
    third = skip(third, offsets[g], sizes[g])
  return np.stack([first, second, third], axis=1)


def _border(groups: Groups, by_groups: bool, u: np.ndarray) -> np.ndarray:
  """The pair comes first."""
  sizes, offsets = groups.sizes, groups.offsets
  if by_groups:
    a, b = different(u[:, :2], len(sizes)).T
    pair = offsets[a, None] + different(u[:, 2:4], sizes[a])
    odd = offsets[b] + integers(u[:, 4], sizes[b])
  else:
    pair, a = _images_of_one_group(groups, u[:, :2])
    odd = integers(u[:, 2], len(groups.of) - sizes[a])
    odd = skip(odd, offsets[a], sizes[a])
  return np.column_stack([pair, odd])


def _within(groups: Groups, by_groups: bool, u: np.ndarray) -> np.ndarray:
  if by_groups:
    a = integers(u[:, 0], len(groups.sizes))
    return groups.offsets[a, None] + different(u[:, 1:4], groups.sizes[a])
  return _images_of_one_group(groups, u[:, :3])[0]


def _images_of_one_group(groups, u) -> tuple[np.ndarray, np.ndarray]:
  """A uniform image and others of its group: (n, c) positions, (n,) groups."""
  first = integers(u[:, 0], len(groups.of))
  group = groups.of[first]
  start = groups.offsets[group]
  # The others are distinct among the rest of the group: leave out the first.
  others = different(u[:, 1:], groups.sizes[group] - 1)
  others = skip(others, (first - start)[:, None], np.int64(1))
  return np.column_stack([first, start[:, None] + others]), group


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            name="random",
            says="three images, whatever their groups",
            min_groups=1,
            min_images=1,
            draw=lambda groups, _, u: different(u[:, :3], len(groups.of)),
            holds=lambda a, b, c: np.ones(len(a), bool),
            law="images",
        ),
        Rule(
            name="between",
            says="three images of three groups",
            min_groups=3,
            min_images=1,
            draw=_between,
            holds=lambda a, b, c: (a < b) & (b < c),
        ),
        Rule(
            name="border",
            says="two images of one group, then one of another",
            min_groups=2,
            min_images=2,
            draw=_border,
            holds=lambda a, b, c: (a == b) != (b == c),
        ),
        Rule(
            name="within",
            says="three images of one group",
            min_groups=1,
            min_images=3,
            draw=_within,
            holds=lambda a, b, c: a == c,
        ),
    )
}
"""The rules there are, by name."""

NAMES: dict[str, tuple[str, Literal["any", "class", "cluster"]]] = {
    "between_class": ("between", "class"),
    "class_border": ("border", "class"),
    "within_class": ("within", "class"),
    "cluster_border_K": ("border", "cluster"),
    **{name: (name, "any") for name in RULES},
}
"""Name of a strategy to rule and labels (Muttenthaler et al. 2025, and the
AligNet release).

The paper's main set is cluster_border_500; K is any number of clusters. Those
named as a rule are for labels that are neither classes nor clusters.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy:
  """What a strategy's name stands for.

  Attributes:
    name: the name as it was given.
    rule: how the three images of a row share groups.
    labels: which labels make the groups: classes of the dataset, k-means
      clusters, or whatever labels are given.
    clusters: number of clusters that the name promises, None where it promises
      none.
    sha256: of the file that brought the rule; None for ours.
  """

  name: str
  rule: Rule
  labels: Literal["any", "class", "cluster"] = "any"
  clusters: int | None = None
  sha256: str | None = None


def parse(name: str) -> Strategy:
  """Looks up a strategy by name, such as "class_border"; runs no file.

  Raises:
    AlignetError: no such strategy; the message lists those there are.
  """
  k = re.fullmatch(r"cluster_border_([1-9][0-9]*)", name)
  key = "cluster_border_K" if k else name
  if key not in NAMES or (key == name and name.endswith("_K")):
    raise AlignetError(
        f"unknown sampling strategy {name!r}; expected one of"
        f" {', '.join(NAMES)} (K a number, as in cluster_border_500), or a rule"
        " of your own as FILE.py:NAME"
    )
  rule, labels = NAMES[key]
  return Strategy(
      name=name,
      rule=RULES[rule],
      labels=labels,
      clusters=int(k[1]) if k else None,
  )


def find(strategy: str | Rule) -> Strategy:
  """As `parse`; also takes a rule, or runs the file of FILE.py:NAME.

  Only for what a user gives: a data file must not say what is run.

  Raises:
    AlignetError: as `parse`; a file that cannot be run or has no such rule.
  """
  if isinstance(strategy, Rule):
    return Strategy(name=strategy.name, rule=strategy)
  if not (own := own_files(strategy)):
    return parse(strategy)
  (path,) = own
  name = strategy.removeprefix(f"{path}:")
  try:
    rule = runpy.run_path(path).get(name)
  # The file may do anything.  pylint: disable-next=broad-exception-caught
  except Exception as e:
    raise AlignetError(
        f"strategy {strategy}: {path} cannot be run: {type(e).__name__}: {e}"
    ) from e
  if not isinstance(rule, Rule):
    raise AlignetError(
        f"strategy {strategy}: expected {name} in {path} to be a"
        f" sampling.Rule, found {type(rule).__name__}"
    )
  return Strategy(name=strategy, rule=rule, sha256=files.sha256(path))


def own_files(strategy: str) -> list[str]:
  """[FILE.py] of a strategy FILE.py:NAME; nothing of any other."""
  path, _, _ = strategy.rpartition(":")
  return [path] if path.endswith(".py") else []
