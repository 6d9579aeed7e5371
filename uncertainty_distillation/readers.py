"""Readers of human judgments: choices, embeddings, posteriors, images.

Each gives numbers of one list of concepts, by default the rows of THINGS'
`concepts.tsv`, and puts the odd one last. What a file numbers or orders in
another way is joined by name, never by position unless that is said: VICE as
published and the test trials of Hebart et al. (2020) are in the order of the
image files, which differs from that of the concepts in 20 rows.

Rows that cannot be are counted, and are an error unless they may be dropped.
Rows are counted from 0, a header is none. No pickle is ever read.
"""

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import csv
import dataclasses
import gzip
import itertools
import os
import pathlib
from typing import Any, TextIO
import warnings
import zlib

from alignet import files
from alignet import progress
from alignet import triplets as triplets_lib
from alignet.data import image_folder
from alignet.data import things
from alignet.errors import AlignetError
import numpy as np
from uncertainty_distillation import judgments as judgments_lib

ConceptList = things.Concepts | Sequence[str] | np.ndarray
"""Concepts of THINGS, or any list of different names."""

CSV_COLUMNS = ("subject_id", "image1", "image2", "image3", "choice")
"""Columns that a csv of choices must have, in any order, among others."""

NAME_COLUMNS = ("unique_id", "uniqueID")
"""Either is the column of names in a table with a header."""

POSTERIOR_KEYS = (("mu", "sigma"), ("pruned_loc", "pruned_scale"))
"""Of means and deviations in an npz; the second pair is that of VICE's code."""

