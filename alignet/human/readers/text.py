"""Opening text that may be compressed or damaged."""

from collections.abc import Iterator
import contextlib
import csv
import gzip
from typing import TextIO
import zlib

from alignet.errors import AlignetError
from alignet.io import files


@contextlib.contextmanager
def open_text(path: files.Path) -> Iterator[TextIO]:
  """Opens text, gzip-compressed or not; damage is one clear error."""
  try:
    with contextlib.ExitStack() as stack:
      raw = stack.enter_context(open(path, "rb"))
      zipped = raw.peek(2)[:2] == b"\x1f\x8b"
      opened = gzip.open if zipped else open
      yield stack.enter_context(
          opened(path, "rt", newline="", encoding="utf-8-sig")
      )
  except FileNotFoundError as e:
    raise AlignetError(f"{path} does not exist") from e
  except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as e:
    raise AlignetError(
        f"{path} cannot be read as text: it is damaged, cut off or of another"
        f" format ({e})"
    ) from e
