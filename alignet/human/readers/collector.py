"""Choices, and the collector that joins rows of a file to the concepts."""

from collections.abc import Iterable, Iterator
import dataclasses
import itertools
from typing import Any

from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human.readers import names as names_lib
from alignet.io import progress
import numpy as np

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


class Collector:
  """Joins blocks of rows to the concepts and counts what is wrong in them."""

  def __init__(self, path, concepts, names, base, on_impossible, on_unknown):
    names_lib.check_policy(on_impossible=on_impossible, on_unknown=on_unknown)
    self._path = path
    self._base = base
    self._drop = on_impossible == "drop", on_unknown == "drop"
    concepts = names_lib.names_of(concepts, "concepts")
    self._names = (
        concepts if names is None else names_lib.names_of(names, "names")
    )
    self._n_concepts = len(concepts)
    self._concept = names_lib.numbers(self._names, concepts)
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
        whole = np.where(good, block, names_lib.ABSENT)
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
          ' such rows out with --on_impossible=drop (on_impossible="drop")'
      )
    joined = self._concept[np.where(impossible[:, None], 0, triplets)]
    unknown = (joined == names_lib.ABSENT).any(axis=1) & ~impossible
    if unknown.any() and not self._drop[1]:
      row = int(np.argmax(unknown))
      strange = self._names[triplets[row, np.argmin(joined[row])]]
      raise AlignetError(
          f"{self._path}: row {self._rows + row} shows {str(strange)!r}, none"
          f" of the {self._n_concepts} concepts; leave such rows out with"
          ' --on_unknown=drop (on_unknown="drop")'
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
