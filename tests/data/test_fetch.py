"""Tests of alignet.data.fetch, against a server on this machine."""

import errno
import hashlib
import http.server
import io
import json
import re
import shutil
import stat
import tarfile
import threading
import zipfile

from alignet import files
from alignet.data import fetch
from alignet.data import things
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
import numpy as np
import pytest

_BODY = np.random.default_rng(0).bytes(300_000)
_OTHER = _BODY[::-1]
_SHA = hashlib.sha256(_BODY).hexdigest()


class _Server(http.server.ThreadingHTTPServer):
  """Serves `body` at any path, badly where told so.

  Attributes:
    body: the file.
    headers: further ones of every answer.
    cuts: for each coming answer the bytes after which the connection is cut,
      None for a whole one.
    ranges: whether Range is honoured.
    conditions: whether If-Range is.
    codes: answers with these codes first.
    seen: (path, Range, If-Range) of each request.
  """

  daemon_threads = True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.body = _BODY
    self.headers = {"ETag": '"one"'}
    self.cuts = []
    self.codes = []
    self.ranges = self.conditions = True
    self.seen = []

  @property
  def url(self):
    return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):

  def do_GET(self):
    server = self.server
    asked, condition = self.headers["Range"], self.headers["If-Range"]
    server.seen.append((self.path, asked, condition))
    if server.codes:
      self.send_error(server.codes.pop(0))
      return
    if self.path.startswith("/redirect/"):
      self.send_response(302)
      self.send_header("Location", self.path.removeprefix("/redirect"))
      self.end_headers()
      return
    valid = condition in (None, *server.headers.values())
    start, total = 0, len(server.body)
    if asked and server.ranges and (valid or not server.conditions):
      start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
    if start >= total:
      self.send_response(416)
      self.send_header("Content-Range", f"bytes */{total}")
      self.send_header("Content-Length", "0")
      self.end_headers()
      return
    self.send_response(206 if start else 200)
    if start:
      self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    for name, value in server.headers.items():
      self.send_header(name, value)
    self.send_header("Content-Length", str(total - start))
    self.end_headers()
    cut = server.cuts.pop(0) if server.cuts else None
    stop = total if cut is None else start + cut
    self.wfile.write(server.body[start:stop])

  def log_message(self, *args):
    del args


@pytest.fixture
def server(monkeypatch):
  for name in ("no_proxy", "NO_PROXY"):
    monkeypatch.setenv(name, "127.0.0.1")
  server = _Server()
  thread = threading.Thread(target=server.serve_forever, args=(0.01,))
  thread.start()
  yield server
  server.shutdown()
  thread.join()
  server.server_close()


def _download(server, path, **kwargs):
  kwargs = {"wait": 0.001, "attempts": 3, **kwargs}
  return fetch.download(f"{server.url}/a/f.bin", path, **kwargs)


def _left(folder):
  return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("sha256", [None, _SHA])
def test_download(server, tmp_path, sha256):
  path = tmp_path / "f.bin"
  assert _download(server, path, sha256=sha256, size=300_000) == _SHA
  assert path.read_bytes() == _BODY
  assert server.seen == [("/a/f.bin", None, None)]
  assert _left(tmp_path) == ["f.bin"]


@pytest.mark.parametrize(
    "headers, condition",
    [
        ({"ETag": '"one"', "Last-Modified": "then"}, '"one"'),
        ({"ETag": 'W/"one"', "Last-Modified": "then"}, "then"),
    ],
)
def test_goes_on_where_the_connection_broke(
    server, tmp_path, headers, condition
):
  server.headers = headers
  server.cuts = [1000, 70_000]
  assert _download(server, tmp_path / "f.bin") == _SHA
  assert [seen[1:] for seen in server.seen] == [
      (None, None),
      ("bytes=1000-", condition),
      ("bytes=71000-", condition),
  ]
  assert _left(tmp_path) == ["f.bin"]


def test_a_later_call_goes_on(server, tmp_path):
  path = tmp_path / "f.bin"
  server.cuts = [5000, 0, 0]
  with pytest.raises(AlignetError, match=r"3 attempts.* 5000 bytes that are"):
    _download(server, path)
  assert _left(tmp_path) == ["f.bin.part", "f.bin.part.json"]
  assert _download(server, path) == _SHA
  assert server.seen[-1][1:] == ("bytes=5000-", '"one"')


def test_attempts_are_counted_from_the_last_byte(server, tmp_path):
  server.cuts = [10] * 9
  assert _download(server, tmp_path / "f.bin", attempts=2) == _SHA
  assert len(server.seen) == 10


def test_range_is_ignored(server, tmp_path):
  server.ranges = False
  server.cuts = [1000]
  assert _download(server, tmp_path / "f.bin") == _SHA
  assert len(server.seen) == 2


