"""Readers of embeddings and of their posteriors, joined by name."""

import dataclasses
import pathlib
import warnings

from alignet import errors
from alignet.errors import AlignetError
from alignet.human import things
from alignet.human.readers import names as names_lib
from alignet.human.readers import text
from alignet.human.readers.names import ConceptList
from alignet.io import files
import numpy as np
import scipy.special

POSTERIOR_KEYS = (("mu", "sigma"), ("pruned_loc", "pruned_scale"))
"""Of means and deviations in an npz; the second pair is that of VICE's code."""


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

  @property
  def mean(self) -> np.ndarray:
    """(n_concepts, k) float32 mean of max(mu + sigma eps, 0), which is exact.

    mu Phi(mu / sigma) + sigma phi(mu / sigma), with the distribution function
    Phi and the density phi of the standard normal eps.
    """
    mu, sigma = self.mu.astype(np.float64), self.sigma.astype(np.float64)
    z = mu / sigma
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    mean = mu * scipy.special.ndtr(z) + sigma * density
    return np.maximum(mean, 0).astype(np.float32)


def read_embedding(
    path: files.Path,
    concepts: ConceptList | None,
    *,
    names: files.Path | ConceptList | None = None,
    order: str | None = None,
    as_it_stands: bool = False,
    on_unknown: str = "error",
) -> Embedding:
  """Reads an embedding, such as VICE's or SPoSE's, and joins it by name.

  Args:
    path: .npy, any other name is text, of shape (rows, k).
    concepts: the result's row i is concept i of these; None where nothing is
      to be joined by name.
    names: the name of each row, a file for `read_names` or a list.
    order: in its place one of `names.ORDERS`.
    as_it_stands: row i is concept i, on the caller's word, where neither is
      given; not of 1,854 rows, THINGS', of which there are two orders.
    on_unknown: "error", or "drop" for rows that are none of the concepts.

  Returns:
    The embedding in the order of the concepts.

  Raises:
    AlignetError: neither names nor order, or both; a file that cannot be read,
      another number of names, a NaN, a concept without a row, an unknown name
      unless dropped.
  """
  values = _read_matrix(path, "embedding")
  rows, unknown = _join(
      *(values, path, concepts, names, order, as_it_stands, on_unknown)
  )
  return Embedding(values=values[rows], unknown=unknown)


def read_posterior(
    path: files.Path,
    concepts: ConceptList | None,
    *,
    sigma: files.Path | None = None,
    names: files.Path | ConceptList | None = None,
    order: str | None = None,
    as_it_stands: bool = False,
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
    as_it_stands: as there.
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
    named = concepts is not None and "names" in arrays
    if named and names is None and order is None:
      names = names_lib.check_names(arrays["names"], f"names in {path}")
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
  rows, unknown = _join(
      *(mu, path, concepts, names, order, as_it_stands, on_unknown)
  )
  return Posterior(mu=mu[rows], sigma=deviations[rows], unknown=unknown)


def _join(
    values, path, concepts, names, order, as_it_stands, on_unknown
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Row of each concept, and the names that are none of the concepts."""
  names_lib.check_policy(on_unknown=on_unknown)
  trusted = as_it_stands and len(values) != things.N_CONCEPTS
  if (names is None) == (order is None) and (names or not trusted):
    raise AlignetError(
        f"{path}: expected either the names of its {len(values)} rows"
        " (--embedding_names=FILE, names=FILE) or --embedding_order"
        f" (order), one of {', '.join(names_lib.ORDERS)}; an array alone does"
        " not tell: row i may be concept i (things), but VICE as published"
        " (vice) is in another order than concepts.tsv"
    )
  if order is not None:
    errors.check_choice("order", order, names_lib.ORDERS)
  if concepts is None:
    if names is not None or order not in (None, "things"):
      raise AlignetError(
          f"{path}: names or order of the rows are given without the concepts"
          " that they are joined to (--concept_list=FILE)"
      )
    return np.arange(len(values)), ()
  concepts = names_lib.names_of(concepts, "concepts")
  if names is None:
    expected = names_lib.in_order(concepts, order or "things")
  else:
    expected = names_lib.names_of(names, "names")
  if len(values) != len(expected):
    mend = "transpose it" if values.shape[1] == len(expected) else "name each"
    raise AlignetError(
        f"{path}: expected {len(expected)} rows, one a"
        f" {'concept' if names is None else 'name'}, found {len(values)};"
        f" {mend}"
    )
  numbers = names_lib.numbers(expected, concepts)
  unknown = tuple(expected[numbers == names_lib.ABSENT].tolist())
  if unknown and on_unknown == "error":
    raise AlignetError(
        f"{path} has rows of {names_lib.some(unknown)}, none of the"
        f" {len(concepts)} concepts; leave them out with --on_unknown=drop"
        ' (on_unknown="drop")'
    )
  rows = np.full(len(concepts), names_lib.ABSENT)
  known = np.flatnonzero(numbers != names_lib.ABSENT)
  rows[numbers[known]] = known
  missing = concepts[rows == names_lib.ABSENT].tolist()
  if missing:
    raise AlignetError(
        f"{path} has no row of {names_lib.some(missing)} of the {len(concepts)}"
        " concepts; give the concepts that it has"
    )
  return rows, unknown


def _read_matrix(path: files.Path, what: str) -> np.ndarray:
  if pathlib.Path(path).suffix in (".npy", ".npz"):
    return _check_matrix(files.load_npy(path, what=what), f"{what} in {path}")
  with text.open_text(path, limit=2**30) as f:
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
