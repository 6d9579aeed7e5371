import io
import zipfile
import zlib

from alignet.io import npz_zip
from hypothesis import given
from hypothesis import strategies as st
import numpy as np

_PIECES = st.lists(st.binary(max_size=200), max_size=5)


@given(st.lists(st.tuples(_PIECES, st.booleans()), max_size=4))
def test_zipfile_reads_it(members):
  f = io.BytesIO()
  archive = npz_zip.ZipWriter(f)
  for i, (pieces, compress) in enumerate(members):
    made = [npz_zip.piece(p, compress=compress) for p in pieces]
    archive.member(f"{i}é", made, compress=compress)
  archive.close()
  with zipfile.ZipFile(f) as z:
    assert z.testzip() is None
    assert z.namelist() == [f"{i}é" for i in range(len(members))]
    for i, (pieces, compress) in enumerate(members):
      assert z.read(f"{i}é") == b"".join(pieces)
      info = z.getinfo(f"{i}é")
      assert info.compress_type == (8 if compress else 0)
      if not compress:
        at = f.getvalue()[info.header_offset :]
        inside = 30 + int.from_bytes(at[26:28], "little")
        inside += int.from_bytes(at[28:30], "little")
        assert (info.header_offset + inside) % npz_zip.ALIGNMENT == 0


def test_large_pieces_are_one_deflate_stream():
  """Against zlib, which knows nothing of pieces."""
  rng = np.random.default_rng(0)
  pieces = [rng.integers(0, 9, 300_000, np.uint8).tobytes() for _ in range(4)]
  made = [npz_zip.piece(p, compress=True) for p in pieces]
  stream = b"".join(p.data for p in made) + b"\x03\x00"
  assert zlib.decompress(stream, -15) == b"".join(pieces)
  assert len(stream) < 0.5 * sum(map(len, pieces))
  assert [p.crc for p in made] == [zlib.crc32(p) for p in pieces]


def test_beyond_four_gigabytes(monkeypatch):
  """Sizes and offsets of 64 bits, without writing that much."""

  class Sparse(io.BytesIO):
    """A file that pretends to have begun at five gigabytes."""

    def tell(self):
      return super().tell() + 5 * 2**30

    def seek(self, where, whence=0):
      return super().seek(where - 5 * 2**30 if whence == 0 else where, whence)

  f = Sparse()
  archive = npz_zip.ZipWriter(f)
  archive.member("a", [npz_zip.piece(b"xy", compress=False)], compress=False)
  archive.close()
  data = f.getvalue()
  directory = data[data.index(b"PK\x01\x02") :]
  assert (5 * 2**30).to_bytes(8, "little") in directory[:80]
