"""Opening text that may be compressed, damaged, or far too large."""

from collections.abc import Iterator
import contextlib
import csv
import gzip
import io
from typing import BinaryIO, TextIO
import zlib

from alignet.errors import AlignetError
from alignet.io import files

LARGE = 2**32
"""Bytes of text that is read a line at a time, such as millions of choices."""

_LINE = 2**24


@contextlib.contextmanager
def open_text(path: files.Path, *, limit: int = 2**26) -> Iterator[TextIO]:
  """Opens text, gzip-compressed or not; damage is one clear error.

  Args:
    path: the file.
    limit: most bytes that are read, uncompressed; a line has at most 16 MiB.
  """
  try:
    with contextlib.ExitStack() as stack:
      raw = stack.enter_context(open(path, "rb"))
      if raw.peek(2)[:2] == b"\x1f\x8b":
        raw = stack.enter_context(gzip.open(raw))
      bounded = io.BufferedReader(_Bounded(raw, path, limit))
      yield io.TextIOWrapper(bounded, newline="", encoding="utf-8-sig")
  except FileNotFoundError as e:
    raise files.missing(path) from e
  except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as e:
    raise AlignetError(
        f"{path} cannot be read as text: it is damaged, cut off or of another"
        f" format ({e})"
    ) from e


class _Bounded(io.RawIOBase):
  """A stream that ends in an error beyond a number of bytes, or of a line."""

  def __init__(self, stream: BinaryIO, path: files.Path, limit: int):
    super().__init__()
    self._stream, self._path, self._limit = stream, path, limit
    self._read = self._line = 0

  def readable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    n = self._stream.readinto(buffer) or 0
    content = bytes(buffer[:n])
    self._read += n
    end = max(content.rfind(b"\n"), content.rfind(b"\r"))
    self._line = n - 1 - end if end >= 0 else self._line + n
    for what, found, most in (
        ("text", self._read, self._limit),
        ("lines", self._line, _LINE),
    ):
      if found > most:
        raise AlignetError(
            f"{self._path}: expected {what} of at most {most >> 20} MiB, found"
            " more; give the right file"
        )
    return n