_ABSENT = -1
_BLOCK = 4096  # rows; their fields stay in the cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """What was found in a file of choices.

  Attributes:
    rows: rows read.
    impossible: rows dropped for a repeated object, a number out of range, a
      choice that is none of the three, or a field that is no whole number.
    unknown: rows dropped because one of the three is none of the concepts.
    repeated: rows kept that say what an earlier row of the same participant
      says: the same three concepts in any order with the same odd one. Where
      the file has no participants, all rows count as one participant's.
  """

  rows: int
  impossible: int
  unknown: int
  repeated: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
  """Odd-one-out choices, a row each.

  Attributes:
    triplets: (n, 3) int32 concept numbers, three different ones a row, the odd
      one last.
    n_concepts: concept numbers are below it.
    report: what was read and what was dropped.
    participant: (n,) int32 number of who chose, or None.
    participant_ids: (participants,) str, the file's name of each number, or
      None.
    session: (n,) int32, for THINGS the HIT of about 20 trials, -1 where the
      file has no number, or None.
    repeat_set: (n,) int32, for THINGS the set of triplets shown several times
      to measure the noise ceiling, 0 for a triplet of none, -1 where the file
      has no number, or None.
  """

  triplets: np.ndarray
  n_concepts: int
  report: Report
  participant: np.ndarray | None = None
  participant_ids: np.ndarray | None = None
  session: np.ndarray | None = None
  repeat_set: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.triplets)

  def judgments(self) -> judgments_lib.Judgments:
    """The choices as certain judgments."""
    return judgments_lib.from_choices(self.triplets, n_concepts=self.n_concepts)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
  """A point embedding of concepts.

  Attributes:
    values: (n_concepts, k) float32, row i is concept i; dot products are
      similarities in logits.
    unknown: names of the rows left out because they are none of the concepts.
  """

  values: np.ndarray
  unknown: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
  """Independent Gaussians of an embedding's entries, before the ReLU.

  Attributes:
    mu: (n_concepts, k) float32 means, row i is concept i.
    sigma: (n_concepts, k) float32 standard deviations, above zero.
    unknown: names of the rows left out because they are none of the concepts.
  """

  mu: np.ndarray
  sigma: np.ndarray
  unknown: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferenceImages:
  """The image that people saw of each concept.

  Attributes:
    paths: one a concept, None where there is none.
    unknown: names of images or folders that are none of the concepts.
    missing: concepts without an image.
  """

  paths: tuple[pathlib.Path | None, ...]
  unknown: tuple[str, ...] = ()
  missing: tuple[str, ...] = ()


def read_things_csv(
    path: files.Path,
    concepts: ConceptList,
    *,
    names: files.Path | ConceptList | None = None,
    on_impossible: str = "error",
    on_unknown: str = "error",
) -> Choices:
  """Reads choices as THINGS publishes them (Hebart et al. 2023).

  The file is `triplets_large_final_correctednc_correctedorder.csv`: 4.7
  million rows, tab-separated, with `CSV_COLUMNS` and others. image1 to image3
  are concept numbers from 1 on, in the order of the concepts; choice is the
  position of the odd one, 1 to 3. HIT_nr and noise_ceiling are kept where they
  are there. It is read by blocks of rows.

  Args:
    path: the csv, plain or gzip-compressed.
    concepts: what the result's numbers refer to.
    names: what the file's numbers refer to, a file for `read_names` or a list;
      None for the concepts.
    on_impossible: "error" or "drop", see `Report`.
    on_unknown: the same for rows with a name that is none of the concepts.

  Returns:
    The choices, in the order of the file.

  Raises:
    AlignetError: a file that cannot be read, a missing column, a row of
      another length, no rows left; the first impossible or unknown row, with
      its number, unless dropped.
  """
  collector = _Collector(path, concepts, names, 1, on_impossible, on_unknown)
  ids: dict[str, int] = {}
  with _open_text(path) as f:
    reader = csv.reader(f, delimiter="\t")
    header = next(reader, [])
    column = {name: i for i, name in enumerate(header)}
    missing = [name for name in CSV_COLUMNS if name not in column]
    if missing:
      found = ", ".join(header)[:200] or "none"
      raise AlignetError(
          f"{path} lacks the column{'s' * (len(missing) > 1)}"
          f" {', '.join(missing)}; expected a header with the tab-separated"
          f" {', '.join(CSV_COLUMNS)}, found {found}"
      )
    kept = {"session": "HIT_nr", "repeat_set": "noise_ceiling"}
    for rows in collector.blocks(reader, len(header)):
      columns = list(zip(*rows))
      shown = np.stack([_integers(columns[column[c]]) for c in CSV_COLUMNS[1:]])
      position = np.where((shown[3] < 1) | (shown[3] > 3), 0, shown[3])
      last = triplets_lib.from_odd_position(
          shown[:3].T, np.maximum(position, 1)
      )
      last[position == 0] = _ABSENT
      who = [ids.setdefault(s, len(ids)) for s in columns[column["subject_id"]]]
      collector.add(
          last,
          lambda i, rows=rows: ", ".join(
              f"{c} {rows[i][column[c]]!r}" for c in CSV_COLUMNS[1:]
          ),
          participant=np.array(who),
          **{
              name: _integers(columns[column[c]])
              for name, c in kept.items()
              if c in column
          },
      )
  return collector.choices(participant_ids=np.array(list(ids), dtype=str))


def read_triplets(
    path: files.Path,
    concepts: ConceptList,
    *,
    odd: str = "last",
    names: files.Path | ConceptList | None = None,
    on_impossible: str = "error",
    on_unknown: str = "error",
) -> Choices:
  """Reads an array of triplets: those of gLocal, VICE, THINGS' splits, cblearn.

  Args:
    path: .npy of shape (n, 3); any other name is text, plain or
      gzip-compressed, with three numbers a line. Numbers count from 0 and are
      whole; floats such as 3.0, which np.loadtxt makes, are accepted.
    concepts: what the result's numbers refer to.
    odd: column of the odd one, "last" (gLocal, VICE, THINGS' own text files) or
      "first" (the convention of cblearn). Mind that cblearn's THINGS loader
      hands out a file of THINGS unchanged, whose odd one is last for its
      authors: against an embedding such as VICE's the right column agrees with
      about two rows in three, a wrong one with fewer than one in three.
    names: as in `read_things_csv`.
    on_impossible: as there.
    on_unknown: as there.

  Returns:
    The choices, in the order of the file.

  Raises:
    AlignetError: as `read_things_csv`.
  """
  collector = _Collector(path, concepts, names, 0, on_impossible, on_unknown)
  convert = _to_last(odd)
  if pathlib.Path(path).suffix == ".npy":
    array = files.load_npy(
        path, what="triplets", shape=(None, 3), kinds="iuf", mmap=True
    )
    collector.add_array(array, convert)
  else:
    with _open_text(path) as f:
      for rows in collector.blocks(map(str.split, f), 3):
        collector.add(
            convert(_integers(list(itertools.chain(*rows))).reshape(-1, 3)),
            lambda i, rows=rows: " ".join(rows[i]),
        )
  return collector.choices()


def from_array(
    triplets: np.ndarray,
    concepts: ConceptList,
    *,
    odd: str = "last",
    names: files.Path | ConceptList | None = None,
    on_impossible: str = "error",
    on_unknown: str = "error",
) -> Choices:
  """The same as `read_triplets` from an (n, 3) array of whole numbers."""
  collector = _Collector(
      "triplets", concepts, names, 0, on_impossible, on_unknown
  )
  array = files.check_array(triplets, "triplets", shape=(None, 3), kinds="iuf")
  collector.add_array(array, _to_last(odd))
  return collector.choices()


def read_names(path: files.Path) -> np.ndarray:
  """Reads a list of different names, one a row.

  Args:
    path: .npy of strings; .tsv with a header that has one of `NAME_COLUMNS`,
      such as `concepts.tsv`; any other name is text with one name a line.

  Returns:
    (n,) str.

  Raises:
    AlignetError: a file that cannot be read, a name that is empty or there
      twice.
  """
  if pathlib.Path(path).suffix == ".npy":
    return _check_names(files.load_npy(path, what="names", kinds="U"), path)
  with _open_text(path) as f:
    if pathlib.Path(path).suffix != ".tsv":
      return _check_names([line.strip() for line in f], path)
    reader = csv.reader(f, delimiter="\t")
    header = next(reader, [])
    found = [name for name in NAME_COLUMNS if name in header]
    if not found:
      raise AlignetError(
          f"{path}: expected a header with the column"
          f" {' or '.join(NAME_COLUMNS)}, found"
          f" {', '.join(header)[:200] or 'none'}; a plain list of names is"
          " called .txt"
      )
    i = header.index(found[0])
    return _check_names([(row[i : i + 1] or [""])[0] for row in reader], path)


def read_embedding(
    path: files.Path,
    concepts: ConceptList,
    *,
    names: files.Path | ConceptList | None = None,
    order: str | None = None,
    on_unknown: str = "error",
) -> Embedding:
  """Reads an embedding, such as VICE's or SPoSE's, and joins it by name.

  Args:
    path: .npy, any other name is text, of shape (rows, k).
    concepts: the result's row i is concept i of these.
    names: the name of each row, a file for `read_names` or a list.
    order: in its place "things": row i is concept i of `concepts`, as where
      both follow `concepts.tsv`.
    on_unknown: "error", or "drop" for rows that are none of the concepts.

  Returns:
    The embedding in the order of the concepts.

  Raises:
    AlignetError: neither names nor order, or both; a file that cannot be read,
      another number of names, a NaN, a concept without a row, an unknown name
      unless dropped.
  """
  values = _read_matrix(path, "embedding")
  rows, unknown = _join(values, path, concepts, names, order, on_unknown)
  return Embedding(values=values[rows], unknown=unknown)


def read_posterior(
    path: files.Path,
    concepts: ConceptList,
    *,
    sigma: files.Path | None = None,
    names: files.Path | ConceptList | None = None,
    order: str | None = None,
    on_unknown: str = "error",
) -> Posterior:
  """Reads a Gaussian posterior of an embedding and joins it by name.

  Args:
    path: npz with `mu` and `sigma`, or another pair of `POSTERIOR_KEYS`, of
      shape (rows, k); its array `names`, where there is one, says what the rows
      are. Or a file of mu alone, as in `read_embedding`.
    concepts: as in `read_embedding`.
    sigma: the file of sigma where the first is not an npz.
    names: as in `read_embedding`.
    order: as there.
    on_unknown: as there.

  Returns:
    The posterior in the order of the concepts.

  Raises:
    AlignetError: as `read_embedding`; or a sigma that is not above zero, of
      another shape, or missing.
  """
  archive = pathlib.Path(path).suffix == ".npz"
  if archive == (sigma is not None):
    raise AlignetError(
        f"{path}: expected an npz with mu and sigma, or one file of mu and"
        " another of sigma (sigma=FILE)"
    )
  if archive:
    arrays = files.load_npz(path, required=())
    keys = next((k for k in POSTERIOR_KEYS if {*k} <= {*arrays}), None)
    if keys is None:
      raise AlignetError(
          f"{path} lacks the keys {' and '.join(POSTERIOR_KEYS[0])}; found"
          f" {', '.join(arrays) or 'none'}"
      )
    mu, deviations = (_check_matrix(arrays[k], f"{k} in {path}") for k in keys)
    if names is None and order is None and "names" in arrays:
      names = _check_names(arrays["names"], f"names in {path}")
  else:
    mu, deviations = _read_matrix(path, "mu"), _read_matrix(sigma, "sigma")
  if mu.shape != deviations.shape:
    raise AlignetError(
        f"sigma of {path}: expected the shape of mu, {mu.shape}, found"
        f" {deviations.shape}"
    )
  low = (deviations <= 0).any(axis=1)
  if low.any():
    row = int(np.argmax(low))
    raise AlignetError(
        f"sigma of {path}: row {row} has the value {deviations[row].min()};"
        " expected standard deviations above zero (not their logarithms)"
    )
  rows, unknown = _join(mu, path, concepts, names, order, on_unknown)
  return Posterior(mu=mu[rows], sigma=deviations[rows], unknown=unknown)


def find_reference_images(
    path: files.Path,
    concepts: ConceptList,
    *,
    on_unknown: str = "error",
    on_missing: str = "error",
) -> ReferenceImages:
  """Finds the image of each concept in a folder, by the concept's name.

  Args:
    path: folder with an image file named after each concept, `aardvark.jpg`, or
      a folder, `aardvark/`. Of several images in it the one whose name ends in
      `_01b` is taken: THINGS' name for what people saw in the odd-one-out task.
    concepts: whose images; the names are THINGS' unique_id.
    on_unknown: "error" or "drop": images of what is none of the concepts.
    on_missing: "error" or "drop": concepts without an image.

  Returns:
    A path for each concept. Hidden files and files that are no images count for
    nothing.

  Raises:
    AlignetError: no such folder, several images of one concept, and what is not
      to be dropped.
  """
  _check_policy(on_unknown=on_unknown, on_missing=on_missing)
  concept_names = _names_of(concepts, "concepts").tolist()
  root = pathlib.Path(path)
  if not root.is_dir():
    raise AlignetError(f"{root} is no folder; give that of the images")
  found: dict[str, pathlib.Path] = {}
  for entry in sorted(root.iterdir()):
    image = _only_image(entry) if entry.is_dir() else entry
    if image is None or not _is_image(image):
      continue
    name = entry.name if entry.is_dir() else entry.stem
    if name in found:
      raise AlignetError(
          f"{root} has both {found[name].relative_to(root)} and"
          f" {image.relative_to(root)} for {name!r}; expected one image of each"
          " concept: remove the others"
      )
    found[name] = image
  unknown = tuple(sorted(set(found) - set(concept_names)))
  missing = tuple(name for name in concept_names if name not in found)
  if unknown and on_unknown == "error":
    raise AlignetError(
        f"{root} has images of {_some(unknown)}, none of the"
        f" {len(concept_names)} concepts; rename them after the concepts or"
        ' pass on_unknown="drop"'
    )
  if missing and on_missing == "error":
    raise AlignetError(
        f"{root} has no image of {_some(missing)} of the {len(concept_names)}"
        ' concepts; add them or pass on_missing="drop"'
    )
  return ReferenceImages(
      paths=tuple(map(found.get, concept_names)),
      unknown=unknown,
      missing=missing,
  )


class _Collector:
  """Joins blocks of rows to the concepts and counts what is wrong in them."""

  def __init__(self, path, concepts, names, base, on_impossible, on_unknown):
    _check_policy(on_impossible=on_impossible, on_unknown=on_unknown)
    self._path = path
    self._base = base
    self._drop = on_impossible == "drop", on_unknown == "drop"
    concepts = _names_of(concepts, "concepts")
    self._names = concepts if names is None else _names_of(names, "names")
    self._n_concepts = len(concepts)
    self._concept = _numbers(self._names, concepts)
    self._rows = self._impossible = self._unknown = 0
    self._kept: dict[str, list[np.ndarray]] = {}

  def blocks(
      self, rows: Iterable[list[str]], fields: int
  ) -> Iterator[list[list[str]]]:
    """Blocks of the rows that are not blank, each of so many fields."""
    rows = filter(None, rows)
    with progress.bar(desc="reading choices", unit="row") as bar:
      while block := list(itertools.islice(rows, _BLOCK)):
        lengths = list(map(len, block))
        if lengths.count(fields) != len(block):
          i = next(i for i, n in enumerate(lengths) if n != fields)
          raise AlignetError(
              f"{self._path}: row {self._rows + i} has"
              f" {lengths[i]} fields; expected {fields}: the file is damaged or"
              " cut off there"
          )
        yield block
        bar.update(len(block))

  def add_array(self, array, convert) -> None:
    """Adds an (n, 3) array of whole numbers by blocks."""
    for start in range(0, len(array), _BLOCK):
      block = np.asarray(array[start : start + _BLOCK])
      whole = block
      if block.dtype.kind == "f":
        # A value beyond int64 or a NaN is no whole number either.
        good = (np.trunc(block) == block) & (np.abs(block) < 2**53)
        whole = np.where(good, block, _ABSENT)
      self.add(
          convert(whole.astype(np.int64)),
          lambda i, block=block: str(block[i].tolist()),
      )

  def add(self, triplets, text, **columns) -> None:
    """Adds rows of the file.

    Args:
      triplets: (m, 3) int64 from 0 on, the odd one last, anything out of range
        where the row is impossible.
      text: from a row's number in the block to what the file has there.
      **columns: (m,) integers kept beside the rows.
    """
    i, j, k = triplets.T
    impossible = (i == j) | (i == k) | (j == k)
    impossible |= ((triplets < 0) | (triplets >= len(self._names))).any(axis=1)
    if impossible.any() and not self._drop[0]:
      row = int(np.argmax(impossible))
      low, high = self._base, self._base + len(self._names) - 1
      choice = " and a choice from 1 to 3" if self._base else ""
      raise AlignetError(
          f"{self._path}: row {self._rows + row} is {text(row)}; expected three"
          f" different numbers from {low} to {high}{choice}: mend it, or leave"
          ' such rows out with on_impossible="drop"'
      )
    joined = self._concept[np.where(impossible[:, None], 0, triplets)]
    unknown = (joined == _ABSENT).any(axis=1) & ~impossible
    if unknown.any() and not self._drop[1]:
      row = int(np.argmax(unknown))
      strange = self._names[triplets[row, np.argmin(joined[row])]]
      raise AlignetError(
          f"{self._path}: row {self._rows + row} shows {str(strange)!r}, none"
          f" of the {self._n_concepts} concepts; leave such rows out with"
          ' on_unknown="drop"'
      )
    good = ~(impossible | unknown)
    for name, values in {"triplets": joined, **columns}.items():
      self._kept.setdefault(name, []).append(values[good].astype(np.int32))
    self._rows += len(triplets)
    self._impossible += int(impossible.sum())
    self._unknown += int(unknown.sum())

  def choices(self, **more: Any) -> Choices:
    """All rows added; `more` are further attributes of the choices."""
    arrays = {}
    for name in list(self._kept):
      arrays[name] = np.concatenate(self._kept.pop(name))
    if not len(arrays.get("triplets", ())):
      raise AlignetError(
          f"{self._path}: expected at least one choice among the concepts,"
          f" found none in {self._rows} rows ({self._impossible} impossible,"
          f" {self._unknown} of unknown concepts)"
      )
    report = Report(
        rows=self._rows,
        impossible=self._impossible,
        unknown=self._unknown,
        repeated=_count_repeated(arrays["triplets"], arrays.get("participant")),
    )
    return Choices(n_concepts=self._n_concepts, report=report, **arrays, **more)


def _count_repeated(triplets, participant) -> int:
  low = triplets[:, :2].min(axis=1)
  high = triplets[:, :2].max(axis=1)
  keys = [low, high, triplets[:, 2]]
  keys += [] if participant is None else [participant]
  order = np.lexsort(keys)
  same = np.ones(len(triplets) - 1, bool)
  for key in keys:
    same &= np.diff(key[order]) == 0
  return int(same.sum())


def _to_last(odd: str):
  if odd not in ("last", "first"):
    raise AlignetError(f'odd: expected "last" or "first", found {odd!r}')
  return triplets_lib.from_odd_first if odd == "first" else lambda rows: rows


def _integers(fields: Sequence[str]) -> np.ndarray:
  """(n,) int64, -1 for a field that is no whole number."""
  try:
    return np.fromiter(map(int, fields), np.int64, len(fields))
  except (OverflowError, ValueError):
    return np.fromiter(map(_integer, fields), np.int64, len(fields))


def _integer(field: str) -> int:
  try:
    value = float(field)
  except ValueError:
    return _ABSENT
  return int(value) if value.is_integer() and abs(value) < 2**53 else _ABSENT


@contextlib.contextmanager
def _open_text(path: files.Path) -> Iterator[TextIO]:
  """Opens text, gzip-compressed or not; damage is one clear error."""
  try:
    with contextlib.ExitStack() as stack:
      raw = stack.enter_context(open(path, "rb"))
      zipped = raw.peek(2)[:2] == b"\x1f\x8b"
      opened = gzip.open if zipped else open
      yield stack.enter_context(
          opened(path, "rt", newline="", encoding="utf-8-sig")
      )
  except FileNotFoundError as e:
    raise AlignetError(f"{path} does not exist") from e
  except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as e:
    raise AlignetError(
        f"{path} cannot be read as text: it is damaged, cut off or of another"
        f" format ({e})"
    ) from e


def _names_of(given: files.Path | ConceptList, what: str) -> np.ndarray:
  if isinstance(given, things.Concepts):
    return given.unique_id
  if isinstance(given, str | os.PathLike):
    return read_names(given)
  return _check_names(given, what)


def _check_names(names: Sequence[str] | np.ndarray, what: Any) -> np.ndarray:
  names = files.check_array(
      np.asarray(names if len(names) else np.empty(0, str)),
      str(what),
      shape=(None,),
      kinds="U",
  )
  if not len(names):
    raise AlignetError(f"{what}: expected one name a row, found no rows")
  seen = set()
  for i, name in enumerate(names.tolist()):
    if not name or name in seen:
      raise AlignetError(
          f"{what}: row {i} has the name {name!r}; expected one that no other"
          " row has"
      )
    seen.add(name)
  return names


def _numbers(names: np.ndarray, concepts: np.ndarray) -> np.ndarray:
  """(names,) number of the concept of each name, -1 where there is none."""
  number = {name: i for i, name in enumerate(concepts.tolist())}
  return np.array([number.get(name, _ABSENT) for name in names.tolist()])


def _join(
    values, path, concepts, names, order, on_unknown
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Row of each concept, and the names that are none of the concepts."""
  _check_policy(on_unknown=on_unknown)
  concepts = _names_of(concepts, "concepts")
  if (names is None) == (order is None):
    raise AlignetError(
        f"{path}: expected either the names of its {len(values)} rows"
        ' (names=FILE, one a row) or order="things", which says that row i is'
        " concept i; an array alone does not tell, and VICE as published is in"
        " another order than concepts.tsv"
    )
  if order not in (None, "things"):
    raise AlignetError(f'order: expected "things", found {order!r}')
  expected = concepts if names is None else _names_of(names, "names")
  if len(values) != len(expected):
    mend = "transpose it" if values.shape[1] == len(expected) else "name each"
    raise AlignetError(
        f"{path}: expected {len(expected)} rows, one a"
        f" {'concept' if names is None else 'name'}, found {len(values)};"
        f" {mend}"
    )
  numbers = _numbers(expected, concepts)
  unknown = tuple(expected[numbers == _ABSENT].tolist())
  if unknown and on_unknown == "error":
    raise AlignetError(
        f"{path} has rows of {_some(unknown)}, none of the {len(concepts)}"
        ' concepts; leave them out with on_unknown="drop"'
    )
  rows = np.full(len(concepts), _ABSENT)
  known = np.flatnonzero(numbers != _ABSENT)
  rows[numbers[known]] = known
  if (rows == _ABSENT).any():
    raise AlignetError(
        f"{path} has no row of {_some(concepts[rows == _ABSENT].tolist())} of"
        f" the {len(concepts)} concepts; give the concepts that it has"
    )
  return rows, unknown


def _read_matrix(path: files.Path, what: str) -> np.ndarray:
  if pathlib.Path(path).suffix in (".npy", ".npz"):
    return _check_matrix(files.load_npy(path, what=what), f"{what} in {path}")
  with _open_text(path) as f:
    try:
      with warnings.catch_warnings(action="ignore"):  # No rows: found below.
        array = np.loadtxt(f, ndmin=2, dtype=np.float64)
    except UnicodeDecodeError:
      raise
    except ValueError as e:
      raise AlignetError(
          f"{what} in {path}: expected a line of numbers for each row ({e})"
      ) from e
  return _check_matrix(array, f"{what} in {path}")


def _check_matrix(array: np.ndarray, what: str) -> np.ndarray:
  array = files.check_array(array, what, shape=(None, None), kinds="f")
  with np.errstate(over="ignore"):
    array = array.astype(np.float32)
  files.check_finite(array, what)
  return array


def _is_image(path: pathlib.Path) -> bool:
  name = path.name.lower()
  return not name.startswith(".") and name.endswith(image_folder.SUFFIXES)


def _only_image(folder: pathlib.Path) -> pathlib.Path | None:
  if folder.name.startswith("."):
    return None
  images = sorted(filter(_is_image, folder.iterdir()))
  shown = [p for p in images if p.stem.endswith("_01b")]
  if len(images) > 1 and len(shown) != 1:
    raise AlignetError(
        f"{folder} holds {len(images)} images; expected one, or one whose name"
        " ends in _01b, THINGS' name for the reference image"
    )
  return (shown or images or [None])[0]


def _check_policy(**given: str) -> None:
  for name, value in given.items():
    if value not in ("error", "drop"):
      raise AlignetError(f'{name}: expected "error" or "drop", found {value!r}')


def _some(names: Sequence[str]) -> str:
  """Some of the names, and how many they are."""
  shown = ", ".join(names[:3])
  return f"{shown} … ({len(names)})" if len(names) > 3 else shown
