"""Downloads of single files: resume, checksums, clear errors.

A file is received under a temporary name, `NAME.part`, checked, and renamed. A
connection that breaks goes on from where it was, as far as the server allows.
"""

import http.client
import os
import pathlib
import re
import time
import urllib.error
import urllib.parse
import urllib.request

from alignet import __version__
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import progress

_CHUNK = 2**16
_GRACE, _SLOWEST = 60, 1024  # seconds; bytes a second from then on
_KEPT = "the bytes received so far are kept"
_TIMEOUT = 60  # seconds without a byte
_LONGEST_WAIT = 30  # seconds between two attempts
_PASSING = (408, 425, 429, 500, 502, 503, 504)


def download(
    url: str,
    path: files.Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    attempts: int = 5,
    wait: float = 1,
) -> str:
  """Downloads one file; an existing one is replaced when all went well.

  Bytes go to `PATH.part`. A later attempt or call asks for the rest, on the
  condition (If-Range) that the file is still the one that was begun: by its
  strong ETag or else its date of change. Without either it starts again, unless
  the sha256 will tell. A server that sends the whole file is taken at its word.

  Args:
    url: http or https.
    path: the final name; its folder exists.
    sha256: expected, hexadecimal; None accepts what comes.
    size: expected, in bytes.
    attempts: in a row without a further byte.
    wait: seconds after the first failure, doubled with each, 30 at most.

  Returns:
    The sha256 of the file.

  Raises:
    AlignetError: no connection or one that keeps breaking, an error of the
      server, a redirect from https to http, a web page in the place of the
      file, another size or sha256 (the bytes are removed), a full disk (they
      stay and the next call goes on).
  """
  check_url(url)
  path = pathlib.Path(path)
  part, state = (path.with_name(path.name + s) for s in (".part", ".part.json"))
  furthest = failures = 0
  while True:
    try:
      _receive(url, part, state, path.name, resume=sha256 is not None)
      break
    except _BrokenError as e:
      have = _size(part)
      failures = 1 if have > furthest else failures + 1
      furthest = max(furthest, have)
      if failures >= attempts:
        raise AlignetError(
            f"{url}: {e} ({attempts} attempts); check the network or pass"
            " another address with --url=BASE; the same command goes on from"
            f" the {have} bytes that are there"
        ) from e
      time.sleep(min(wait * 2 ** (failures - 1), _LONGEST_WAIT))
  found, n = files.sha256(part), _size(part)
  if (size is not None and n != size) or sha256 not in (None, found):
    part.unlink()
    state.unlink(missing_ok=True)
    wanted = f"{size} bytes" if sha256 is None else f"the sha256 {sha256}"
    raise AlignetError(
        f"{url}: expected {wanted}, found {n} bytes with the sha256 {found};"
        " nothing was kept: the file has changed or was damaged on the way;"
        f" pass --sha256={path.name}=HEX only with one from a source you trust"
    )
  os.replace(part, path)
  state.unlink(missing_ok=True)
  return found


class _BrokenError(Exception):
  """A failure that another attempt may mend."""


def _receive(url, part, state, name, *, resume) -> None:
  """One attempt: appends to `part`, or starts it again."""
  have = _size(part)
  validator = _validator(state, url) if have else None
  headers = {
      "Accept-Encoding": "identity",
      "User-Agent": f"alignet/{__version__}",
  }
  if have and (validator or resume):
    headers["Range"] = f"bytes={have}-"
    if validator:
      headers["If-Range"] = validator
  try:
    request = urllib.request.Request(url, headers=headers)
    response = _opener().open(request, timeout=_TIMEOUT)
  except urllib.error.HTTPError as e:
    with e:
      if e.code == 416 and "Range" in headers:
        # Nothing is left to send; or what is there is not of this file.
        if e.headers.get("Content-Range") == f"bytes */{have}":
          return
        part.unlink()
        raise _BrokenError("what was there is longer than the file") from e
      reason = f"the server answers {e.code} {e.reason}"
      if e.code in _PASSING:
        raise _BrokenError(reason) from e
      raise AlignetError(
          f"{url}: {reason}; the file may have moved: see the dataset's page"
          " and pass its address with --url=BASE"
      ) from e
  except (OSError, ValueError, http.client.HTTPException) as e:
    reason = getattr(e, "reason", e)
    raise _BrokenError(f"no connection ({reason})") from e
  with response:
    _check_content(response, url, name, asked="Range" in headers)
    given = response.headers.get("Content-Range", "")
    if response.status != 206:
      have = 0
    elif not re.fullmatch(rf"bytes {have}-\d+/(\d+|\*)", given) or (
        validator and _validator_of(response.headers) not in (None, validator)
    ):
      part.unlink()
      raise _BrokenError("the server sent a part of another file")
    left = response.length
    files.check_space(part, left or 0)
    with open(part, "ab" if have else "wb") as f:
      if not have:  # The old bytes are gone before the new state is written.
        _write_state(state, url, response.headers)
      n = _copy(response, f, name, have, left)
      os.fsync(f.fileno())
  if not have and not n:
    part.unlink()
    raise AlignetError(
        f"{url}: the server sent an empty file; open the address in a browser"
        " to see what it says"
    )
  if left is not None and n < left:
    raise _BrokenError(f"the connection ended {left - n} bytes too early")


