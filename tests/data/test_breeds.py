"""BREEDS: the published split of living17, and the rules on small graphs."""

import json

from alignet.data import breeds
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
import numpy as np
import pytest
from tests.data import breeds_outline
from tests.data import living_hierarchy


@pytest.fixture(name="hierarchy", scope="module")
def _hierarchy(tmp_path_factory):
  folder = tmp_path_factory.mktemp("breeds")
  living_hierarchy.write(folder)
  return breeds.Hierarchy(folder)


def test_living17_is_that_of_the_paper(hierarchy):
  found = breeds.make("living17", hierarchy)
  table = dict(zip(found.superclasses, zip(found.source, found.target)))
  assert len(table) == 17
  # Of the paper's table of superclasses, by name: coyote, red wolf | white
  # wolf, timber wolf; grey fox, Arctic fox | red fox, kit fox; tiger cat,
  # Egyptian cat | Persian cat, Siamese cat; sloth bear, American black bear |
  # ice bear, brown bear; bloodhound, Pekinese | Great Pyrenees, papillon;
  # gibbon, orangutan | gorilla, chimpanzee; Dungeness crab, fiddler crab | rock
  # crab, king crab.
  for name, source, target in (
      ("wolf", "02114855 02114712", "02114548 02114367"),
      ("fox", "02120505 02120079", "02119022 02119789"),
      ("domestic cat", "02123159 02124075", "02123394 02123597"),
      ("bear", "02134418 02133161", "02134084 02132136"),
      ("dog", "02088466 02086079", "02111500 02086910"),
      ("ape", "02483362 02480495", "02480855 02481823"),
      ("crab", "01978287 01980166", "01978455 01981276"),
  ):
    halves = [set(f"n{c}" for c in half.split()) for half in (source, target)]
    assert [set(half) for half in table[name]] == halves, name


@pytest.mark.parametrize(
    "name, superclasses, subclasses",
    [("entity13", 13, 20), ("entity30", 30, 8), ("nonliving26", 26, 4)],
)
def test_superclasses_of_the_paper(tmp_path, name, superclasses, subclasses):
  """Those that the paper's tables name, and half of their classes each."""
  breeds_outline.write(tmp_path / "breeds")
  hierarchy = breeds.Hierarchy(tmp_path / "breeds")
  assert len(hierarchy.leaves) == 890
  found = breeds.make(name, hierarchy)
  assert found.superclasses == tuple(breeds_outline.NAMES[name].split(", "))
  assert len(found.superclasses) == superclasses
  nodes = breeds_outline.IDS[name].split()
  seen = set()
  for node, source, target in zip(nodes, found.source, found.target):
    assert len(source) == len(target) == subclasses // 2
    classes = {*source, *target}
    assert len(classes) == subclasses and not classes & seen
    assert classes <= set(hierarchy.leaves_below(node))
    seen |= classes
  again = breeds.make(name, hierarchy)
  assert (again.source, again.target) == (found.source, found.target)


@pytest.mark.parametrize("split", ["rand", "good", "bad"])
def test_halves_are_disjoint_and_below_their_superclass(hierarchy, split):
  found = breeds.make("living17", hierarchy, split)
  every = [c for half in (*found.source, *found.target) for c in half]
  assert len(every) == len(set(every)) == 17 * 4
  assert all(len(half) == 2 for half in (*found.source, *found.target))


def test_levels_and_leaves(hierarchy):
  assert "n02114100" in hierarchy.nodes_at(5, "n00004258")
  assert hierarchy.nodes_at(1, None) == ["n00004258"]
  assert hierarchy.nodes_at(5, "n01503061") == ["n01795088", "n01816887"]
  assert hierarchy.leaves_below("n02114100") == [
      f"n{c}" for c in ("02114367", "02114548", "02114712", "02114855")
  ]
  assert hierarchy.leaves_below("n02256656") == ["n02256656"]
  assert hierarchy.name("n02114100") == "wolf"
  assert hierarchy.name("dummy6") == "dummy6"


def _small(tmp_path, edges, leaves):
  (tmp_path / "class_hierarchy.txt").write_text("\n".join(edges))
  (tmp_path / "node_names.txt").write_text("")
  (tmp_path / "dataset_class_info.json").write_text(
      json.dumps([[i, leaf, leaf] for i, leaf in enumerate(leaves)])
  )
  return breeds.Hierarchy(tmp_path)


def test_the_longest_path_counts(tmp_path):
  root = "n00001740"
  h = _small(
      tmp_path, [f"{root} a", f"{root} b", "a b", "b x", "a y"], ["x", "y"]
  )
  assert h.nodes_at(1, None) == ["a"]
  assert h.nodes_at(2, None) == ["b", "y"]
  assert h.leaves_below("a") == ["x", "y"]


def test_good_shares_and_bad_separates(tmp_path):
  # One superclass with a group of four and two groups of two.
  groups = {"g1": "abcd", "g2": "ef", "g3": "gh"}
  edges = [f"s {g}" for g in groups]
  edges += [f"{g} {leaf}" for g, leaves in groups.items() for leaf in leaves]
  h = _small(tmp_path, edges, "abcdefgh")
  rng = np.random.RandomState(0)  # noqa: NPY002
  good = breeds._halves(h, "s", 8, "good", rng)
  bad = breeds._halves(h, "s", 8, "bad", rng)
  assert [sorted(h) for h in good] == [list("abeg"), list("cdfh")]
  assert [sorted(h) for h in bad] == [list("abcd"), list("efgh")]


def test_relabel(hierarchy):
  found = breeds.make("living17", hierarchy)
  labels = labels_lib.Labels(
      ids=np.array([0, 1, 2, -1]),
      names=np.array([found.source[3][0], found.target[3][0], "n00000000"]),
  )
  source = breeds.relabel(labels, found.source, found.superclasses)
  assert source.ids.tolist() == [3, -1, -1, -1]
  target = breeds.relabel(labels, found.target, found.superclasses)
  assert target.ids.tolist() == [-1, 3, -1, -1]
  assert source.names[3] == found.superclasses[3]
  other = labels_lib.Labels(ids=np.array([0]), names=np.array(["cat"]))
  with pytest.raises(AlignetError, match="WordNet ids such as .*found cat"):
    breeds.relabel(other, found.source, found.superclasses)


def test_refused(hierarchy, tmp_path):
  with pytest.raises(AlignetError, match="found 'living18' and 'rand'"):
    breeds.make("living18", hierarchy)
  with pytest.raises(AlignetError, match="gives 0 superclasses, expected 26"):
    breeds.make("nonliving26", hierarchy)
  with pytest.raises(AlignetError, match="alignet fetch breeds"):
    breeds.Hierarchy(tmp_path)
  cycle = ["n00001740 a", "a b", "b a", "b x"]
  with pytest.raises(AlignetError, match="a node below itself"):
    _small(tmp_path, cycle, ["x"]).nodes_at(2, None)
  with pytest.raises(AlignetError, match="of another form"):
    _small(tmp_path, ["a b c"], ["c"])
