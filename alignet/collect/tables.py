"""Lists of what to show: csv with a row for each pair or triplet."""

from collections.abc import Mapping, Sequence
import csv
import io
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.human.readers import text
from alignet.io import files
from alignet.triplets import npz

IMAGES = ("image1", "image2", "image3")
"""Columns of file names; pairs have the first two."""

Row = Mapping[str, str]


def write(
    path: files.Path,
    columns: Mapping[str, Sequence[Any]],
    *,
    delimiter: str = ",",
    overwrite: bool = False,
) -> None:
  """Writes columns of equal length as csv; floats with six decimals."""
  out = io.StringIO()
  writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
  writer.writerow(columns)
  for row in zip(*columns.values(), strict=True):
    writer.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in row])
  with files.atomic_write(path, overwrite=overwrite) as f:
    f.write(out.getvalue().encode())


def read(path: files.Path, required: Sequence[str]) -> list[Row]:
  """Reads a csv with a header, separated by tabs, semicolons or commas.

  Args:
    path: the file.
    required: columns that must be there; others are kept, too.

  Returns:
    Column to text, a row each.

  Raises:
    AlignetError: a missing file or column, a row of another length, no rows.
  """
  with text.open_text(path) as f:  # Which turns errors of csv into its own.
    lines = f.read()
    first = lines.partition("\n")[0]
    delimiter = next((d for d in "\t;" if d in first), ",")
    rows = list(csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter))
  header, rows = (rows or [[]])[0], [row for row in rows[1:] if row]
  missing = [name for name in required if name not in header]
  if missing:
    raise AlignetError(
        f"{path} lacks the column{'s' * (len(missing) > 1)}"
        f" {', '.join(missing)}; expected a header with {', '.join(required)},"
        f" found {', '.join(header)[:200] or 'none'}"
    )
  for number, row in enumerate(rows):
    if len(row) != len(header):
      raise AlignetError(
          f"{path}: row {number} has {len(row)} fields; expected {len(header)}:"
          " the file is damaged or cut off there"
      )
  if not rows:
    raise AlignetError(f"{path} has a header and no rows")
  return [dict(zip(header, row)) for row in rows]


def read_items(path: files.Path, size: int) -> list[Row]:
  """Reads what to show: pairs or triplets of file names.

  Args:
    path: csv with the first columns of `IMAGES`, or an AligNet npz.
    size: 2 for pairs, 3 for triplets.

  Returns:
    A row each, with the other columns of the csv.

  Raises:
    AlignetError: as `read`; a row with a name that is empty or there twice, or
      that no csv can hold; an npz for pairs.
  """
  columns = IMAGES[:size]
  if pathlib.Path(path).suffix == ".npz":
    if size != 3:
      raise AlignetError(f"{path} holds triplets; pass it as --triplets")
    shown = npz.open(path).filenames.tolist()
    rows = [dict(zip(columns, names)) for names in shown]
  else:
    rows = read(path, columns)
  if not rows:
    raise AlignetError(f"{path} holds no triplets")
  for number, row in enumerate(rows):
    names = [row[column] for column in columns]
    if len(set(names)) < size or not all(name.isprintable() for name in names):
      raise AlignetError(
          f"{path}: row {number} is {', '.join(map(repr, names))}; expected"
          f" {size} different file names"
      )
    if not all(names):
      raise AlignetError(f"{path}: row {number} has an empty file name")
  return rows