def _copy(response, f, name, have, left) -> int:
  """Number of bytes copied, less than `left` where the connection ended."""
  n, begun = 0, time.monotonic()
  total = None if left is None else have + left
  with progress.bar(desc=name, total=total, unit="B") as bar:
    bar.update(have)
    while True:
      try:
        chunk = response.read1(_CHUNK)
      except (OSError, http.client.HTTPException) as e:
        raise _BrokenError(f"the connection broke ({e})") from e
      if not chunk:
        return n
      with files.clear_disk_full(f.name, _KEPT):
        f.write(chunk)
        f.flush()
      n += len(chunk)
      bar.update(len(chunk))
      seconds = time.monotonic() - begun
      if seconds > _GRACE and n < _SLOWEST * seconds:
        raise _BrokenError(f"{n} bytes came in {seconds:.0f} s, too slow")


class _Redirects(urllib.request.HTTPRedirectHandler):
  """Follows redirects, but from https to https only."""

  def redirect_request(self, req, fp, code, msg, headers, newurl):
    if req.type == "https" and not newurl.lower().startswith("https://"):
      raise AlignetError(
          f"{req.full_url} leads to {newurl}, where anybody on the way could"
          " change the file; expected https://, pass another address with"
          " --url=BASE"
      )
    return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
  """Speaks http and https and nothing else, and follows redirects."""
  opener = urllib.request.OpenerDirector()
  for handler in (
      urllib.request.ProxyHandler,
      urllib.request.UnknownHandler,
      urllib.request.HTTPHandler,
      urllib.request.HTTPSHandler,
      urllib.request.HTTPDefaultErrorHandler,
      _Redirects,
      urllib.request.HTTPErrorProcessor,
  ):
    opener.add_handler(handler())
  return opener


def _write_state(state, url, headers) -> None:
  value = {"url": url, "validator": _validator_of(headers)}
  json_files.write(state, value, overwrite=True)


def _validator_of(headers) -> str | None:
  """What If-Range may name: a strong ETag, or the date of the last change."""
  etag = headers.get("ETag", "")
  return etag if etag.startswith('"') else headers.get("Last-Modified")


def _validator(state, url) -> str | None:
  try:
    known = json_files.read(state)
    return known["validator"] if known["url"] == url else None
  except (AlignetError, KeyError, TypeError):
    return None


def _check_content(response, url, name, *, asked) -> None:
  """Fails on what is not the file, or not as it is."""
  encoding = response.headers.get("Content-Encoding", "identity")
  partly = response.status == 206 and not asked
  if partly or response.status not in (200, 206):
    raise AlignetError(
        f"{url}: expected the file, found the answer {response.status}"
        f" {response.reason}; pass another address with --url=BASE"
    )
  if encoding.lower() != "identity":
    raise AlignetError(
        f"{url}: the server sent the file as {encoding}, which was not asked"
        " for; pass another address with --url=BASE"
    )
  page = response.headers.get_content_type() == "text/html"
  if page and pathlib.PurePath(name).suffix.lower() not in (".html", ".htm"):
    raise AlignetError(
        f"{url}: the server sent a web page in the place of {name}; open the"
        " address in a browser to see what it says"
    )


def check_url(url: str) -> None:
  """Fails with an address that is not one of http or https."""
  parts = urllib.parse.urlsplit(url)
  if parts.scheme not in ("http", "https") or not parts.netloc:
    raise AlignetError(
        f"expected an address with http:// or https://, found {url!r}"
    )


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.exists() else 0
