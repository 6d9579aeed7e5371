"""Reading with clear errors, writing whole or not at all.

Every file of the project passes through here: a write goes to a temporary name
in the same folder, is flushed to disk and renamed; a read never unpickles and
turns each way a file can be broken into one sentence.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
import errno
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import re
import secrets
import shutil
import socket
import sys
import time
import tokenize
from typing import IO, BinaryIO, NamedTuple
import zipfile
import zlib

from alignet.errors import AlignetError
from alignet.errors import DiskFullError
from alignet.errors import OutputExistsError
from alignet.io import parallel
import numpy as np

Path = str | os.PathLike[str]

BROKEN = (
    EOFError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise when the bytes of an npy or npz are damaged."""

IMAGE = 2**29
"""Bytes that an image file may have."""

_EXPANDED, _RATIO = 2**27, 200
"""Bytes that a member of an npz may always have, and beyond that as a multiple
of what it has compressed: more is a bomb, or another file."""

_SETTLED = 2 * 10**9
"""Nanoseconds after which a change of a file shows in its time."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

_LIBRARIES = (
    *("numpy", "jax", "flax", "optax", "kauldron"),
    *("faiss-cpu", "opencv-python", "onnxruntime"),
)


def check_output(path: Path, *, overwrite: bool = False) -> pathlib.Path:
  """Fails if `path` exists and `overwrite` is false; makes its parent folder.

  Call it before long work, so that the refusal comes first.

  Raises:
    OutputExistsError: the output exists.
  """
  path = pathlib.Path(path)
  if path.exists() and not overwrite:
    raise _exists(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  return path


@contextlib.contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
  """Opens a temporary binary file that becomes `path` when all went well.

  Args:
    path: the final name.
    overwrite: replace an existing file; otherwise its presence is an error.

  Yields:
    A seekable binary file, open for writing.

  Raises:
    OutputExistsError: the output exists.
    DiskFullError: the disk is full.
  """
  path = check_output(path, overwrite=overwrite)
  temporary = _temporary(path)
  try:
    with clear_disk_full(path):
      with open(temporary, "wb") as f:
        yield f
        f.flush()
        os.fsync(f.fileno())
      _rename(temporary, path, overwrite)
      _sync(path.parent)
  finally:
    temporary.unlink(missing_ok=True)


def check_space(path: Path, size: int) -> None:
  """Fails before the work where the disk cannot hold `size` bytes more."""
  free = shutil.disk_usage(pathlib.Path(path).parent).free
  if free < size:
    raise AlignetError(
        f"{path} needs {size / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are"
        " free; free some space or choose another disk"
    )


@contextlib.contextmanager
def clear_disk_full(
    path: Path, kept: str = "nothing of it was kept"
) -> Iterator[None]:
  """Inside, a full disk is one sentence, which says what is kept of a file.

  Raises:
    DiskFullError: the disk is full.
  """
  try:
    yield
  except OSError as e:
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
      raise DiskFullError(
          f"no space left while writing {path}; {kept}: free some space or"
          " choose another disk, then run the same command again"
      ) from e
    raise


@contextlib.contextmanager
def atomic_directory(
    path: Path, *, overwrite: bool = False
) -> Iterator[pathlib.Path]:
  """A temporary folder that becomes `path` when all went well.

  An old folder is renamed first, and removed when the new one has its name: a
  process killed in between leaves it beside as `.{name}.{digits}.old`.

  Args:
    path: the final name.
    overwrite: replace an existing folder; otherwise its presence is an error.

  Yields:
    An empty folder beside the final one.

  Raises:
    OutputExistsError: the output exists.
    DiskFullError: the disk is full.
  """
  path = check_output(path, overwrite=overwrite)
  temporary = _temporary(path)
  temporary.mkdir()
  try:
    with clear_disk_full(path):
      yield temporary
      if path.is_dir() and overwrite:
        _replace_directory(temporary, path)
      elif path.exists():
        raise _exists(path)  # Another process was first.
      else:
        os.rename(temporary, path)  # Fails on a folder that holds anything.
      _sync(path.parent)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _exists(path: pathlib.Path) -> OutputExistsError:
  return OutputExistsError(
      f"{path} already exists; choose another path or pass --overwrite"
      " (overwrite=True) to replace it"
  )


def _temporary(path: pathlib.Path) -> pathlib.Path:
  """A new name beside a path; what dead processes left there goes."""
  host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
  begin = f".{path.name}."
  if len(begin.encode()) > 200:  # Of the 255 that a name may have.
    begin = f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}."
  for name in os.listdir(path.parent):
    owner = re.fullmatch(rf"{host}-(\d+)-[0-9a-f]+\.tmp", name[len(begin) :])
    if name.startswith(begin) and owner and not _is_alive(int(owner[1])):
      stale = path.with_name(name)
      if stale.is_dir():
        shutil.rmtree(stale, ignore_errors=True)
      else:
        stale.unlink(missing_ok=True)
  unique = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
  return path.with_name(f"{begin}{unique}.tmp")


def _is_alive(process: int) -> bool:
  try:
    os.kill(process, 0)
  except ProcessLookupError:
    return False
  except OSError:
    pass  # Somebody else's.
  return True


def _rename(new: pathlib.Path, path: pathlib.Path, overwrite: bool) -> None:
  """Gives a file its name; another process's is not replaced unasked."""
  if overwrite:
    os.replace(new, path)
    return
  try:
    os.link(new, path)
  except FileExistsError:
    raise _exists(path) from None
  except OSError:  # A file system without links.
    if path.exists():
      raise _exists(path) from None
    os.replace(new, path)


