"""Files of dissimilarity matrices: .npy, .csv, and what MATLAB writes.

MATLAB files are read by SciPy up to version 7; no code of a file is run.
"""

import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np


def read(path: files.Path, *, similarities: bool = False) -> np.ndarray:
  """RDMs of one's own: .npy, .csv, or a .mat with one array.

  Args:
    path: (n, n), (subjects, n, n), or pairs in the order of SciPy's and
      MATLAB's pdist, (pairs,) or (subjects, pairs). A csv holds (n, n), or a
      row a subject; separated by commas, without a header.
    similarities: the file holds similarities: the largest minus each is taken.

  Returns:
    (subjects, n, n) float64.

  Raises:
    AlignetError: another form, a number of pairs that no number of stimuli has,
      a diagonal as in a matrix of similarities where it is said to be none.
  """
  suffix = pathlib.Path(path).suffix
  if suffix == ".npy":
    array = files.load_npy(path, what="RDM", kinds="fiu")
  elif suffix == ".csv":
    try:
      array = np.loadtxt(path, delimiter=",", ndmin=2)
    except FileNotFoundError as e:
      raise AlignetError(f"{path} does not exist") from e
    except (OSError, ValueError) as e:
      raise AlignetError(
          f"{path} cannot be read as numbers separated by commas ({e})"
      ) from e
  elif suffix == ".mat":
    content = mat(path)
    if len(content) != 1:
      raise AlignetError(
          f"{path}: expected one array, found {', '.join(content) or 'none'};"
          " published sets go by the names in alignet.human.similarity_sets"
      )
    array = np.asarray(next(iter(content.values())))
  else:
    raise AlignetError(f"{path}: expected a name ending in .npy, .csv or .mat")
  found = from_array(array, str(path))
  if similarities:
    return dissimilarities(found, path, None)
  _check_diagonal(found, path)
  return found


def from_array(array: np.ndarray, what: str = "RDM") -> np.ndarray:
  """(subjects, n, n) of any of the forms that `read` takes."""
  array = np.asarray(array)
  if array.dtype.kind not in "fiu" or not array.size:
    raise AlignetError(f"{what}: expected numbers, found dtype {array.dtype}")
  array = array.astype(np.float64)
  if array.ndim >= 2 and array.shape[-1] == array.shape[-2]:
    if array.ndim <= 3:
      return array.reshape(-1, *array.shape[-2:])
  elif array.ndim <= 2:
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


def _check_diagonal(matrices, path) -> None:
  """Fails where most things differ from nothing more than from themselves."""
  for m in matrices:
    if (np.diag(m) >= m.max(axis=1)).mean() > 0.5:
      raise AlignetError(
          f"{path}: expected dissimilarities, found a diagonal that holds the"
          " largest value of most rows, as in a matrix of similarities; say so"
          " if it is one (--rdm_similarities=NAME, similarities)"
      )


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
