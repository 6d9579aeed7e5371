"""Tests of alignet.io.download, against a server on this machine."""

import email.message
import errno
import io
import shutil
import urllib.request
import urllib.response

from alignet.errors import AlignetError
from alignet.io import download
from alignet.io import json_files
import pytest
from tests.io import file_server

server = file_server.server

_BODY, _OTHER, _SHA = file_server.BODY, file_server.OTHER, file_server.SHA


def _download(server, path, **kwargs):
  kwargs = {"wait": 0.001, "attempts": 3, **kwargs}
  return download.download(f"{server.url}/a/f.bin", path, **kwargs)


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
  assert download.download(f"{server.url}/b", path) == _SHA
  assert server.seen[1] == ("/b", None, None)


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_nothing_is_left_to_receive(server, tmp_path, extra):
  """Cut between the last byte and the renaming; or the file is shorter now."""
  (tmp_path / "f.bin.part").write_bytes(_BODY + extra)
  json_files.write(
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
  assert download.download(url, tmp_path / "f.bin", wait=0.001) == _SHA
  assert server.seen[-1] == ("/a/f.bin", "bytes=1000-", '"one"')


def test_redirects_do_not_leave_https(server, tmp_path, monkeypatch):
  class Https(urllib.request.BaseHandler):
    """A server that sends everybody to the plain one."""

    def https_open(self, req):
      headers = email.message.Message()
      headers["Location"] = f"{server.url}/a/f.bin"
      response = urllib.response.addinfourl(
          io.BytesIO(), headers, req.full_url, 302
      )
      response.msg = "Found"
      return response

  monkeypatch.setattr(urllib.request, "HTTPSHandler", Https)
  with pytest.raises(AlignetError, match="https://x/f leads to http://127.*"):
    download.download("https://x/f", tmp_path / "f.bin")
  assert not server.seen and not _left(tmp_path)


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
    download.download(url, tmp_path / "f.bin", attempts=2, wait=0.001)
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
    m.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(AlignetError, match="needs .* GB more"):
      _download(server, path)

  class Full(io.FileIO):

    def write(self, data):
      if self.tell() >= 100_000:
        raise OSError(errno.ENOSPC, "No space left on device")
      return super().write(data)

  with monkeypatch.context() as m:
    m.setattr(download, "open", lambda p, mode: Full(p, mode), raising=False)
    with pytest.raises(
        AlignetError, match="no space left.*received so far are kept"
    ):
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
    download.download(url, tmp_path / "f.bin")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"status": 204}, "expected the file, found the answer 204"),
        ({"status": 206}, "expected the file, found the answer 206"),
        ({"headers": {"Content-Encoding": "gzip"}}, "sent the file as gzip"),
        ({"body": b""}, "sent an empty file"),
    ],
)
def test_answers_that_are_not_the_file(server, tmp_path, fields, message):
  for name, value in fields.items():
    setattr(server, name, value)
  with pytest.raises(AlignetError, match=message) as e:
    download.download(f"{server.url}/f.bin", tmp_path / "f.bin", wait=0)
  assert "\n" not in str(e.value) and not list(tmp_path.glob("f.bin"))
  assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("to", ["http://[::1", "nonsense:x", "http://a:b/c"])
def test_a_redirect_to_nonsense(server, tmp_path, to):
  with pytest.raises(AlignetError) as e:
    download.download(
        f"{server.url}/redirect/{to}", tmp_path / "f.bin", attempts=1, wait=0
    )
  assert "\n" not in str(e.value) and not list(tmp_path.iterdir())


def test_a_drip_is_broken_off(server, tmp_path, monkeypatch):
  monkeypatch.setattr(download, "_GRACE", 0.3)
  server.drip = 0.02
  with pytest.raises(AlignetError, match="bytes came in 0 s, too slow"):
    download.download(
        f"{server.url}/f.bin", tmp_path / "f.bin", attempts=1, wait=0
    )