def test_no_endless_loop_without_ranges(server, tmp_path):
  server.ranges = False
  server.cuts = [1000] * 99
  with pytest.raises(AlignetError, match="ended 299000 bytes too early"):
    _download(server, tmp_path / "f.bin")
  assert len(server.seen) == 3


@pytest.mark.parametrize("conditions", [True, False])
def test_file_changed_between_two_tries(server, tmp_path, conditions):
  """With a server that ignores If-Range the other ETag tells."""
  path = tmp_path / "f.bin"
  server.cuts = [5000]
  with pytest.raises(AlignetError):
    _download(server, path, attempts=1)
  server.body, server.headers = _OTHER, {"ETag": '"two"'}
  server.conditions = conditions
  _download(server, path)
  assert path.read_bytes() == _OTHER
  assert server.seen[1][1:] == ("bytes=5000-", '"one"')


def test_without_validators_it_starts_again(server, tmp_path):
  server.headers = {}
  server.cuts = [1000]
  assert _download(server, tmp_path / "f.bin") == _SHA
  assert server.seen[1][1:] == (None, None)


def test_without_validators_the_checksum_tells(server, tmp_path):
  server.headers = {}
  server.cuts = [1000]
  assert _download(server, tmp_path / "f.bin", sha256=_SHA) == _SHA
  assert server.seen[1][1:] == ("bytes=1000-", None)


def test_another_address_starts_again(server, tmp_path):
  path = tmp_path / "f.bin"
  server.cuts = [5000]
  with pytest.raises(AlignetError):
    _download(server, path, attempts=1)
  assert fetch.download(f"{server.url}/b", path) == _SHA
  assert server.seen[1] == ("/b", None, None)


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_nothing_is_left_to_receive(server, tmp_path, extra):
  """Cut between the last byte and the renaming; or the file is shorter now."""
  (tmp_path / "f.bin.part").write_bytes(_BODY + extra)
  files.write_json(
      tmp_path / "f.bin.part.json",
      {"url": f"{server.url}/a/f.bin", "validator": '"one"'},
  )
  assert _download(server, tmp_path / "f.bin") == _SHA
  assert _left(tmp_path) == ["f.bin"]


@pytest.mark.parametrize("state", ["", "[]", "{}", '{"url": 3}'])
def test_a_broken_state_starts_again(server, tmp_path, state):
  (tmp_path / "f.bin.part").write_bytes(_BODY[:99])
  (tmp_path / "f.bin.part.json").write_text(state)
  assert _download(server, tmp_path / "f.bin") == _SHA
  assert server.seen[0][1] is None


def test_redirects_keep_the_range(server, tmp_path):
  server.cuts = [1000]
  url = f"{server.url}/redirect/a/f.bin"
  assert fetch.download(url, tmp_path / "f.bin", wait=0.001) == _SHA
  assert server.seen[-1] == ("/a/f.bin", "bytes=1000-", '"one"')


def test_passing_errors_are_tried_again(server, tmp_path):
  server.codes = [503, 429]
  assert _download(server, tmp_path / "f.bin") == _SHA
  server.codes = [500] * 3
  with pytest.raises(AlignetError, match="answers 500 .*3 attempts"):
    _download(server, tmp_path / "f.bin")


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_lasting_errors_are_not(server, tmp_path, code):
  server.codes = [code] * 3
  with pytest.raises(AlignetError, match=f"a/f.bin: .*answers {code} .*--url"):
    _download(server, tmp_path / "f.bin")
  assert len(server.seen) == 1 and not _left(tmp_path)


def test_no_connection(server, tmp_path):
  url = "http://127.0.0.1:1/f.bin"
  with pytest.raises(AlignetError, match="no connection .*2 attempts.*network"):
    fetch.download(url, tmp_path / "f.bin", attempts=2, wait=0.001)
  assert not _left(tmp_path)


def test_wrong_checksum_is_not_kept(server, tmp_path):
  with pytest.raises(AlignetError, match=f"sha256 {'0' * 64}, found 300000"):
    _download(server, tmp_path / "f.bin", sha256="0" * 64)
  assert not _left(tmp_path)
  with pytest.raises(AlignetError, match="expected 5 bytes, found 300000"):
    _download(server, tmp_path / "f.bin", size=5)
  assert not _left(tmp_path)


def test_an_old_file_stays_until_the_new_one_is_whole(server, tmp_path):
  path = tmp_path / "f.bin"
  path.write_bytes(b"old")
  with pytest.raises(AlignetError):
    _download(server, path, sha256="0" * 64)
  assert path.read_bytes() == b"old"


def test_a_web_page_is_no_data(server, tmp_path):
  server.headers = {"Content-Type": "text/html; charset=utf-8"}
  with pytest.raises(AlignetError, match="sent a web page in the place of f.b"):
    _download(server, tmp_path / "f.bin")
  assert not _left(tmp_path)


