"""Arrays of an npz written and read by blocks of rows.

Three file names a triplet take 100 bytes and more as NumPy strings: ten million
of them fit no memory, so they go to disk, and come back, a block at a time.
The files are plain npz, readable with `np.load`. An array that is stored
without compression lies in the file as it lies in memory, and can be mapped.
"""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import io
import math
import mmap
import struct
from typing import Any, BinaryIO
import zipfile

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import npz_zip
from alignet.io import parallel
import numpy as np

Block = np.ndarray | Callable[[], np.ndarray]
"""Some rows, or a function that makes them, which is called in a thread."""

Write = Callable[..., None]


@contextlib.contextmanager
def writer(
    path: files.Path, *, overwrite: bool = False, workers: int | None = None
) -> Iterator[Write]:
  """Opens an npz for writing; it appears at `path` when all went well.

  Equal arrays in equal order give equal bytes. Under compression they must also
  be cut in equal blocks, each of which is deflated by itself, and isal be of
  one version; the number of workers is of no consequence.

  Args:
    path: the .npz file.
    overwrite: replace an existing file.
    workers: threads that make and deflate blocks, all available cores if None.
      About two blocks a thread are in memory.

  Yields:
    `write(key, shape, dtype, blocks, compress=False)`, to be called once an
    array, with its blocks of rows in order. What is not compressed is aligned
    to 64 bytes.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: the disk is full.
  """
  with files.atomic_write(path, overwrite=overwrite) as f:
    archive = npz_zip.ZipWriter(f)

    def write(
        key: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        blocks: Iterable[Block],
        compress: bool = False,
    ) -> None:
      dtype = np.dtype(dtype)

      def piece(block: Block) -> npz_zip.Piece:
        array = np.asarray(block() if callable(block) else block, dtype)
        return npz_zip.piece(array.tobytes(), compress=compress)

      if dtype.hasobject:
        raise AlignetError(
            f"{key}: expected numbers or strings, found dtype {dtype}"
        )
      archive.member(
          f"{key}.npy",
          _pieces(shape, dtype, piece, blocks, compress, workers),
          compress=compress,
      )

    yield write
    archive.close()


def _pieces(shape, dtype, piece, blocks, compress, workers):
  """The npy header, then the blocks, made and deflated in threads."""
  head = io.BytesIO()
  np.lib.format.write_array_header_1_0(
      head,
      {
          "descr": np.lib.format.dtype_to_descr(dtype),
          "fortran_order": False,
          "shape": shape,
      },
  )
  yield npz_zip.piece(head.getvalue(), compress=compress)
  size = 0
  for made in parallel.ordered_map(piece, blocks, workers=workers):
    size += made.size
    yield made
  if size != dtype.itemsize * math.prod(shape):
    raise ValueError(f"{size} bytes written of an array of shape {shape}")


def header(
    archive: np.lib.npyio.NpzFile, key: str, path: files.Path
) -> tuple[tuple[int, ...], np.dtype]:
  """Shape and dtype of an array of an open npz, without reading the array."""
  with _open(archive, key, path) as (_, shape, dtype, _):
    return shape, dtype


def mapped(path: files.Path, key: str) -> np.ndarray | None:
  """A read-only memory map of an array that is stored without compression.

  Processes that map the same file share its memory.

  Args:
    path: an npz.
    key: name of the array.

  Returns:
    The array; None where it is compressed, empty, stored by columns or not
    aligned.

  Raises:
    AlignetError: missing or damaged file, a missing key.
  """
  with files.open_npz(path, required=(key,)) as archive:
    info = archive.zip.getinfo(f"{key}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
      return None
    with _open(archive, key, path) as (member, shape, dtype, fortran_order):
      inside = member.tell()
    size = dtype.itemsize * math.prod(shape)
    if not size or dtype.hasobject or fortran_order and len(shape) > 1:
      return None
    with open(path, "rb") as f:
      with _clear_errors(key, path):
        offset = _data_offset(f, info) + inside
        if info.file_size - inside != size:
          raise ValueError(f"{info.file_size - inside} bytes instead of {size}")
        if offset % dtype.alignment:
          return None
        whole = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
  return np.frombuffer(
      whole, dtype, count=math.prod(shape), offset=offset
  ).reshape(shape)


def read_blocks(
    archive: np.lib.npyio.NpzFile,
    key: str,
    path: files.Path,
    *,
    rows: int = 65536,
) -> Iterator[np.ndarray]:
  """Consecutive blocks of rows of an array of an open npz.

  Raises:
    AlignetError: the array is truncated, pickled or damaged; a wrong checksum
      shows when the last block was taken.
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
        files.check_text(block)
      yield block.reshape(count, *shape[1:])
    with _clear_errors(key, path):
      if member.read(1):  # At the end, the checksum is compared.
        raise ValueError("it is longer than its header says")


def check(archive: np.lib.npyio.NpzFile, path: files.Path, skip: str) -> None:
  """Reads an open npz for its checksums, but one array, and keeps nothing.

  A memory map never meets the checksum of its array.

  Args:
    archive: the npz.
    path: its path.
    skip: name of the array to leave out.

  Raises:
    AlignetError: an array is truncated or damaged.
  """
  for name in archive.zip.namelist():
    key = name.removesuffix(".npy")
    if key != skip:
      with _clear_errors(key, path), archive.zip.open(name) as member:
        while member.read(2**22):
          pass


def _data_offset(f: BinaryIO, info: zipfile.ZipInfo) -> int:
  """Where a member's data begin: behind its local header, of any length."""
  f.seek(info.header_offset)
  local = f.read(30)
  if local[:4] != b"PK\x03\x04":
    raise zipfile.BadZipFile("no local header where the directory says")
  name, extra = struct.unpack("<HH", local[26:30])
  return info.header_offset + len(local) + name + extra


@contextlib.contextmanager
def _open(archive: Any, key: str, path: files.Path):
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