def _sync(folder: pathlib.Path) -> None:
  """Makes a new name last through a loss of power, where that can be."""
  with contextlib.suppress(OSError):
    f = os.open(folder, os.O_RDONLY)
    try:
      os.fsync(f)
    finally:
      os.close(f)


def _replace_directory(new: pathlib.Path, path: pathlib.Path) -> None:
  """Gives `new` the name of the folder `path`, whose content goes then."""
  path = path.resolve()  # Of a link, what it leads to is replaced.
  old = new.with_suffix(".old")
  os.replace(path, old)
  try:
    os.replace(new, path)
  except BaseException:
    os.replace(old, path)
    raise
  shutil.rmtree(old)


def sha256(path: Path) -> str:
  """Hexadecimal sha256 of a file's bytes."""
  with open(path, "rb") as f:
    return hashlib.file_digest(f, "sha256").hexdigest()


def digest(path: Path) -> str:
  """sha256 of a file, or of all that a folder holds, see `digest_of`."""
  path = pathlib.Path(path)
  if path.is_file():
    return _remembered(path.parent, [path.name], lambda: sha256(path), "file")
  if not path.is_dir():
    raise missing(path)
  names = (p.relative_to(path).as_posix() for p in path.rglob("*"))
  return digest_of(path, sorted(n for n in names if (path / n).is_file()))


def fresh_digest(folder: Path) -> str:
  """sha256 of the names and contents of all files in a folder, read anew."""
  lines = [
      f"{part.relative_to(folder).as_posix()} {sha256(part)}\n"
      for part in sorted(pathlib.Path(folder).rglob("*"))
      if part.is_file()
  ]
  return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_of(folder: Path, names: Sequence[str]) -> str:
  """sha256 of the names and contents of files in a folder.

  A million images are not read again for each run: where names, sizes and
  times of the last change, in nanoseconds, are those of an earlier call, its
  answer is taken from `cache_dir`.

  Args:
    folder: where they lie.
    names: their paths in it, in order.

  Raises:
    OSError: a file that cannot be read.
  """
  folder = pathlib.Path(folder)

  def compute():
    found = parallel.ordered_map(lambda name: sha256(folder / name), names)
    contents = json.dumps([[*names], list(found)])
    return hashlib.sha256(contents.encode()).hexdigest()

  return _remembered(folder, names, compute)


