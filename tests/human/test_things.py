import json

from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.human import things
from alignet.io import files
import numpy as np
import pytest

_HEADER = "index\tunique_id\twordnet_id\tcategory"


def _write(path, change=lambda rows: rows, header=_HEADER):
  names = {0: "apple", 1: "goldfish", 2: "mouse1", 3: "mouse2"}
  rows = [
      f"{i}\t{names.get(i, f'thing{i}')}\t\t{'animal' if i < 2 else ''}"
      for i in range(things.N_CONCEPTS)
  ]
  path.write_text("\n".join([header, *change(rows)]) + "\n")
  return path


@pytest.fixture
def table(tmp_path):
  return _write(tmp_path / "concepts.tsv")


def test_read_concepts(table):
  concepts = things.read_concepts(table)
  assert len(concepts) == 1854
  assert concepts.unique_id[:2].tolist() == ["apple", "goldfish"]
  assert concepts.category[[0, 2]].tolist() == ["animal", ""]


def test_the_table_as_it_is_published(tmp_path):
  """Columns as public code names them; the file itself was never here."""
  path = tmp_path / "things_concepts.tsv"
  header = (
      "Word\tuniqueID\tWordNet ID\tWordnet ID4\t"
      "Bottom-up Category (Human Raters)\tTop-down Category (WordNet)"
  )
  rows = [f"thing\tz{i:04}\t\t\t\t" for i in range(things.N_CONCEPTS - 3)]
  rows[5:5] = [
      "bat\tbat1\tnothing\tbat.n.01\tanimal\tanimal",
      "fish\tfish1\tn02512053\tfish.n.01\tanimal, food\tanimal",
      "fish tank\tfish_tank\t\t\t\tcontainer",
  ]
  path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
  concepts = things.read_concepts(path)
  # THINGS' order, whatever the file's: a space comes before a digit.
  names = ["bat1", "fish_tank", "fish1", "z0000"]
  assert concepts.unique_id[:4].tolist() == names
  assert concepts.wordnet_id[:4].tolist() == ["", "", "n02512053", ""]
  assert concepts.category[:4].tolist() == ["animal", "", "animal, food", ""]


def test_the_order_of_things(test_data):
  """Of the published table, by the rule, as of ours."""
  names = things.read_concepts(test_data / "things" / "concepts.tsv").unique_id
  rule = sorted(names, key=lambda name: name.replace("_", " "))
  assert names.tolist() == rule
  assert (names != np.sort(names)).sum() == 20


@pytest.mark.parametrize(
    "change, header, message",
    [
        (lambda r: r[:-1], _HEADER, "1854 concepts of THINGS, found 1853"),
        (lambda r: r[1:2] + r[:1] + r[2:], _HEADER, "row 0 has the index '1'"),
        (
            lambda r: [*r[:5], r[5].replace("thing5", "apple"), *r[6:]],
            _HEADER,
            "row 5 has the unique_id 'apple'",
        ),
        (lambda r: r, "index\tuniqueID\tcategory", "columns unique_id, wordn"),
    ],
)
def test_bad_table(tmp_path, change, header, message):
  path = _write(tmp_path / "c.tsv", change, header)
  with pytest.raises(AlignetError, match=message):
    things.read_concepts(path)


def test_missing_table(tmp_path):
  with pytest.raises(AlignetError, match="c.tsv does not exist"):
    things.read_concepts(tmp_path / "c.tsv")


def _embedding(rows=things.N_CONCEPTS):
  return np.random.default_rng(0).random((rows, 3)).astype(np.float32)


def test_read_embedding(table, tmp_path):
  files.save_npy(tmp_path / "v.npy", _embedding())
  found = things.read_embedding(tmp_path / "v.npy", table)
  np.testing.assert_array_equal(found, _embedding())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v: v[:-1], "expected 1854 rows in the order of"),
        (lambda v: np.where(v == v[7, 1], np.nan, v), "row 7 holds a NaN"),
        (
            lambda v: np.where(v == v[2, 0], -1, v),
            r"row 2 \(mouse1\) has a neg",
        ),
    ],
)
def test_bad_embedding(table, tmp_path, change, message):
  files.save_npy(tmp_path / "v.npy", change(_embedding()).astype(np.float32))
  with pytest.raises(AlignetError, match=message):
    things.read_embedding(tmp_path / "v.npy", table)


