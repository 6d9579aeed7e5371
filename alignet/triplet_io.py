"""AligNet npz: triplets with soft labels, in the format of the release.

Keys, one row a triplet: `filenames` (n, 3) str; `similarities` (n, 3) float32,
the logits [s01, s02, s12]; `indices` (n, 3) integers, numbers of the images in
their dataset. Our files are in canonical order, s01 >= s02 >= s12, so that the
odd one is last, and carry a fourth key, `meta`, a JSON string, where there is
something to say about how they came.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import functools
import pathlib
from typing import Any

from alignet import files
from alignet import npz_stream
from alignet import progress
from alignet import triplets
from alignet.errors import AlignetError
import numpy as np

KEYS = ("filenames", "similarities", "indices")

# A constant: what deflate makes of names may depend on where they are cut.
_ROWS = 65536


def write(
    path: files.Path,
    filenames: np.ndarray | Sequence[str],
    indices: np.ndarray,
    similarities: np.ndarray,
    *,
    meta: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
  """Writes an AligNet npz in canonical order; equal input, equal bytes.

  Needs 24 bytes of memory a triplet besides its arguments.

  Args:
    path: the .npz file.
    filenames: (n_images,) name of each image of the dataset.
    indices: (n, 3) image numbers, three distinct ones a row, in any order.
    similarities: (n, 3) finite [s01, s02, s12] of those rows.
    meta: JSON-serialisable account of how the file came about.
    overwrite: replace an existing file.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: a row that is no triplet, a similarity that is not finite,
      lengths that differ.
  """
  files.check_output(path, overwrite=overwrite)
  names = files.check_array(
      np.asarray(filenames), "filenames", shape=(None,), kinds="U"
  )
  indices = triplets.check(indices, len(names), what="indices")
  similarities = files.check_array(
      similarities, "similarities", shape=(len(indices), 3), kinds="f"
  )
  sorted_indices = np.empty((len(indices), 3), np.int32)
  sorted_similarities = np.empty((len(indices), 3), np.float32)
  for rows in _slices(len(indices)):
    # Rounded to float32 first: what is written is what stands in order.
    with np.errstate(over="ignore"):  # An overflow is found by check_finite.
      block = similarities[rows].astype(np.float32)
    sorted_indices[rows], sorted_similarities[rows] = triplets.canonical_order(
        indices[rows].astype(np.int32), block
    )
  files.check_finite(sorted_similarities, "similarities (as float32)")

  def name_blocks() -> Iterator[np.ndarray]:
    with progress.bar(
        desc="writing triplets", total=len(indices), unit="triplet"
    ) as bar:
      for rows in _slices(len(indices)):
        yield names[sorted_indices[rows]]
        bar.update(len(sorted_indices[rows]))

  with npz_stream.writer(path, overwrite=overwrite, level=1) as write_member:
    write_member("filenames", sorted_indices.shape, names.dtype, name_blocks())
    for key, array in (
        ("similarities", sorted_similarities),
        ("indices", sorted_indices),
    ):
      write_member(key, array.shape, array.dtype, files.row_blocks(array))
    if meta is not None:
      array = files.json_array(meta)
      write_member("meta", array.shape, array.dtype, [array])


@dataclasses.dataclass(frozen=True, kw_only=True)
class AligNetFile:
  """An AligNet npz; each array is read when it is first asked for.

  Attributes:
    path: the file.
    n: number of triplets; also `len`.
  """

  path: pathlib.Path
  n: int

  def __len__(self) -> int:
    return self.n

  @functools.cached_property
  def indices(self) -> np.ndarray:
    """(n, 3) int32 image numbers."""
    array = self._read("indices")
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int32).max):
      raise AlignetError(
          f"indices in {self.path}: expected image numbers from 0 on that fit"
          f" int32, found {array.min()} to {array.max()}"
      )
    return array.astype(np.int32, copy=False)

  @functools.cached_property
  def similarities(self) -> np.ndarray:
    """(n, 3) float32 logits [s01, s02, s12]."""
    return self._read("similarities").astype(np.float32, copy=False)

  @functools.cached_property
  def filenames(self) -> np.ndarray:
    """(n, 3) str; large: `filename_blocks` reads it piece by piece."""
    return _as_str(self._read("filenames"), self.path)

  @functools.cached_property
  def meta(self) -> dict[str, Any]:
    """How the file came about; empty where it does not say."""
    with files.open_npz(self.path, required=()) as archive:
      if "meta" not in archive.files:
        return {}
      array = files.read_member(archive, "meta", self.path)
    return files.parse_json_array(array, f"meta in {self.path}")

  def filename_blocks(self, rows: int = _ROWS) -> Iterator[np.ndarray]:
    """Consecutive (rows, 3) str blocks of the file names."""
    with files.open_npz(self.path, required=("filenames",)) as archive:
      for block in npz_stream.read_blocks(
          archive, "filenames", self.path, rows=rows
      ):
        yield _as_str(block, self.path)

  def _read(self, key: str) -> np.ndarray:
    with files.open_npz(self.path, required=(key,)) as archive:
      return files.read_member(archive, key, self.path)


def open(path: files.Path) -> AligNetFile:  # pylint: disable=redefined-builtin
  """Opens an AligNet npz, ours or the release's, and reads its headers only.

  Raises:
    AlignetError: missing or damaged file, a missing key, shapes that are not
      (n, 3) with one n, similarities or indices of the wrong kind.
  """
  with files.open_npz(path, required=KEYS) as archive:
    headers = {key: npz_stream.header(archive, key, path) for key in KEYS}
  shape = headers["indices"][0]
  if len(shape) != 2 or shape[1] != 3:
    raise AlignetError(
        f"indices in {path}: expected shape (any, 3), found {shape}"
    )
  for key, kinds in (
      ("filenames", None),
      ("similarities", "f"),
      ("indices", "iu"),
  ):
    found, dtype = headers[key]
    if found != shape:
      raise AlignetError(
          f"{key} in {path}: expected shape {shape} like indices, found {found}"
      )
    files.check_array(np.empty(0, dtype), f"{key} in {path}", kinds=kinds)
  return AligNetFile(path=pathlib.Path(path), n=shape[0])


def read_similarities_indices(
    path: files.Path,
) -> tuple[np.ndarray, np.ndarray]:
  """(n, 3) float32 similarities and (n, 3) int32 indices: 24 bytes a row."""
  opened = open(path)
  return opened.similarities, opened.indices


def _slices(n: int) -> Iterator[slice]:
  return (slice(start, start + _ROWS) for start in range(0, n, _ROWS))


def _as_str(array: np.ndarray, path: files.Path) -> np.ndarray:
  files.check_array(array, f"filenames in {path}", kinds="US")
  return array if array.dtype.kind == "U" else np.char.decode(array, "utf-8")
