"""Arrays of compressed npz files, unpacked once and mapped by all readers.

A deflated array cannot be read at random places, and ten million rows of it in
each of eight workers fill a machine. So it is unpacked, a block at a time, into
an npy file that every process maps: in a folder `.{name}.cache` beside the
npz, or, where that folder is read-only, in `npz` in `files.cache_dir()`.
A copy belongs to one file by size, time of change and the bytes of its
directory; it appears whole or not at all, and may be deleted at any time.
"""

from collections.abc import Callable
import errno
import hashlib
import pathlib

from alignet import files
from alignet import npz_stream
from alignet.errors import AlignetError
import numpy as np

_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS)
_TAIL = 4096  # Bytes at the end of an npz that hold its directory.


def mapped(
    path: files.Path,
    key: str,
    dtype: np.dtype | type[np.generic],
    convert: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
  """A read-only memory map of an array of an npz, unpacked if need be.

  Args:
    path: an npz.
    key: name of the array.
    dtype: of the result.
    convert: a block of rows -> the same rows in that dtype; may refuse them.

  Returns:
    The array, in memory where there is no place to write a copy to.

  Raises:
    AlignetError: the npz is damaged, or the disk is full.
  """
  path = pathlib.Path(path)
  identity = _identity(path)
  with files.open_npz(path, required=(key,)) as archive:
    shape, _ = npz_stream.header(archive, key, path)
    name = f"{key}-{np.dtype(dtype).name}-{identity}.npy"
    for folder in _folders(path):
      copy = folder / name
      if copy.exists():
        try:
          return files.load_npy(copy, what=key, shape=shape, mmap=True)
        except AlignetError:
          pass  # Damaged from outside: written anew.
      blocks = map(convert, npz_stream.read_blocks(archive, key, path))
      try:
        files.save_npy(
            copy, files.Blocks(shape, np.dtype(dtype), blocks), overwrite=True
        )
      except OSError as e:
        if e.errno in _NO_PLACE:
          continue
        raise
      _forget(folder, key, dtype, copy)
      return files.load_npy(copy, what=key, shape=shape, mmap=True)
    array = convert(files.read_member(archive, key, path))
  array.flags.writeable = False
  return array


def _folders(path: pathlib.Path) -> list[pathlib.Path]:
  """Where a copy may lie, the first choice first."""
  place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
  return [
      path.with_name(f".{path.name}.cache"),
      files.cache_dir() / "npz" / place,
  ]


def _identity(path: pathlib.Path) -> str:
  """Size, time of change and directory of a file as a short name."""
  try:
    status = path.stat()
    with open(path, "rb") as f:
      f.seek(max(status.st_size - _TAIL, 0))
      tail = f.read()
  except OSError as e:
    raise AlignetError(f"{path} cannot be read ({e.strerror})") from e
  digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} ".encode())
  digest.update(tail)
  return digest.hexdigest()[:16]


def _forget(
    folder: pathlib.Path,
    key: str,
    dtype: np.dtype | type[np.generic],
    kept: pathlib.Path,
) -> None:
  """Removes copies of what the file was before."""
  for old in folder.glob(f"{key}-{np.dtype(dtype).name}-*.npy"):
    if old != kept:
      old.unlink(missing_ok=True)