def test_an_embedding_cannot_be_read_without_its_table(tmp_path):
  files.save_npy(tmp_path / "v.npy", _embedding())
  with pytest.raises(AlignetError, match="concepts.tsv does not exist"):
    things.read_embedding(tmp_path / "v.npy", tmp_path / "concepts.tsv")


def _labels(ids, names):
  return {
      "subordinate": labels_lib.Labels(ids=np.array(ids), names=np.array(names))
  }


def test_add_concepts(table):
  concepts = things.read_concepts(table)
  labels = _labels([2, 1, -1, 0, 2], ["mouse", "plain", "apple"])
  names = labels["subordinate"].names
  concept_of = things.of_cifar100(names, concepts)
  assert concept_of == {"mouse": "mouse1", "apple": "apple"}
  added = things.add_concepts(labels, concept_of, concepts)
  assert added["concept"].ids.tolist() == [0, -1, -1, 2, 0]
  assert len(added["concept"].names) == 1854
  assert added["subordinate"] is labels["subordinate"]


@pytest.mark.parametrize(
    "concept_of, level, message",
    [
        ({"cat": "apple"}, "subordinate", "no class 'cat'"),
        ({"apple": "pear"}, "subordinate", "mapped to 'pear', which is no"),
        ({}, "basic", "no labels of level 'basic'; found subordinate"),
    ],
)
def test_bad_map(table, concept_of, level, message):
  labels = _labels([0], ["apple"])
  with pytest.raises(AlignetError, match=message):
    things.add_concepts(
        labels, concept_of, things.read_concepts(table), level=level
    )


def test_real_map_is_the_published_one(test_data):
  folder = test_data / "things"
  concepts = things.read_concepts(folder / "concepts.tsv")
  (path,) = (test_data / "tfds" / "cifar100").glob("*/label.labels.txt")
  found = things.of_cifar100(path.read_text().split(), concepts)
  expected = json.loads((folder / "cifar100_to_things.json").read_text())
  assert found == expected and len(found) == 80


def test_real_embedding(test_data):
  folder = test_data / "things"
  embedding = things.read_embedding(
      folder / "vice_embedding.npy", folder / "concepts.tsv"
  )
  concepts = things.read_concepts(folder / "concepts.tsv")
  assert embedding.shape == (1854, 42)
  # The order is right: animals are more like animals than like tools.
  row = {name: i for i, name in enumerate(concepts.unique_id)}
  dog, cat, hammer = (embedding[row[n]] for n in ("dog", "cat", "hammer"))
  assert dog @ cat > 2 * max(dog @ hammer, cat @ hammer)


def test_imagenet_classes_are_joined_by_wordnet_id(test_data):
  concepts = things.read_concepts(test_data / "things" / "concepts.tsv")
  path = test_data / "tfds/imagenet2012/5.1.0/label.labels.txt"
  published = json.loads(
      (test_data / "things" / "imagenet_to_things.json").read_text()
  )
  names = path.read_text().split()
  assert things.of_imagenet(names, concepts) == published
  labels = {
      "subordinate": labels_lib.Labels(
          ids=np.arange(1000), names=np.array(names)
      )
  }
  found = things.label(labels, concepts)["concept"]
  assert (found.ids >= 0).sum() == len(published) == 334
  for i in np.flatnonzero(found.ids >= 0)[::50]:
    assert found.names[found.ids[i]] == published[names[i]]


def test_labels_without_any_concept(table):
  concepts = things.read_concepts(table)
  labels = {"subordinate": labels_lib.from_strings(["qwerty", "asdf"])}
  for given, found in ((labels, "found asdf, qwerty"), ({}, "found no")):
    with pytest.raises(AlignetError, match=found):
      things.label(given, concepts)
