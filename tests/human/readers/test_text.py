"""Text within a budget."""

import gzip
import tracemalloc

from alignet.errors import AlignetError
from alignet.human import readers
from alignet.human.readers import text
import pytest


@pytest.mark.parametrize("opened", [open, gzip.open])
def test_lines_and_a_byte_order_mark(tmp_path, opened):
  with opened(tmp_path / "x.txt", "wb") as f:
    f.write("\ufeffä\r\nb\n".encode())
  with text.open_text(tmp_path / "x.txt", limit=9) as f:
    assert list(f) == ["ä\r\n", "b\n"]
  with pytest.raises(AlignetError, match="expected text of at most 0 MiB"):
    with text.open_text(tmp_path / "x.txt", limit=8) as f:
      f.read()


@pytest.mark.parametrize("content", [b"a\n" * 2**20, bytes(2**21)])
def test_a_bomb_of_names(tmp_path, content):
  with gzip.open(tmp_path / "names.txt", "wb", 1) as f:
    for _ in range(40):
      f.write(content)
  tracemalloc.start()
  with pytest.raises(AlignetError, match="at most (16|64) MiB, found more"):
    readers.read_names(tmp_path / "names.txt")
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 3e8


def test_a_line_without_an_end(tmp_path, monkeypatch):
  monkeypatch.setattr(text, "_LINE", 2**20)
  (tmp_path / "x.csv").write_bytes(b"a\n" + bytes(2**20 + 1))
  with pytest.raises(AlignetError, match="lines of at most 1 MiB"):
    with text.open_text(tmp_path / "x.csv", limit=text.LARGE) as f:
      list(f)
