"""BREEDS: superclasses of ImageNet whose subclasses differ between two halves.

Santurkar, Tsipras & Madry (2021), BREEDS: Benchmarks for Subpopulation Shift,
ICLR. A model is trained on the source subclasses of each superclass and tested
on the target subclasses, which it has never seen: living17, nonliving26,
entity13 and entity30. The class lists are not copied here but computed, by the
published rule, from the published hierarchy (`alignet fetch breeds`):

- the level of a node is the length of the longest path from the root;
- superclasses are the nodes of one level, in the order of their ids, that have
  a minimum of ImageNet classes below them;
- "rand" draws that many of a superclass' classes with the legacy generator
  np.random.RandomState(2), superclass after superclass: the first half is
  source, the rest target. "good" shares similar classes between the halves,
  "bad" keeps them together.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import pathlib
from typing import Literal, NamedTuple

from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
import numpy as np

FILES = ("class_hierarchy.txt", "dataset_class_info.json", "node_names.txt")

_ROOT = "n00001740"
_SEED = 2

Split = Literal["rand", "good", "bad"]


class _Rule(NamedTuple):
  superclasses: int
  level: int
  ancestor: str | None
  subclasses: int


RULES: Mapping[str, _Rule] = {
    "entity13": _Rule(13, 3, None, 20),
    "entity30": _Rule(30, 4, None, 8),
    "living17": _Rule(17, 5, "n00004258", 4),
    "nonliving26": _Rule(26, 5, "n00021939", 4),
}
"""Number and level of superclasses, the node above them, classes of each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breeds:
  """A benchmark.

  Attributes:
    name: in `RULES`.
    superclasses: names.
    source: for each superclass the WordNet ids of its source classes.
    target: the same of the target classes.
  """

  name: str
  superclasses: tuple[str, ...]
  source: tuple[tuple[str, ...], ...]
  target: tuple[tuple[str, ...], ...]


class Hierarchy:
  """The published hierarchy of ImageNet's classes.

  Args:
    folder: with `class_hierarchy.txt` (parent and child a line),
      `dataset_class_info.json` ([number, id, name] a class) and
      `node_names.txt` (id, tab, name).

  Raises:
    AlignetError: a file is missing or of another form; a cycle.
  """

  def __init__(self, folder: files.Path):
    folder = pathlib.Path(folder)
    texts = {}
    for name in FILES:
      try:
        texts[name] = (folder / name).read_text(encoding="utf-8")
      except FileNotFoundError as e:
        raise AlignetError(
            f"{folder / name} does not exist; get it with `alignet fetch"
            f" breeds --out={folder}`"
        ) from e
    try:
      self.leaves = frozenset(
          entry[1]
          for entry in json_files.parse(
              texts[FILES[1]], FILES[1], list[tuple[int, str, str]]
          )
      )
      edges = [line.split() for line in texts[FILES[0]].split("\n") if line]
      if any(len(edge) != 2 for edge in edges) or not self.leaves:
        raise ValueError("a line of two ids and a list of classes")
    except (IndexError, KeyError, TypeError, ValueError) as e:
      raise AlignetError(
          f"{folder}: the files of BREEDS are of another form ({e})"
      ) from e
    self._names = dict(
        line.rstrip("\n").split("\t", 1)
        for line in texts[FILES[2]].splitlines()
        if "\t" in line
    )
    self.children = self._above_leaves(edges)
    self._level = functools.cache(self._longest_path)
    self._parents: dict[str, set[str]] = {}
    for parent, children in self.children.items():
      for child in children:
        self._parents.setdefault(child, set()).add(parent)

  def _above_leaves(self, edges) -> dict[str, set[str]]:
    """The part of the graph from which an ImageNet class is reached."""
    parents: dict[str, set[str]] = {}
    for parent, child in edges:
      parents.setdefault(child, set()).add(parent)
    children: dict[str, set[str]] = {}
    todo, seen = set(self.leaves), set()
    while todo:
      seen |= todo
      above = set()
      for node in todo:
        for parent in parents.get(node, ()):
          children.setdefault(parent, set()).add(node)
          above.add(parent)
      todo = above - seen
    return children

  def _longest_path(self, node: str) -> int | None:
    """From the root; None where the root does not reach the node."""
    if node == _ROOT:
      return 0
    levels = [self._level(parent) for parent in self._parents.get(node, ())]
    known = [level for level in levels if level is not None]
    return max(known) + 1 if known else None

  def name(self, node: str) -> str:
    """Name of a node, its id where it has none."""
    return self._names.get(node, node)

  def leaves_below(self, node: str) -> list[str]:
    """Sorted ids of the ImageNet classes below a node, or the node itself."""
    found, todo = set(), {node}
    while todo:
      found |= todo & self.leaves
      todo = {
          child
          for parent in todo - (self.leaves - {node})
          for child in self.children.get(parent, ())
      }
    return sorted(found)

  def nodes_at(self, level: int, ancestor: str | None) -> list[str]:
    """Sorted ids of the nodes of a level, below `ancestor` if it is given."""
    nodes = set(self.children) | {
        c for children in self.children.values() for c in children
    }
    if ancestor is not None:
      inside, todo = set(), {ancestor}
      while todo:
        inside |= todo
        todo = {c for n in todo for c in self.children.get(n, ())} - inside
      nodes &= inside
    try:
      return sorted(n for n in nodes if self._level(n) == level)
    except RecursionError as e:
      raise AlignetError(
          f"{FILES[0]}: expected a hierarchy, found a node below itself"
      ) from e


