"""Tests of alignet.io.unpack."""

import io
import stat
import tarfile
import zipfile

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import unpack
import numpy as np
import pytest

_BODY = np.random.default_rng(0).bytes(300_000)


def _zip(path, members):
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
    for name, content in members:
      z.writestr(name, content)
  return path


def _tar(path, members, mode="w:gz"):
  with tarfile.open(path, mode) as t:
    for member, content in members:
      if isinstance(member, str):
        member = tarfile.TarInfo(member)
      member.size = len(content)
      t.addfile(member, io.BytesIO(content))
  return path


def _left(folder):
  return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("make", [_zip, _tar])
def test_unpack(tmp_path, make):
  members = [("a/b.txt", b"b"), ("./c.txt", b"c" * 100_000), ("a/d/e", b"")]
  archive = make(tmp_path / "x", members)
  unpack.unpack(archive, tmp_path / "out")
  found = {
      p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
      for p in (tmp_path / "out").rglob("*")
      if p.is_file()
  }
  assert found == {"a/b.txt": b"b", "c.txt": b"c" * 100_000, "a/d/e": b""}
  with pytest.raises(OutputExistsError):
    unpack.unpack(archive, tmp_path / "out")
  unpack.unpack(archive, tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:evil"]
)
def test_zip_slip_is_refused(tmp_path, make, name):
  archive = make(tmp_path / "x", [("good", b"1"), (name, b"2")])
  with pytest.raises(AlignetError, match="leads out of the folder; nothing"):
    unpack.unpack(archive, tmp_path / "inner" / "out")
  assert {p.name for p in tmp_path.rglob("*")} == {"x", "inner"}


def _link(kind):
  member = tarfile.TarInfo("link")
  member.type, member.linkname = kind, "/etc/passwd"
  return member


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices_in_a_tar(tmp_path, kind):
  archive = _tar(tmp_path / "x", [(_link(kind), b"")])
  with pytest.raises(AlignetError, match="'link' is neither file nor folder"):
    unpack.unpack(archive, tmp_path / "out")
  assert _left(tmp_path) == ["x"]


def test_links_in_a_zip(tmp_path):
  info = zipfile.ZipInfo("link")
  info.external_attr = (stat.S_IFLNK | 0o777) << 16
  archive = _zip(tmp_path / "x", [(info, "/etc/passwd")])
  with pytest.raises(AlignetError, match="'link' is neither file nor folder"):
    unpack.unpack(archive, tmp_path / "out")
  assert _left(tmp_path) == ["x"]


@pytest.mark.parametrize("make", [_zip, _tar])
def test_bombs(tmp_path, make):
  archive = make(tmp_path / "x", [("a", b"0" * 10_000), ("b", b"0" * 10_000)])
  unpack.unpack(archive, tmp_path / "out", max_bytes=20_000, max_files=2)
  for limits in ({"max_bytes": 19_999}, {"max_files": 1}):
    with pytest.raises(AlignetError, match="more"):
      unpack.unpack(archive, tmp_path / "no", **limits)
  assert _left(tmp_path) == ["out", "x"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_two_members_of_one_name(tmp_path, make, names):
  archive = make(tmp_path / "x", [(name, b"1") for name in names])
  with pytest.raises(AlignetError, match="two members of one name"):
    unpack.unpack(archive, tmp_path / "out")
  assert _left(tmp_path) == ["x"]


def test_damaged_archives(tmp_path):
  whole = _zip(tmp_path / "z", [("a", np.random.default_rng(0).bytes(9999))])
  damaged = bytearray(whole.read_bytes())
  damaged[500] ^= 255
  (tmp_path / "flipped").write_bytes(damaged)
  tar = _tar(tmp_path / "t", [("a", _BODY)]).read_bytes()
  (tmp_path / "cut").write_bytes(tar[:100_000])
  xz = _tar(tmp_path / "t.xz", [("a", _BODY)], "w:xz").read_bytes()
  (tmp_path / "cut.xz").write_bytes(xz[:100_000])
  (tmp_path / "text").write_text("no archive")
  for name in ("flipped", "cut", "cut.xz", "text"):
    with pytest.raises(AlignetError, match=f"{name} cannot be unpacked"):
      unpack.unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
  assert not list(tmp_path.glob(".*"))
