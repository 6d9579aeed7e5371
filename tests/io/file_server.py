"""A server of one file on this machine, for tests of downloads."""

import hashlib
import http.server
import re
import threading
import time

import numpy as np
import pytest

BODY = np.random.default_rng(0).bytes(300_000)
OTHER = BODY[::-1]
SHA = hashlib.sha256(BODY).hexdigest()


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
    status: of a whole answer, in the place of 200.
    drip: seconds to wait between bytes; 0 for none.
    seen: (path, Range, If-Range) of each request.
  """

  daemon_threads = True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.body = BODY
    self.headers = {"ETag": '"one"'}
    self.cuts = []
    self.codes = []
    self.status, self.drip = 200, 0
    self.ranges = self.conditions = True
    self.seen = []

  def handle_error(self, request, client_address):
    """A client that went away says nothing into other tests."""

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
      target = self.path.removeprefix("/redirect/")
      target = target if ":" in target else f"/{target}"
      self.send_header("Location", target)
      self.end_headers()
      return
    valid = condition in (None, *server.headers.values())
    start, total = 0, len(server.body)
    if asked and server.ranges and (valid or not server.conditions):
      start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
    if start >= total > 0:
      self.send_response(416)
      self.send_header("Content-Range", f"bytes */{total}")
      self.send_header("Content-Length", "0")
      self.end_headers()
      return
    self.send_response(206 if start else server.status)
    if start:
      self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    for name, value in server.headers.items():
      self.send_header(name, value)
    self.send_header("Content-Length", str(total - start))
    self.end_headers()
    cut = server.cuts.pop(0) if server.cuts else None
    stop = total if cut is None else start + cut
    if server.drip:
      for i in range(start, stop):
        self.wfile.write(server.body[i : i + 1])
        time.sleep(server.drip)
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