def _remembered(
    folder: pathlib.Path,
    names: Sequence[str],
    compute: Callable[[], str],
    *kind: str,
) -> str:
  """A digest, computed where files are not those of an earlier call."""
  stats = [os.stat(folder / name) for name in names]
  listing = [*kind, os.path.realpath(folder), [*names]]
  listing += [[s.st_size for s in stats], [s.st_mtime_ns for s in stats]]
  key = hashlib.sha256(json.dumps(listing).encode()).hexdigest()
  try:
    known = cache_dir() / "digests" / key[:2] / key
  except AlignetError:  # A user without a home keeps nothing.
    known = None
  if known and known.is_file():
    return known.read_text()
  answer = compute()
  # Clocks of file systems tick slowly: what is younger may yet change unseen.
  settled = time.time_ns() - max((s.st_mtime_ns for s in stats), default=0)
  if known and settled > _SETTLED:
    with contextlib.suppress(OSError):  # Else it is computed again next time.
      with atomic_write(known, overwrite=True) as f:
        f.write(answer.encode())
  return answer


def cache_dir() -> pathlib.Path:
  """Where downloads and copies lie: $ALIGNET_CACHE, or ~/.cache/alignet.

  Raises:
    AlignetError: neither, as for a user that the system does not know.
  """
  home = os.environ.get("ALIGNET_CACHE") or "~/.cache/alignet"
  try:
    return pathlib.Path(home).expanduser()
  except RuntimeError as e:
    raise AlignetError(
        f"the user {os.getuid()} has no home directory; set ALIGNET_CACHE to a"
        " folder for what is kept between runs"
    ) from e


def read_bytes(path: Path, limit: int) -> bytes:
  """A file of at most `limit` bytes.

  Raises:
    OSError: it cannot be read.
    AlignetError: it is larger.
  """
  with open(path, "rb") as f:
    size = os.fstat(f.fileno()).st_size
    if size <= limit:
      # Python makes room for all that is asked for. A device has no size.
      content = f.read(size + 1 if size else limit + 1)
      if len(content) <= limit:
        return content
  raise AlignetError(
      f"{path}: expected at most {limit >> 20} MiB, found more; give the right"
      " file"
  )


def versions() -> dict[str, str]:
  """Versions of alignet and of the installed libraries that shape results."""
  found = {}
  for name in ("alignet", *_LIBRARIES):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  return found


def save_npy(
    path: Path, array: "np.ndarray | Blocks", *, overwrite: bool = False
) -> None:
  """Writes one array as npy."""
  if not isinstance(array, Blocks):
    array = np.asanyarray(array)
    array = Blocks(array.shape, array.dtype, row_blocks(array))
  with atomic_write(path, overwrite=overwrite) as f:
    write_array(f, *array)


def load_npy(
    path: Path,
    *,
    what: str = "array",
    shape: Sequence[int | None] | None = None,
    kinds: str | None = None,
    mmap: bool = False,
) -> np.ndarray:
  """Reads one npy array without ever unpickling.

  Args:
    path: an .npy file.
    what: what the array is, for the error message.
    shape: expected shape, None for a free axis.
    kinds: allowed NumPy kind codes ("f" float, "iu" integer, "U" string).
    mmap: open as a read-only memory map.

  Returns:
    The array.

  Raises:
    AlignetError: missing, truncated, pickled, of another shape or dtype.
  """
  try:
    with open(path, "rb") as f:
      zipped = f.read(4) in _ZIP  # NumPy would leave a damaged one open.
    if not zipped:
      array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
      check_text(array)
  except FileNotFoundError as e:
    raise missing(path) from e
  except BROKEN as e:
    raise AlignetError(
        f"{path} cannot be read as a NumPy array: it is truncated, pickled or"
        f" not an .npy file ({e})"
    ) from e
  if zipped:
    raise AlignetError(
        f"{path} is an .npz archive; expected an .npy file with one {what}"
    )
  return check_array(array, f"{what} in {path}", shape=shape, kinds=kinds)


