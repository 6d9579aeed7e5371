"""Files of matrices of (dis)similarity: .npy, text, and what MATLAB writes.

MATLAB files are read by SciPy up to version 7; no code of a file is run.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import io
import math
import pathlib
from typing import Any, Literal, get_args

from alignet import errors
from alignet.errors import AlignetError
from alignet.human.readers import text as text_lib
from alignet.io import files
import numpy as np

Kind = Literal["similarity", "distance"]
"""Whether a larger number is of more, or of less similar things."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Matrices:
  """Dissimilarities of the same stimuli.

  Attributes:
    rdms: (subjects, n, n) float64; larger is less similar.
    kind: what the file held.
    names: of the stimuli in the order of the rows, where the file says them.
  """

  rdms: np.ndarray
  kind: Kind
  names: tuple[str, ...] | None = None


_MOST = 2**28  # Numbers of one variable.


def read(path: files.Path, *, kind: Kind | None = None) -> Matrices:
  """Matrices of one's own: .npy, .csv, .tsv, .txt, or .mat.

  Args:
    path: (n, n), (subjects, n, n), (n, n, subjects), or pairs in the order of
      SciPy's and MATLAB's pdist, (pairs,) or (subjects, pairs). A text holds
      (n, n), or a row a subject; commas, tabs, semicolons or blanks stand
      between, and names may stand above and before the numbers. A .mat holds
      one array; a struct array with a field RDM a subject, as the MATLAB RSA
      toolbox writes; or `rdmutv` and `stimuli`, as Meadows does: distances.
    kind: what the numbers are; None where the file proves it: a diagonal that
      holds the largest value of most rows is one of similarities. A diagonal
      of zeros or NaN, or none, proves nothing.

  Raises:
    AlignetError: another form, a number of pairs that no number of stimuli has,
      a kind that is not known, or is not that of the numbers.
  """
  suffix, names = pathlib.Path(path).suffix, None
  if kind is not None:
    errors.check_choice("kind", kind, get_args(Kind))
  if suffix == ".npy":
    array = files.load_npy(path, what="RDM", kinds="fiu")
  elif suffix in (".csv", ".tsv", ".txt"):
    array, names = _text(path)
  elif suffix == ".mat":
    array, names, proven = _of_mat(mat(path), path)
    kind = kind or proven
  else:
    raise AlignetError(
        f"{path}: expected a name ending in .npy, .csv, .tsv, .txt or .mat"
    )
  found = from_array(array, str(path))
  if names is not None and len(names) != found.shape[-1]:
    raise AlignetError(
        f"{path}: expected a name for each of the {found.shape[-1]} rows, found"
        f" {len(names)}"
    )
  similar = _is_largest_on_the_diagonal(found)
  if kind is None and not similar:
    raise AlignetError(
        f"{path} does not say whether it holds similarities or distances; say"
        " so (--rdm_kind=NAME=similarity or NAME=distance; kind)"
    )
  if kind == "distance" and similar:
    raise AlignetError(
        f"{path}: expected distances, found a diagonal that holds the largest"
        " value of most rows, as in a matrix of similarities; say that it is"
        " one (--rdm_kind=NAME=similarity, kind)"
    )
  if (kind or "similarity") == "similarity":
    return Matrices(
        rdms=dissimilarities(found, path, None), kind="similarity", names=names
    )
  return Matrices(rdms=found, kind="distance", names=names)


