"""Readers of odd-one-out choices: THINGS' csv, arrays and lists of triplets."""

from collections.abc import Sequence
import csv
import itertools
import pathlib

from alignet import errors
from alignet.errors import AlignetError
from alignet.human.readers import names as names_lib
from alignet.human.readers import text
from alignet.human.readers.collector import Choices
from alignet.human.readers.collector import Collector
from alignet.human.readers.names import ConceptList
from alignet.io import files
from alignet.triplets import layout
import numpy as np

CSV_COLUMNS = ("subject_id", "image1", "image2", "image3", "choice")
"""Columns that a csv of choices must have, in any order, among others."""


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
  collector = Collector(path, concepts, names, 1, on_impossible, on_unknown)
  ids: dict[str, int] = {}
  with text.open_text(path, limit=text.LARGE) as f:
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
      last = layout.from_odd_position(shown[:3].T, np.maximum(position, 1))
      last[position == 0] = names_lib.ABSENT
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
    path: files.Path | np.ndarray,
    concepts: ConceptList,
    *,
    odd: str = "last",
    names: files.Path | ConceptList | None = None,
    on_impossible: str = "error",
    on_unknown: str = "error",
) -> Choices:
  """Reads an array of triplets: those of gLocal, VICE, THINGS' splits, cblearn.

  Args:
    path: .npy of shape (n, 3), or the array; any other name is text, plain or
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
  given = isinstance(path, np.ndarray)
  where = "triplets" if given else path
  collector = Collector(where, concepts, names, 0, on_impossible, on_unknown)
  convert = _to_last(odd)
  if given or pathlib.Path(path).suffix == ".npy":
    array = path if given else files.load_npy(path, what="triplets", mmap=True)
    files.check_array(array, str(where), shape=(None, 3), kinds="iuf")
    collector.add_array(array, convert)
  else:
    with text.open_text(path, limit=text.LARGE) as f:
      for rows in collector.blocks(map(str.split, f), 3):
        collector.add(
            convert(_integers(list(itertools.chain(*rows))).reshape(-1, 3)),
            lambda i, rows=rows: " ".join(rows[i]),
        )
  return collector.choices()


def _to_last(odd: str):
  errors.check_choice("odd", odd, layout.COLUMNS)
  if odd == "middle":
    return lambda rows: rows[:, (0, 2, 1)]
  return layout.from_odd_first if odd == "first" else lambda rows: rows


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
    return names_lib.ABSENT
  return (
      int(value)
      if value.is_integer() and abs(value) < 2**53
      else names_lib.ABSENT
  )