def save_npz(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    *,
    overwrite: bool = False,
    compress: bool = False,
) -> None:
  """Writes named arrays as npz; equal arrays give equal bytes."""
  save = np.savez_compressed if compress else np.savez
  with atomic_write(path, overwrite=overwrite) as f:
    save(f, allow_pickle=False, **arrays)


def load_npz(
    path: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
  """Reads an npz into memory without ever unpickling.

  Args:
    path: an .npz file.
    required: keys that must be there.
    optional: keys that are read too, where they are there; None for all.

  Returns:
    Key to array.

  Raises:
    AlignetError: missing, truncated, pickled, or a key is absent.
  """
  with open_npz(path, required=required) as archive:
    keys = archive.files
    if optional is not None:
      keys = [key for key in keys if key in (*required, *optional)]
    return {key: read_member(archive, key, path) for key in keys}


@contextlib.contextmanager
def open_npz(
    path: Path, *, required: Sequence[str]
) -> Iterator[np.lib.npyio.NpzFile]:
  """Opens an npz lazily; checks that the required keys are there."""
  with contextlib.ExitStack() as stack:
    try:
      # Opened here: NumPy would leave a damaged file open.
      f = stack.enter_context(open(path, "rb"))
      archive = np.load(f, allow_pickle=False)
    except FileNotFoundError as e:
      raise missing(path) from e
    except BROKEN as e:
      raise AlignetError(
          f"{path} cannot be read as an .npz archive: it is truncated or of"
          f" another format ({e})"
      ) from e
    if isinstance(archive, np.ndarray):
      raise AlignetError(
          f"{path} holds a single array; expected an .npz archive with the keys"
          f" {', '.join(required)}"
      )
    stack.enter_context(archive)
    absent = [key for key in required if key not in archive.files]
    if absent:
      raise AlignetError(
          f"{path} lacks the key{'s' * (len(absent) > 1)}"
          f" {', '.join(absent)}; found {', '.join(archive.files) or 'none'}"
      )
    yield archive


def read_member(
    archive: np.lib.npyio.NpzFile, key: str, path: Path
) -> np.ndarray:
  """Reads one array of an open npz; a broken one is one clear error."""
  try:
    _check_claims(archive, key)
    array = archive[key]
    check_text(array)
    return array
  except BROKEN as e:
    raise AlignetError(
        f"{key} in {path} cannot be read: the file is truncated, pickled or"
        f" damaged ({e})"
    ) from e


def _check_claims(archive: np.lib.npyio.NpzFile, key: str) -> None:
  """Fails where a member claims more than it has, before room is made."""
  names = archive.zip.namelist()
  info = archive.zip.getinfo(key if key in names else f"{key}.npy")
  if info.file_size > max(_EXPANDED, _RATIO * info.compress_size):
    raise ValueError(f"it would grow from {info.compress_size} bytes")
  with archive.zip.open(info) as member:
    version = np.lib.format.read_magic(member)
    if version > (2, 0):
      raise ValueError(f"npy format {version} is not supported")
    old = version == (1, 0)
    read = (
        np.lib.format.read_array_header_1_0
        if old
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(member)
    size = dtype.itemsize * math.prod(shape)
    if not dtype.hasobject and size != info.file_size - member.tell():
      raise ValueError(
          f"{info.file_size - member.tell()} bytes instead of {size}"
      )


def check_text(array: np.ndarray) -> None:
  """Fails with a ValueError on damaged strings, which CPython stumbles on."""
  if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
    codes = np.ascontiguousarray(array).reshape(-1)
    codes = codes.view(array.dtype.byteorder.replace("|", "=") + "u4")
    if codes.max() > sys.maxunicode:
      raise ValueError(f"it holds the character {codes.max():#x}")


def check_array(
    array: np.ndarray,
    what: str,
    *,
    shape: Sequence[int | None] | None = None,
    kinds: str | None = None,
) -> np.ndarray:
  """Returns `array` if its shape and dtype kind are as expected."""
  array = np.asanyarray(array)
  if shape is not None and (
      array.ndim != len(shape)
      or any(s is not None and s != n for s, n in zip(shape, array.shape))
  ):
    wanted = ", ".join("any" if s is None else str(s) for s in shape)
    raise AlignetError(
        f"{what}: expected shape ({wanted}), found {array.shape}"
    )
  if kinds is not None and array.dtype.kind not in kinds:
    raise AlignetError(
        f"{what}: expected {_kind_names(kinds)}, found dtype {array.dtype}"
    )
  return array


def check_matrix(
    array: np.ndarray,
    what: str,
    *,
    rows: int | None = None,
    columns: int | None = None,
    kinds: str | None = None,
) -> np.ndarray:
  """Returns a matrix of finite numbers, such as features, if it is one."""
  array = check_array(array, what, shape=(rows, columns), kinds=kinds)
  check_finite(array, what)
  return array


def check_finite(
    array: np.ndarray, what: str, *, rows: int = 65536, first: int = 0
) -> None:
  """Fails with the first row that holds a NaN or an infinity.

  Works by blocks of rows, so that a memory map is not read at once. The rows
  are numbered from `first` on.
  """
  for start in range(0, len(array), rows):
    block = np.asarray(array[start : start + rows])
    finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    if not finite.all():
      row = first + start + int(np.argmin(finite))
      raise AlignetError(
          f"{what}: row {row} holds a NaN or infinite value; remove or mend it"
      )


def write_array(
    f: IO[bytes],
    shape: tuple[int, ...],
    dtype: np.dtype,
    blocks: Iterable[np.ndarray],
) -> None:
  """Writes an array in npy format from consecutive blocks of its rows.

  np.save hands a real file to C, where a full disk gives an error without a
  number; here it is an ENOSPC like any other.
  """
  if dtype.hasobject:
    raise AlignetError(
        f"expected an array of numbers or strings, found dtype {dtype}"
    )
  header = {
      "descr": np.lib.format.dtype_to_descr(dtype),
      "fortran_order": False,
      "shape": shape,
  }
  np.lib.format.write_array_header_1_0(f, header)
  written = 0
  for block in blocks:
    block = np.asarray(block, dtype)
    f.write(block.tobytes())
    written += block.size
  if written != math.prod(shape):
    raise ValueError(f"{written} elements written of an array of shape {shape}")


class Blocks(NamedTuple):
  """An array that comes as consecutive blocks of its rows, one at a time.

  Attributes:
    shape: of the whole array.
    dtype: of the whole array.
    blocks: the blocks, to be walked over once.
  """

  shape: tuple[int, ...]
  dtype: np.dtype
  blocks: Iterable[np.ndarray]


def row_blocks(array: np.ndarray, size: int = 2**24) -> Iterator[np.ndarray]:
  """Consecutive blocks of rows of about `size` bytes; a scalar is one block."""
  if array.ndim == 0:
    yield array
    return
  row = array.itemsize * math.prod(array.shape[1:])
  rows = max(size // max(row, 1), 1)
  for start in range(0, len(array), rows):
    yield array[start : start + rows]


def _kind_names(kinds: str) -> str:
  names = {"f": "floats", "i": "integers", "u": "unsigned", "U": "strings"}
  return " or ".join(names.get(k, k) for k in kinds)


def missing(path: Path) -> AlignetError:
  """The error of a file that is not there."""
  if not os.fspath(path):
    return AlignetError(
        "expected a path, found an empty one: a field of the config, or a flag,"
        " is left open"
    )
  return AlignetError(f"{path} does not exist")