def _text(path: files.Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
  """Numbers of a text, whoever wrote it, and names above or before them."""
  with text_lib.open_text(path, limit=2**30) as f:
    text = f.read()
  first = next((line for line in text.splitlines() if line.strip()), "")
  between = next((d for d in "\t;," if d in first), " ")
  rows = [
      [cell.strip() for cell in row]
      for row in csv.reader(
          io.StringIO(text), delimiter=between, skipinitialspace=True
      )
  ]
  rows = [row for row in rows if any(row)]
  if between == ";":  # Where numbers have a comma for a point.
    rows = [[cell.replace(",", ".") for cell in row] for row in rows]
  above = before = None
  if len(rows) > 1 and not any(map(_is_number, rows[0][1:])):
    above, rows = rows[0], rows[1:]
  if rows and all(len(r) > 1 and not _is_number(r[0]) for r in rows):
    before, rows = tuple(row[0] for row in rows), [row[1:] for row in rows]
    above = above and above[-len(rows[0]) :]
  if above and before and tuple(above) != before:
    raise AlignetError(
        f"{path}: the names above the numbers are not those before them"
    )
  try:
    return np.array(rows, np.float64), before or above and tuple(above)
  except ValueError as e:
    raise AlignetError(
        f"{path} cannot be read as rows of numbers with {between!r} between"
        f" ({e})"
    ) from e


def _is_number(cell: str) -> bool:
  try:
    float(cell or "nan")
  except ValueError:
    return False
  return True


def _of_mat(
    content: Mapping[str, Any], path: files.Path
) -> tuple[np.ndarray, tuple[str, ...] | None, Kind | None]:
  """Array, names and kind of what a MATLAB file holds."""
  vectors = [k for k in content if k == "rdmutv" or k.startswith("rdmutv_")]
  if vectors and "stimuli" in content:
    names = np.atleast_1d(content["stimuli"]).tolist()
    array = np.stack([np.ravel(content[key]) for key in sorted(vectors)])
    return array, tuple(str(name).strip() for name in names), "distance"
  if len(content) != 1:
    raise AlignetError(
        f"{path}: expected one array, found {', '.join(content) or 'none'};"
        " published sets go by the names in alignet.human.similarity_sets"
    )
  value = next(iter(content.values()))
  structs = value if isinstance(value, Sequence | np.ndarray) else [value]
  if len(structs) and all(
      isinstance(one, Mapping) and "RDM" in one for one in structs
  ):
    return np.stack([np.asarray(one["RDM"]) for one in structs]), None, None
  return np.asarray(value), None, None


def from_array(array: np.ndarray, what: str = "RDM") -> np.ndarray:
  """(subjects, n, n) of any of the forms that `read` takes.

  An array of which all three sides are equal is taken by where it is symmetric.
  """
  array = np.asarray(array)
  if array.dtype.kind not in "fiu" or not array.size:
    raise AlignetError(f"{what}: expected numbers, found dtype {array.dtype}")
  array = array.astype(np.float64)
  if array.ndim == 3 and array.shape[0] == array.shape[1]:
    symmetric = np.allclose(array, array.swapaxes(0, 1), equal_nan=True)
    if array.shape[1] != array.shape[2] or symmetric:
      if array.shape[1] == array.shape[2] and np.allclose(
          array, array.swapaxes(1, 2), equal_nan=True
      ):
        raise AlignetError(
            f"{what}: shape {array.shape} may be (subjects, n, n) or"
            " (n, n, subjects); give one matrix a file"
        )
      array = array.transpose(2, 0, 1)
  if array.ndim >= 2 and array.shape[-1] == array.shape[-2]:
    if array.ndim <= 3:
      return array.reshape(-1, *array.shape[-2:])
  elif 1 <= array.ndim <= 2:
    pairs = array.reshape(-1, array.shape[-1])
    n = (1 + np.sqrt(1 + 8 * pairs.shape[1])) / 2
    if n == int(n):
      n = int(n)
      i, j = np.triu_indices(n, k=1)
      out = np.zeros((len(pairs), n, n))
      out[:, i, j] = out[:, j, i] = pairs
      return out
  raise AlignetError(
      f"{what}: expected (n, n), (subjects, n, n) or (subjects, pairs) with"
      f" n (n - 1) / 2 pairs, found shape {array.shape}"
  )


def _is_largest_on_the_diagonal(matrices: np.ndarray) -> bool:
  """Whether most things resemble themselves most, in numbers other than 0."""
  diagonals = np.diagonal(matrices, axis1=1, axis2=2)
  with np.errstate(invalid="ignore"):
    others = np.where(np.eye(matrices.shape[1], dtype=bool), np.nan, matrices)
    largest = diagonals >= np.nanmax(others, axis=2, initial=-np.inf)
    largest &= diagonals > np.nanmin(others, axis=2, initial=np.inf)
  return bool((largest & (diagonals != 0)).mean() > 0.5)


def dissimilarities(
    similarities: np.ndarray, path: files.Path, maximum: float | None
) -> np.ndarray:
  """`maximum`, or the largest similarity if that is above it, minus each."""
  similarities = np.asarray(similarities)
  if similarities.dtype.kind not in "fiu" or not similarities.size:
    raise AlignetError(
        f"{path}: expected numbers, found dtype {similarities.dtype}"
    )
  largest = np.nanmax(similarities)
  return (largest if maximum is None else max(maximum, largest)) - similarities


def mat(path: files.Path) -> dict[str, Any]:
  """Variables of a MATLAB file, structs as dicts."""
  from scipy import io  # pylint: disable=g-import-not-at-top

  try:
    with open(path, "rb") as f:
      for name, shape, _ in io.whosmat(f):
        if math.prod(shape) > _MOST:
          raise ValueError(f"{name} has {math.prod(shape)} numbers")
      content = io.loadmat(f, simplify_cells=True)
  except FileNotFoundError as e:
    raise AlignetError(f"{path} does not exist") from e
  except NotImplementedError as e:
    raise AlignetError(
        f"{path} is a MATLAB file of version 7.3, which SciPy does not read;"
        " save it with -v7 or as .npy"
    ) from e
  except Exception as e:  # loadmat stumbles in many ways on other files.
    raise AlignetError(
        f"{path} cannot be read as a MATLAB file: it is truncated or of another"
        f" format ({e})"
    ) from e
  return {k: v for k, v in content.items() if not k.startswith("__")}