def test_full_disk_before_and_while_writing(server, tmp_path, monkeypatch):
  path = tmp_path / "f.bin"
  usage = shutil.disk_usage(tmp_path)._replace(free=1000)
  with monkeypatch.context() as m:
    m.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(AlignetError, match="no space left.*again"):
      _download(server, path)

  class Full(io.FileIO):

    def write(self, data):
      if self.tell() >= 100_000:
        raise OSError(errno.ENOSPC, "No space left on device")
      return super().write(data)

  with monkeypatch.context() as m:
    m.setattr(fetch, "open", lambda p, mode: Full(p, mode), raising=False)
    with pytest.raises(AlignetError, match="no space left.*goes on from there"):
      _download(server, path)
  kept = (tmp_path / "f.bin.part").stat().st_size
  assert kept >= 100_000
  assert _download(server, path) == _SHA
  assert server.seen[-1][1] == f"bytes={kept}-"


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "file:///etc/passwd", "a/b", "http:///b"]
)
def test_other_addresses(tmp_path, url):
  with pytest.raises(AlignetError, match="http:// or https://, found"):
    fetch.download(url, tmp_path / "f.bin")


def _dataset(server, **kwargs):
  return fetch.Dataset(
      name="d",
      files=(
          fetch.File(name="f.bin", url=f"{server.url}/f.bin", **kwargs),
          fetch.File(name="g.bin", url=f"{server.url}/g.bin"),
      ),
  )


def test_fetch_does_nothing_twice(server, tmp_path):
  out = tmp_path / "out"
  first = fetch.fetch(_dataset(server, sha256=_SHA), out)
  assert [f.checked for f in first] == [True, False]
  assert all(f.downloaded and f.sha256 == _SHA for f in first)
  assert first[0].path == out / "f.bin"
  record = json.loads((out / fetch.RECORD).read_text())
  assert record["g.bin"] == {
      "sha256": _SHA,
      "size": 300_000,
      "url": f"{server.url}/g.bin",
  }
  again = fetch.fetch(_dataset(server, sha256=_SHA), out)
  # What was found the first time is what is expected now.
  assert [f.checked for f in again] == [True, True]
  assert not any(f.downloaded for f in again) and len(server.seen) == 2


def test_unknown_checksums_are_compared_with_the_record(server, tmp_path):
  fetch.fetch(_dataset(server), tmp_path)
  server.body = _OTHER
  (tmp_path / "g.bin").unlink()
  with pytest.raises(AlignetError, match=f"/g.bin: expected the sha256 {_SHA}"):
    fetch.fetch(_dataset(server), tmp_path)
  (tmp_path / "f.bin").write_bytes(b"altered")
  with pytest.raises(AlignetError, match=f"f.bin is there .*{_SHA}; move"):
    fetch.fetch(_dataset(server), tmp_path)
  found = fetch.fetch(_dataset(server), tmp_path, overwrite=True)
  assert {f.sha256 for f in found} == {hashlib.sha256(_OTHER).hexdigest()}
  assert json.loads((tmp_path / fetch.RECORD).read_text())["g.bin"][
      "sha256"
  ] == (found[1].sha256)


def test_files_of_unknown_origin_are_recorded_as_they_are(server, tmp_path):
  (tmp_path / "g.bin").write_bytes(b"mine")
  (tmp_path / "f.bin").write_bytes(_BODY)
  f, g = fetch.fetch(_dataset(server, sha256=_SHA), tmp_path)
  assert (f.checked, g.checked) == (True, False)
  assert not server.seen and not (f.downloaded or g.downloaded)
  record = json.loads((tmp_path / fetch.RECORD).read_text())
  assert record["g.bin"]["sha256"] == hashlib.sha256(b"mine").hexdigest()
  assert record["g.bin"]["url"] is None


def test_existing_file_with_another_checksum(server, tmp_path):
  (tmp_path / "f.bin").write_bytes(b"old")
  with pytest.raises(AlignetError, match="f.bin is there with .*--overwrite"):
    fetch.fetch(_dataset(server, sha256=_SHA), tmp_path)
  assert (tmp_path / "f.bin").read_bytes() == b"old"
  found, _ = fetch.fetch(
      _dataset(server, sha256=_SHA), tmp_path, overwrite=True
  )
  assert found.downloaded and (tmp_path / "f.bin").read_bytes() == _BODY


def test_no_address(tmp_path):
  dataset = fetch.Dataset(name="d", files=(fetch.File(name="f", url=None),))
  with pytest.raises(AlignetError, match="no address of f is known"):
    fetch.fetch(dataset, tmp_path)


def test_bad_record(server, tmp_path):
  (tmp_path / fetch.RECORD).write_text("[]")
  with pytest.raises(AlignetError, match="expected a JSON object"):
    fetch.fetch(_dataset(server), tmp_path)


