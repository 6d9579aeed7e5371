"""Arrays of compressed npz files, unpacked once and mapped by all readers.

A deflated array cannot be read at random places, and ten million rows of it in
each of eight workers fill a machine. So it is unpacked, a block at a time, into
an npy file that every process maps: in a folder `.{name}.cache` beside the
npz, or, where that folder is read-only, in `npz` in `files.cache_dir()`.
A copy belongs to one file by size, time of change and the bytes of its
directory; it appears whole or not at all, and may be deleted at any time.

Of processes that ask at the same time one unpacks, while the others wait at a
lock: pages are shared between those who map the same copy, not equal ones. On
a file system without locks each unpacks its own; with no place to write to,
each holds the array in its memory.
"""

from collections.abc import Callable, Iterator
import contextlib
import errno
import fcntl
import hashlib
import pathlib

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import npz_stream
import numpy as np

_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS)
_LOCK = "lock"
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
      if (array := _found(copy, key, shape)) is not None:
        return array
      try:
        with _locked(folder):
          # Another process may have made it while this one waited.
          if (array := _found(copy, key, shape)) is not None:
            return array
          blocks = map(convert, npz_stream.read_blocks(archive, key, path))
          files.save_npy(
              copy, files.Blocks(shape, np.dtype(dtype), blocks), overwrite=True
          )
          _forget(folder, key, dtype, copy)
          return files.load_npy(copy, what=key, shape=shape, mmap=True)
      except OSError as e:
        if e.errno not in _NO_PLACE:
          raise
    array = convert(files.read_member(archive, key, path))
  array.flags.writeable = False
  return array


def _found(
    copy: pathlib.Path, key: str, shape: tuple[int, ...]
) -> np.ndarray | None:
  """A copy that is there; None where it is not, or damaged from outside."""
  try:
    return files.load_npy(copy, what=key, shape=shape, mmap=True)
  except AlignetError:
    return None


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
  """Lets one process at a time write to a folder, which is made."""
  folder.mkdir(parents=True, exist_ok=True)
  with open(folder / _LOCK, "w") as f:
    with contextlib.suppress(OSError):  # A file system that has no locks.
      fcntl.flock(f, fcntl.LOCK_EX)
    yield


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
