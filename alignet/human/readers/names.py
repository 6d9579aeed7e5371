"""Lists of concepts' names, and joining by name."""

from collections.abc import Sequence
import csv
import os
import pathlib
import re
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.human import things
from alignet.human.readers import text
from alignet.io import files
import numpy as np

ConceptList = things.Concepts | Sequence[str] | np.ndarray
"""Concepts of THINGS, or any list of different names."""

NAME_COLUMNS = ("unique_id", "uniqueID")
"""Either is the column of names in a table with a header."""

ORDERS = ("things", "vice", "sorted", "natural")
"""Order of an array's rows without names: that of the list of concepts, as
THINGS' own arrays are; of the concepts' picture files NAME.jpg, sorted, as VICE
is published; of the names, sorted; likewise, but numbers by value."""

ABSENT = -1
"""Number of a name that is none of the concepts."""


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
    return check_names(files.load_npy(path, what="names", kinds="U"), path)
  with text.open_text(path) as f:
    if pathlib.Path(path).suffix != ".tsv":
      lines = f.read().splitlines()  # Its size is bounded before its lines.
      return check_names([line.strip() for line in lines], path)
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
    return check_names([(row[i : i + 1] or [""])[0] for row in reader], path)


def names_of(given: files.Path | ConceptList, what: str) -> np.ndarray:
  """(n,) str, different names: those of the concepts, a file or a list."""
  if isinstance(given, things.Concepts):
    return given.unique_id
  if isinstance(given, str | os.PathLike):
    return read_names(given)
  return check_names(given, what)


def check_names(names: Sequence[str] | np.ndarray, what: Any) -> np.ndarray:
  """(n,) str, if each name is there once and none is empty."""
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


def numbers(names: np.ndarray, concepts: np.ndarray) -> np.ndarray:
  """(names,) number of the concept of each name, -1 where there is none."""
  number = {name: i for i, name in enumerate(concepts.tolist())}
  return np.array([number.get(name, ABSENT) for name in names.tolist()])


def in_order(names: np.ndarray, order: str) -> np.ndarray:
  """Names of the rows of an array that is in one of `ORDERS` of the names."""
  key = {"vice": lambda name: f"{name}.jpg", "natural": natural}.get(order)
  return names if order == "things" else np.array(sorted(names, key=key))


def natural(name: str) -> list[tuple[int, str]]:
  """A key to sort by in which a2 comes before a10."""
  parts = re.findall(r"[0-9]+|[^0-9]+", name)
  return [(int(p), p) if p[0].isdigit() else (-1, p) for p in parts]


def check_policy(**given: str) -> None:
  """Fails unless each is "error" or "drop"."""
  for name, value in given.items():
    errors.check_choice(name, value, ("error", "drop"))


def some(names: Sequence[str]) -> str:
  """Some of the names, and how many they are."""
  shown = ", ".join(names[:3])
  return f"{shown} … ({len(names)})" if len(names) > 3 else shown
