"""Zip files from pieces that were deflated one by one, in any thread.

A deflate stream may be cut where a block ends on a whole byte, so streams of
single pieces, flushed but not ended, make one stream when they are joined
(RFC 1951; pigz does the same). Python's zipfile cannot take such pieces, hence
the few records of the format here (APPNOTE 6.3.10, sections 4.3 to 4.5).
"""

from collections.abc import Iterable
import struct
from typing import BinaryIO, NamedTuple

from isal import isal_zlib

ALIGNMENT = 64
"""Uncompressed members begin at a multiple of this many bytes."""

_LEVEL = 3  # isal's best; its lower levels make file names 1.4 times larger.
_STORED, _DEFLATED = 0, 8
_ZIP64 = 45  # Version of the format needed to read long files.
_DATE = 0x21  # 1980-01-01, so that equal content gives equal bytes.
_UTF8 = 0x800
_PADDING = 0xD935  # Extra field that carries nothing, as zipalign writes it.
_FULL = 0xFFFFFFFF


class Piece(NamedTuple):
  """Some bytes of a member, ready to be written.

  Attributes:
    data: as they go to the file.
    size: number of bytes before compression.
    crc: CRC-32 of them before compression.
  """

  data: bytes
  size: int
  crc: int


def piece(data: bytes, *, compress: bool) -> Piece:
  """Prepares bytes; holds no lock while it compresses."""
  crc = isal_zlib.crc32(data)
  if not compress:
    return Piece(data, len(data), crc)
  deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
  packed = deflate.compress(data) + deflate.flush(isal_zlib.Z_FULL_FLUSH)
  return Piece(packed, len(data), crc)


class ZipWriter:
  """Writes members one after another; `close` writes the directory."""

  def __init__(self, f: BinaryIO):
    """Writes to a seekable binary file, from its beginning."""
    self._f = f
    self._directory = []

  def member(
      self, name: str, pieces: Iterable[Piece], *, compress: bool
  ) -> None:
    """Writes one member; `compress` as its pieces were prepared."""
    f = self._f
    method = _DEFLATED if compress else _STORED
    offset = f.tell()
    encoded = name.encode()
    padding = b""
    if not compress:  # 30 and 20 bytes: the header, the field of sizes.
      used = offset + 30 + len(encoded) + 20 + 4
      padding = struct.pack("<HH", _PADDING, -used % ALIGNMENT)
      padding += bytes(-used % ALIGNMENT)

    def header(crc: int, packed: int, size: int) -> bytes:
      extra = struct.pack("<HHQQ", 1, 16, size, packed) + padding
      return (
          b"PK\x03\x04"
          + struct.pack("<HHHHH", _ZIP64, _UTF8, method, 0, _DATE)
          + struct.pack("<LLL", crc, _FULL, _FULL)
          + struct.pack("<HH", len(encoded), len(extra))
          + encoded
          + extra
      )

    f.write(header(0, 0, 0))
    begin = f.tell()
    crc = size = 0
    for data, length, part in pieces:
      f.write(data)
      crc = isal_zlib.crc32_combine(crc, part, length)
      size += length
    if compress:
      f.write(b"\x03\x00")  # An empty last block.
    end = f.tell()
    f.seek(offset)
    f.write(header(crc, end - begin, size))
    f.seek(end)
    self._directory.append((encoded, method, crc, end - begin, size, offset))

  def close(self) -> None:
    """Writes the central directory; the file stays open."""
    f = self._f
    start = f.tell()
    for name, method, crc, packed, size, offset in self._directory:
      extra = struct.pack("<HHQQQ", 1, 24, size, packed, offset)
      f.write(
          b"PK\x01\x02"
          + struct.pack("<HHHHHH", _ZIP64, _ZIP64, _UTF8, method, 0, _DATE)
          + struct.pack("<LLL", crc, _FULL, _FULL)
          + struct.pack("<HHHHHLL", len(name), len(extra), 0, 0, 0, 0, _FULL)
          + name
          + extra
      )
    end = f.tell()
    count = len(self._directory)
    f.write(
        b"PK\x06\x06"
        + struct.pack("<QHHLL", 44, _ZIP64, _ZIP64, 0, 0)
        + struct.pack("<QQQQ", count, count, end - start, start)
        + b"PK\x06\x07"
        + struct.pack("<LQL", 0, end, 1)
        + b"PK\x05\x06"
        + struct.pack("<HHHHLLH", 0, 0, count, count, _FULL, _FULL, 0)
    )
