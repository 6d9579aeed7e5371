"""Arrays of an npz written and read by blocks of rows.

Three file names a triplet take 100 bytes and more as NumPy strings: ten million
of them fit no memory, so they go to disk, and come back, a block at a time.
The files are plain npz, readable with `np.load`.
"""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import math
import zipfile

from alignet import files
from alignet.errors import AlignetError
import numpy as np

Write = Callable[[str, tuple[int, ...], np.dtype, Iterable[np.ndarray]], None]


@contextlib.contextmanager
def writer(
    path: files.Path, *, overwrite: bool = False, level: int | None = None
) -> Iterator[Write]:
  """Opens an npz for writing; it appears at `path` when all went well.

  Equal arrays in equal order give equal bytes. Under compression they must also
  be cut in equal blocks: what deflate makes of a stream may depend on that.

  Args:
    path: the .npz file.
    overwrite: replace an existing file.
    level: zlib compression level, None to store without compression.

  Yields:
    `write(key, shape, dtype, blocks)`, to be called once an array.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: the disk is full.
  """
  method = zipfile.ZIP_STORED if level is None else zipfile.ZIP_DEFLATED
  with files.atomic_write(path, overwrite=overwrite) as f:
    with zipfile.ZipFile(f, "w", method, compresslevel=level) as archive:

      def write(key, shape, dtype, blocks):
        # A member opened by name carries the fixed date 1980-01-01.
        with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
          files.write_array(member, shape, np.dtype(dtype), blocks)

      yield write


def header(
    archive: np.lib.npyio.NpzFile, key: str, path: files.Path
) -> tuple[tuple[int, ...], np.dtype]:
  """Shape and dtype of an array of an open npz, without reading the array."""
  with _open(archive, key, path) as (_, shape, dtype, _):
    return shape, dtype


def read_blocks(
    archive: np.lib.npyio.NpzFile,
    key: str,
    path: files.Path,
    *,
    rows: int = 65536,
) -> Iterator[np.ndarray]:
  """Consecutive blocks of rows of an array of an open npz.

  Raises:
    AlignetError: the array is truncated, pickled or damaged.
  """
  with _open(archive, key, path) as (member, shape, dtype, fortran_order):
    if fortran_order:  # Stored by columns: no rows to read one by one.
      array = files.read_member(archive, key, path)
      for start in range(0, len(array), rows):
        yield array[start : start + rows]
      return
    if dtype.hasobject:
      raise AlignetError(f"{key} in {path} holds pickled Python objects")
    row = math.prod(shape[1:])
    for start in range(0, shape[0], rows):
      count = min(rows, shape[0] - start)
      with _clear_errors(key, path):
        data = _read_exactly(member, count * row * dtype.itemsize)
        block = np.frombuffer(data, dtype, count * row)
      yield block.reshape(count, *shape[1:])


@contextlib.contextmanager
def _open(archive, key, path):
  """The open member behind its header, shape, dtype and fortran order."""
  with contextlib.ExitStack() as stack:
    with _clear_errors(key, path):
      member = stack.enter_context(archive.zip.open(f"{key}.npy"))
      version = np.lib.format.read_magic(member)
      read_header = {
          (1, 0): np.lib.format.read_array_header_1_0,
          (2, 0): np.lib.format.read_array_header_2_0,
      }.get(version)
      if read_header is None:
        raise ValueError(f"npy format {version} is not supported")
      shape, fortran_order, dtype = read_header(member)
    yield member, shape, dtype, fortran_order


@contextlib.contextmanager
def _clear_errors(key: str, path: files.Path) -> Iterator[None]:
  try:
    yield
  except files.BROKEN as e:
    raise AlignetError(
        f"{key} in {path} cannot be read: the file is truncated, pickled or"
        f" damaged ({e})"
    ) from e


def _read_exactly(member, size: int) -> bytes:
  data = member.read(size)
  if len(data) != size:
    raise EOFError(f"{size - len(data)} bytes are missing")
  return data
