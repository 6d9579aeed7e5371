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

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import npz_cache
from alignet.io import npz_stream
from alignet.io import progress
from alignet.triplets import layout
import numpy as np

KEYS = ("filenames", "similarities", "indices")

MAPPED_ROWS = 2**20
"""Rows from which numbers are mapped instead of read into memory."""

# A constant: what deflate makes of names depends on where they are cut.
_ROWS = 65536


def write(
    path: files.Path,
    filenames: np.ndarray | Sequence[str],
    indices: np.ndarray,
    similarities: np.ndarray,
    *,
    meta: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
) -> None:
  """Writes an AligNet npz in canonical order; equal input, equal bytes.

  Bounded memory: a few blocks of rows, whatever their number. File names are
  deflated, block by block in threads; the 24 bytes of numbers a row, which
  deflate shrinks little, are stored as they are, so that readers map them.

  Args:
    path: the .npz file.
    filenames: (n_images,) name of each image of the dataset.
    indices: (n, 3) image numbers, three distinct ones a row, in any order;
      possibly a memory map.
    similarities: (n, 3) finite [s01, s02, s12] of those rows; possibly a memory
      map.
    meta: JSON-serialisable account of how the file came about.
    overwrite: replace an existing file.
    workers: threads, all available cores if None; the file does not depend on
      it.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: a row that is no triplet, a similarity that is not finite,
      lengths that differ.
  """
  from alignet.triplets import order  # pylint: disable=g-import-not-at-top

  files.check_output(path, overwrite=overwrite)
  names = files.check_array(
      np.asarray(filenames), "filenames", shape=(None,), kinds="U"
  )
  indices = layout.check(indices, len(names), what="indices")
  similarities = files.check_array(
      similarities, "similarities", shape=(len(indices), 3), kinds="f"
  )
  for rows in _slices(len(indices)):
    files.check_finite(
        _as_float32(similarities[rows]),
        "similarities (as float32)",
        first=rows.start,
    )

  def sorted_rows(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    # Rounded to float32 first: what is written is what stands in order.
    return order.canonical(
        np.asarray(indices[rows], np.int32), _as_float32(similarities[rows])
    )

  members = {
      "filenames": (names.dtype, lambda rows: names[sorted_rows(rows)[0]]),
      "similarities": (np.float32, lambda rows: sorted_rows(rows)[1]),
      "indices": (np.int32, lambda rows: sorted_rows(rows)[0]),
  }
  with npz_stream.writer(
      path, overwrite=overwrite, workers=workers
  ) as write_member:
    for key, (dtype, make) in members.items():
      blocks = progress.bar(
          [functools.partial(make, rows) for rows in _slices(len(indices))],
          desc=f"writing {key}",
          unit="block",
      )
      write_member(
          key, indices.shape, dtype, blocks, compress=key == "filenames"
      )
    if meta is not None:
      array = json_files.array(meta)
      write_member("meta", array.shape, array.dtype, [array], compress=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AligNetFile:
  """An AligNet npz; each array is read when it is first asked for.

  The numbers of a large file are memory maps, 24 bytes a row that all processes
  share: of the file itself where they are stored in it as ours are, else of a
  copy that is made once, see `alignet.io.npz_cache`. Pickled, as data loaders
  do to their workers, it is its path and length.

  Attributes:
    path: the file.
    n: number of triplets; also `len`.
  """

  path: pathlib.Path
  n: int

  def __len__(self) -> int:
    return self.n

  def __getstate__(self) -> dict[str, Any]:
    return {"path": self.path, "n": self.n}

  @functools.cached_property
  def indices(self) -> np.ndarray:
    """(n, 3) int32 image numbers, read-only."""
    return self._numbers("indices", np.int32)

  @functools.cached_property
  def similarities(self) -> np.ndarray:
    """(n, 3) float32 logits [s01, s02, s12], read-only."""
    return self._numbers("similarities", np.float32)

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
    return json_files.parse_array(array, f"meta in {self.path}")

  def filename_blocks(self, rows: int = _ROWS) -> Iterator[np.ndarray]:
    """Consecutive (rows, 3) str blocks of the file names."""
    with files.open_npz(self.path, required=("filenames",)) as archive:
      for block in npz_stream.read_blocks(
          archive, "filenames", self.path, rows=rows
      ):
        yield _as_str(block, self.path)

  def _numbers(self, key: str, dtype: type[np.generic]) -> np.ndarray:
    """An array of numbers: mapped where it is large, else in memory."""
    if self.n >= MAPPED_ROWS:
      array = npz_stream.mapped(self.path, key)
      if array is None or array.dtype != dtype:
        array = npz_cache.mapped(
            self.path, key, dtype, lambda block: _convert(block, key, self.path)
        )
      elif key == "indices":
        for rows in _slices(self.n):
          _convert(array[rows], key, self.path)
      return array
    array = _convert(self._read(key), key, self.path)
    array.flags.writeable = False
    return array

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


def _as_float32(block: np.ndarray) -> np.ndarray:
  with np.errstate(over="ignore"):  # An overflow is found by check_finite.
    return np.asarray(block).astype(np.float32, copy=False)


def _convert(block: np.ndarray, key: str, path: pathlib.Path) -> np.ndarray:
  """Numbers of a file in our dtypes; indices that fit."""
  if key == "similarities":
    return _as_float32(block)
  if block.size and (block.min() < 0 or block.max() > np.iinfo(np.int32).max):
    raise AlignetError(
        f"indices in {path}: expected image numbers from 0 on that fit int32,"
        f" found {block.min()} to {block.max()}"
    )
  return block.astype(np.int32, copy=False)


def _slices(n: int) -> Iterator[slice]:
  return (slice(start, start + _ROWS) for start in range(0, n, _ROWS))


def _as_str(array: np.ndarray, path: files.Path) -> np.ndarray:
  files.check_array(array, f"filenames in {path}", kinds="US")
  if array.dtype.kind == "U":
    return array
  try:
    return np.char.decode(array, "utf-8")
  except UnicodeDecodeError as e:
    raise AlignetError(f"filenames in {path} are not in UTF-8 ({e})") from e
