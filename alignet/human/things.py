"""THINGS: 1,854 object concepts (Hebart et al. 2019) and VICE's embedding.

Concepts are numbered by the row of `concepts.tsv`, and the label level
"concept" uses these numbers, so that `embedding[labels.ids]` is right wherever
an image has a concept.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import re

from alignet.data import labels as labels_lib
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

N_CONCEPTS = 1854

COLUMNS = ("index", "unique_id", "wordnet_id", "category")

# Of the table as its authors publish it; one of the columns whose names begin
# with "WordNet ID" has ids such as n02082791.
_PUBLISHED = ("uniqueID", "Bottom-up Category (Human Raters)")
_WORDNET = re.compile(r"n\d{8}")

CIFAR100_EXCEPTIONS: Mapping[str, str] = {
    "aquarium_fish": "goldfish",
    "bicycle": "bike",
    "cattle": "cow",
    "lawn_mower": "lawnmower",
    "mouse": "mouse1",
    "ray": "stingray",
    "streetcar": "trolley",
    "sweet_pepper": "bell_pepper",
    "tank": "tank1",
    "telephone": "phone",
}
"""CIFAR-100 classes whose THINGS concept goes by another name.

The numbered ones tell the animal from the computer's mouse and the vehicle from
the container.
"""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Concepts:
  """The concepts of THINGS in the order of the file.

  Attributes:
    unique_id: (1854,) str, all different.
    wordnet_id: (1854,) str, "" where there is none; several concepts may share
      one.
    category: (1854,) str, "" where there is none.
  """

  unique_id: np.ndarray
  wordnet_id: np.ndarray
  category: np.ndarray

  def __len__(self) -> int:
    return len(self.unique_id)


def read_concepts(path: files.Path) -> Concepts:
  """Reads the table of THINGS' concepts: tab-separated, with a header.

  Either columns are as in `COLUMNS`, or it is `things_concepts.tsv` as it is
  published, in any order of its rows: they are put in that of THINGS, by
  unique_id with its underscores read as spaces. Their category is people's
  (bottom-up), and WordNet ids are read where a column "WordNet ID…" has such as
  n02082791.

  Raises:
    AlignetError: missing file, missing column, an index that is not the row,
      another number of concepts, a unique_id that is empty or there twice.
  """
  try:
    with open(path, newline="", encoding="utf-8-sig") as f:
      reader = csv.DictReader(f, delimiter="\t")
      rows = list(reader)
      columns = reader.fieldnames or ()
  except FileNotFoundError as e:
    raise AlignetError(f"{path} does not exist") from e
  except (OSError, UnicodeDecodeError, csv.Error) as e:
    raise AlignetError(f"{path} cannot be read as a table ({e})") from e
  if all(column in columns for column in _PUBLISHED):
    rows = _of_published(rows, columns)
    columns = COLUMNS
  missing = [column for column in COLUMNS if column not in columns]
  if missing:
    raise AlignetError(
        f"{path} lacks the column{'s' * (len(missing) > 1)}"
        f" {', '.join(missing)}; expected tab-separated {', '.join(COLUMNS)},"
        f" or, as published, {', '.join(_PUBLISHED)}"
    )
  if len(rows) != N_CONCEPTS:
    raise AlignetError(
        f"{path}: expected the {N_CONCEPTS} concepts of THINGS, found"
        f" {len(rows)}"
    )
  seen = set()
  for i, row in enumerate(rows):
    if row["index"] != str(i):
      raise AlignetError(
          f"{path}: row {i} has the index {row['index']!r}; expected indices in"
          " order from 0 on"
      )
    if not row["unique_id"] or row["unique_id"] in seen:
      raise AlignetError(
          f"{path}: row {i} has the unique_id {row['unique_id']!r}; expected"
          " one that no other row has"
      )
    seen.add(row["unique_id"])
  return Concepts(
      **{
          column: np.array([row[column] or "" for row in rows])
          for column in COLUMNS[1:]
      }
  )


def _of_published(rows, columns) -> list[dict[str, str]]:
  """Rows with our columns from those of `things_concepts.tsv`."""
  unique_id, category = _PUBLISHED
  # Sorted as plain text, camera1 comes before camera_lens: 20 rows differ.
  rows = sorted(rows, key=lambda row: (row[unique_id] or "").replace("_", " "))
  wordnet = [c for c in columns if c.lower().startswith("wordnet id")]
  return [
      {
          "index": str(i),
          "unique_id": (row[unique_id] or "").strip(),
          "wordnet_id": next(
              (
                  row[c].strip()
                  for c in wordnet
                  if _WORDNET.fullmatch((row[c] or "").strip())
              ),
              "",
          ),
          "category": (row[category] or "").strip(),
      }
      for i, row in enumerate(rows)
  ]


def read_embedding(path: files.Path, concepts_path: files.Path) -> np.ndarray:
  """Reads an embedding of human odd-one-out choices, such as VICE's.

  Row i must be concept i of the given `concepts.tsv`: an npy file cannot say
  so itself, which is why the table has to be named. Beware: VICE as published
  is in another order (20 rows differ) and has to be reordered first.

  Args:
    path: npy file, (1854, dims) floats; dot products of rows are similarities
      in logits.
    concepts_path: the table whose order the rows have.

  Returns:
    (1854, dims) float32.

  Raises:
    AlignetError: a length other than the table's, a NaN, a negative value.
  """
  concepts = read_concepts(concepts_path)
  embedding = files.load_npy(
      path, what="embedding", shape=(None, None), kinds="f"
  )
  if len(embedding) != len(concepts):
    raise AlignetError(
        f"embedding in {path}: expected {len(concepts)} rows in the order of"
        f" {concepts_path}, found {len(embedding)}"
    )
  files.check_finite(embedding, f"embedding in {path}")
  negative = (embedding < 0).any(axis=1)
  if negative.any():
    row = int(np.argmax(negative))
    raise AlignetError(
        f"embedding in {path}: row {row} ({concepts.unique_id[row]}) has a"
        " negative value; expected an embedding of values >= 0, as VICE's"
    )
  return embedding.astype(np.float32, copy=False)


def of_cifar100(
    class_names: Sequence[str] | np.ndarray, concepts: Concepts
) -> dict[str, str]:
  """THINGS concept of each class of CIFAR-100 that has one: 80 of the 100.

  A class is the concept of the same name unless `CIFAR100_EXCEPTIONS` has it;
  the other classes (such as `maple_tree` or `plain`) are no THINGS concept.

  Args:
    class_names: names of the fine classes.
    concepts: of THINGS.

  Returns:
    Class name to unique_id.
  """
  known = set(concepts.unique_id.tolist())
  pairs = (
      (str(name), CIFAR100_EXCEPTIONS.get(str(name), str(name)))
      for name in class_names
  )
  return {name: concept for name, concept in pairs if concept in known}


def of_imagenet(
    class_names: Sequence[str] | np.ndarray, concepts: Concepts
) -> dict[str, str]:
  """THINGS concept of each ImageNet class that is one: 334 of the 1,000.

  Args:
    class_names: WordNet ids, such as n02119789.
    concepts: of THINGS.

  Returns:
    WordNet id to unique_id.
  """
  known = dict(zip(concepts.wordnet_id.tolist(), concepts.unique_id.tolist()))
  known.pop("", None)
  return {str(n): known[str(n)] for n in class_names if str(n) in known}


def label(
    labels: Mapping[str, Labels], concepts: Concepts
) -> dict[str, Labels]:
  """Adds the level "concept" to labels whose classes are concepts.

  Classes are joined by WordNet id where all of them are WordNet ids, and else
  by name, with `CIFAR100_EXCEPTIONS`.

  Args:
    labels: level to labels; the classes are those of level subordinate.
    concepts: of THINGS.

  Returns:
    The labels and "concept", as `add_concepts` gives them.

  Raises:
    AlignetError: no level subordinate, or none of its classes is a concept.
  """
  names = labels["subordinate"].names if "subordinate" in labels else ()
  ids = all(re.fullmatch(r"n\d{8}", str(name)) for name in names)
  found = (of_imagenet if ids else of_cifar100)(names, concepts)
  if not found:
    raise AlignetError(
        "none of the images' classes is a concept of THINGS: expected WordNet"
        f" ids or THINGS' names, found {', '.join(map(str, names[:3])) or 'no'}"
        f"{' …' if len(names) > 3 else ''}"
    )
  return add_concepts(labels, found, concepts)


def add_concepts(
    labels: Mapping[str, Labels],
    concept_of: Mapping[str, str],
    concepts: Concepts,
    *,
    level: str = "subordinate",
) -> dict[str, Labels]:
  """Adds the level "concept" to the labels of images.

  Args:
    labels: level to labels, of an image store or of representations.
    concept_of: class name at `level` to unique_id, as from `of_cifar100`.
    concepts: of THINGS.
    level: the level whose classes are concepts.

  Returns:
    The labels and "concept": numbers are rows of `concepts`, names all its
    unique_ids, -1 where an image's class is no concept.

  Raises:
    AlignetError: no such level, a class or a concept that is not there.
  """
  if level not in labels:
    raise AlignetError(
        f"the images have no labels of level {level!r}; found"
        f" {', '.join(labels) or 'none'}"
    )
  classes = labels[level]
  strange = sorted(set(concept_of) - set(classes.names.tolist()))
  if strange:
    raise AlignetError(
        f"there is no class {strange[0]!r} at level {level}; give the map of"
        " this dataset's classes"
    )
  number = {name: i for i, name in enumerate(concepts.unique_id.tolist())}
  of_class = np.full(len(classes.names) + 1, labels_lib.UNLABELLED, np.int32)
  for i, name in enumerate(classes.names.tolist()):
    if name in concept_of:
      if concept_of[name] not in number:
        raise AlignetError(
            f"class {name!r} is mapped to {concept_of[name]!r}, which is no"
            " unique_id of THINGS"
        )
      of_class[i] = number[concept_of[name]]
  # The last entry serves the images without a class, number -1.
  return {
      **labels,
      "concept": Labels(ids=of_class[classes.ids], names=concepts.unique_id),
  }