def make(name: str, hierarchy: Hierarchy, split: Split = "rand") -> Breeds:
  """Computes a benchmark.

  Args:
    name: living17, nonliving26, entity13 or entity30.
    hierarchy: the published one.
    split: "rand", which is what the paper's main results use, "good" or "bad".

  Returns:
    Superclasses and their two halves.

  Raises:
    AlignetError: another name or split; a hierarchy that gives another number
      of superclasses than the name says.
  """
  if name not in RULES or split not in ("rand", "good", "bad"):
    raise AlignetError(
        f"BREEDS: expected one of {', '.join(RULES)} and a split rand, good or"
        f" bad, found {name!r} and {split!r}"
    )
  rule = RULES[name]
  rng = np.random.RandomState(_SEED)  # noqa: NPY002  The published draw.
  names, source, target = [], [], []
  for node in hierarchy.nodes_at(rule.level, rule.ancestor):
    if len(hierarchy.leaves_below(node)) < rule.subclasses:
      continue
    halves = _halves(hierarchy, node, rule.subclasses, split, rng)
    names.append(hierarchy.name(node))
    source.append(halves[0])
    target.append(halves[1])
  if len(names) != rule.superclasses:
    raise AlignetError(
        f"BREEDS {name}: the hierarchy gives {len(names)} superclasses,"
        f" expected {rule.superclasses}; give the files of the folder"
        " `modified`"
    )
  return Breeds(
      name=name,
      superclasses=tuple(names),
      source=tuple(source),
      target=tuple(target),
  )


def _halves(hierarchy, node, n, split, rng) -> tuple[tuple[str, ...], ...]:
  """Source and target classes of a superclass, n / 2 each."""
  children = sorted(hierarchy.children[node])
  while len(children) == 1:
    children = sorted(hierarchy.children[children[0]])
  groups = [hierarchy.leaves_below(child) for child in children]
  half = n // 2
  if split == "rand":
    every = sorted(leaf for group in groups for leaf in group)
    drawn = rng.choice(every, 2 * half, replace=False).tolist()
    return tuple(drawn[:half]), tuple(drawn[half:])
  halves: tuple[list[str], list[str]] = [], []
  spare: list[str] = []
  for group in sorted(groups, key=len, reverse=True):
    room = [half - len(h) for h in halves]
    if split == "bad":
      # Whole groups go to the emptier half; what has no room there is spare.
      to = 0 if room[0] >= room[1] and room[0] else 1
      if room[to]:
        halves[to].extend(group[: room[to]])
        spare.extend(group[room[to] :])
    else:
      # Each group is shared between the halves, as far as there is room.
      if len(group) == 1:
        first = 1 if room[0] else 0
      else:
        first = min(len(group) // 2, room[0])
      halves[0].extend(group[:first])
      halves[1].extend(group[first : first + room[1]])
  if split == "bad":
    for h in halves:
      h.extend(spare[: half - len(h)])
  if any(len(h) != half for h in halves) or set(halves[0]) & set(halves[1]):
    raise AlignetError(
        f"BREEDS: the classes below {hierarchy.name(node)} cannot be split into"
        f" two halves of {half} ({split}); give the published hierarchy"
    )
  return tuple(halves[0]), tuple(halves[1])


def relabel(
    labels: Labels, groups: Sequence[Sequence[str]], names: Sequence[str]
) -> Labels:
  """Superclass of each image, -1 where its class is in none of the groups.

  Args:
    labels: whose names are WordNet ids, such as ImageNet's.
    groups: WordNet ids of each superclass, one half of a `Breeds`.
    names: of the superclasses.

  Returns:
    Labels with these names.

  Raises:
    AlignetError: none of the classes is there.
  """
  superclass = {wnid: i for i, group in enumerate(groups) for wnid in group}
  of_class = np.array(
      [superclass.get(str(name), UNLABELLED) for name in labels.names]
      + [UNLABELLED],
      np.int32,
  )
  if (of_class == UNLABELLED).all():
    raise AlignetError(
        "none of the classes is one of the benchmark's: expected WordNet ids"
        f" such as n01440764, found {', '.join(labels.names[:3].tolist())}"
    )
  return Labels(ids=of_class[labels.ids], names=np.array(names))