def test_find():
  dataset = fetch.find("things", url="https://mirror.org/d/")
  assert [f.url for f in dataset.files] == [
      f"https://mirror.org/d/{f.name}" for f in fetch.CATALOGUE["things"].files
  ]
  assert dataset.files[1].sha256 == fetch.CATALOGUE["things"].files[1].sha256
  dataset = fetch.find("things", sha256={"unique_id.txt": "A" * 64})
  assert dataset.files[1].sha256 == "a" * 64 and dataset.files[1].size is None
  (file,) = fetch.find(
      "my file.npy", url="http://a", sha256={"": "0" * 64}
  ).files
  assert (file.url, file.sha256) == ("http://a/my%20file.npy", "0" * 64)


@pytest.mark.parametrize(
    "name, more, message",
    [
        ("levels", {}, "'levels'; expected things or vice, or .*--url"),
        ("a/b", {"url": "http://a"}, "without folders, found 'a/b'"),
        ("..", {"url": "http://a"}, "without folders"),
        ("sha256.json", {"url": "http://a"}, "without folders"),
        ("f", {"url": "mirror"}, "http:// or https://, found 'mirror/f'"),
        ("things", {"sha256": {"": "0" * 64}}, "pass --sha256=FILE=HEX"),
        ("things", {"sha256": {"f": "0" * 64}}, "sha256 of f: things has"),
        ("vice", {"sha256": {"item_names.tsv": "12"}}, "64 hex.* found '12'"),
    ],
)
def test_cannot_be_found(name, more, message):
  with pytest.raises(AlignetError, match=message):
    fetch.find(name, **more)


def test_catalogue_is_sound():
  for name, dataset in fetch.CATALOGUE.items():
    assert fetch.find(name) == dataset
    assert dataset.licence and dataset.citation and dataset.homepage
    for file in dataset.files:
      assert file.url.startswith("https://") and file.note
      assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_checksum_of_the_concepts_is_that_of_the_real_list(test_data):
  concepts = things.read_concepts(test_data / "things" / "concepts.tsv")
  text = "".join(f"{name}\n" for name in concepts.unique_id)
  (file,) = (
      f for f in fetch.CATALOGUE["things"].files if f.name == "unique_id.txt"
  )
  assert hashlib.sha256(text.encode()).hexdigest() == file.sha256
  assert len(text.encode()) == file.size


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


@pytest.mark.parametrize("make", [_zip, _tar])
def test_unpack(tmp_path, make):
  members = [("a/b.txt", b"b"), ("./c.txt", b"c" * 100_000), ("a/d/e", b"")]
  archive = make(tmp_path / "x", members)
  fetch.unpack(archive, tmp_path / "out")
  found = {
      p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
      for p in (tmp_path / "out").rglob("*")
      if p.is_file()
  }
  assert found == {"a/b.txt": b"b", "c.txt": b"c" * 100_000, "a/d/e": b""}
  with pytest.raises(OutputExistsError):
    fetch.unpack(archive, tmp_path / "out")
  fetch.unpack(archive, tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:evil"]
)
def test_zip_slip_is_refused(tmp_path, make, name):
  archive = make(tmp_path / "x", [("good", b"1"), (name, b"2")])
  with pytest.raises(AlignetError, match="leads out of the folder; nothing"):
    fetch.unpack(archive, tmp_path / "inner" / "out")
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
    fetch.unpack(archive, tmp_path / "out")
  assert _left(tmp_path) == ["x"]


def test_links_in_a_zip(tmp_path):
  info = zipfile.ZipInfo("link")
  info.external_attr = (stat.S_IFLNK | 0o777) << 16
  archive = _zip(tmp_path / "x", [(info, "/etc/passwd")])
  with pytest.raises(AlignetError, match="'link' is neither file nor folder"):
    fetch.unpack(archive, tmp_path / "out")
  assert _left(tmp_path) == ["x"]


@pytest.mark.parametrize("make", [_zip, _tar])
def test_bombs(tmp_path, make):
  archive = make(tmp_path / "x", [("a", b"0" * 10_000), ("b", b"0" * 10_000)])
  fetch.unpack(archive, tmp_path / "out", max_bytes=20_000, max_files=2)
  for limits in ({"max_bytes": 19_999}, {"max_files": 1}):
    with pytest.raises(AlignetError, match="more"):
      fetch.unpack(archive, tmp_path / "no", **limits)
  assert _left(tmp_path) == ["out", "x"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_two_members_of_one_name(tmp_path, make, names):
  archive = make(tmp_path / "x", [(name, b"1") for name in names])
  with pytest.raises(AlignetError, match="two members of one name"):
    fetch.unpack(archive, tmp_path / "out")
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
      fetch.unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
  assert not list(tmp_path.glob(".*"))
