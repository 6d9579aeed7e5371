"""Downloads of published human data: a catalogue, resume, checksums.

The catalogue holds no address and no checksum that is not written down in
public by somebody who uses it; `File.note` says where it is from. A file is
received under a temporary name, `NAME.part`, checked, and renamed; what was
found is kept in `sha256.json` beside it. A connection that breaks goes on from
where it was, as far as the server allows.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import errno
import http.client
import lzma
import os
import pathlib
import re
import shutil
import stat
import tarfile
import time
from typing import BinaryIO
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib

from alignet import __version__
from alignet import files
from alignet import progress
from alignet.errors import AlignetError

RECORD = "sha256.json"
"""File beside the downloads: sha256, size and address of each."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_CHUNK = 2**16
_TIMEOUT = 60  # seconds without a byte
_LONGEST_WAIT = 30  # seconds between two attempts
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
  """A file of a dataset.

  Attributes:
    name: its name after the download.
    url: its address, or None where it is not known.
    sha256: of its bytes, or None where it is not known.
    size: in bytes, or None where it is not known.
    note: where address and checksum are from.
  """

  name: str
  url: str | None
  sha256: str | None = None
  size: int | None = None
  note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
  """Files that belong together.

  Attributes:
    name: in the catalogue.
    files: what is downloaded.
    licence: its name, and how sure that is.
    citation: what to cite.
    homepage: where people read about it.
  """

  name: str
  files: tuple[File, ...]
  licence: str = "not known to alignet"
  citation: str = "not known to alignet"
  homepage: str = "not known to alignet"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetched:
  """A file after `fetch`.

  Attributes:
    path: where it lies.
    sha256: of its bytes.
    checked: whether a checksum known beforehand was compared.
    downloaded: False where it was there already.
  """

  path: pathlib.Path
  sha256: str
  checked: bool
  downloaded: bool


_VICE = "https://raw.githubusercontent.com/LukasMut/VICE/main"

CATALOGUE: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="things",
            files=(
                File(
                    name="triplets_large_final_correctednc_correctedorder.csv",
                    url="https://osf.io/h2smy/download",
                    sha256=(
                        "68f2bbc330b17537881f81b1aa806fc2"
                        "179b7accecc3a44d54fb25ae3de7f3e5"
                    ),
                    note=(
                        "address used by several public projects; sha256"
                        " pinned by one that downloads the same file"
                    ),
                ),
                File(
                    name="unique_id.txt",
                    url="https://osf.io/2y463/download",
                    sha256=(
                        "e2e59d02197e89776034938e7a73940a"
                        "0823cacac4b6084b56b1d8959816ff76"
                    ),
                    size=15201,
                    note=(
                        "address and sha256 of the same project; the sha256 is"
                        " that of the 1,854 names in order, a line each"
                    ),
                ),
            ),
            licence=(
                "see the project's page; cblearn gives CC BY 4.0 for its sister"
                " project, osf.io/z2784"
            ),
            citation=(
                "Hebart, Contier, Teichmann, Rockter, Zheng, Kidder, Corriveau,"
                " Vaziri-Pashkam & Baker (2023), THINGS-data, a multimodal"
                " collection of large-scale datasets for investigating object"
                " representations in human brain and behavior, eLife 12:e82580,"
                " doi:10.7554/eLife.82580"
            ),
            homepage="https://osf.io/f5rn6/",
        ),
        Dataset(
            name="vice",
            files=(
                File(
                    name="final_embedding.npy",
                    url=f"{_VICE}/embeddings/things/final_embedding.npy",
                    note=(
                        "address in get_embeddings.sh of the authors; its rows"
                        " are in another order than THINGS' concepts (20"
                        " differ), and which table of names has that order is"
                        " not documented"
                    ),
                ),
                File(
                    name="item_names.tsv",
                    url=f"{_VICE}/data/files/item_names.tsv",
                    note="address in get_embeddings.sh of the authors",
                ),
                File(
                    name="things_concepts.tsv",
                    url=f"{_VICE}/data/files/things_concepts.tsv",
                    note="address in get_embeddings.sh of the authors",
                ),
            ),
            licence="GPL-3.0, that of the authors' repository",
            citation=(
                "Muttenthaler, Zheng, McClure, Vandermeulen, Hebart & Pereira"
                " (2022), VICE: Variational Interpretable Concept Embeddings,"
                " NeurIPS 35, 33661-33675"
            ),
            homepage="https://github.com/LukasMut/VICE",
        ),
    )
}
"""Datasets by name. Of `things` both checksums are known, of `vice` none."""


def find(
    name: str,
    *,
    url: str | None = None,
    sha256: Mapping[str, str] | None = None,
) -> Dataset:
  """A dataset of the catalogue, or one file at an address of one's own.

  Args:
    name: in the catalogue; with `url` also the name of any file there.
    url: files are taken from `{url}/{file's name}`.
    sha256: of files by name, in the place of the catalogue's; the key "" means
      the only file.

  Returns:
    The dataset with these addresses and checksums.

  Raises:
    AlignetError: no such dataset or file, what is no sha256, no http address.
  """
  if name in CATALOGUE:
    dataset = CATALOGUE[name]
  elif url is None:
    raise AlignetError(
        f"unknown dataset {name!r}; expected {' or '.join(CATALOGUE)}, or the"
        " name of a file with --url=BASE"
    )
  else:
    dataset = Dataset(name=name, files=(File(name=name, url=None),))
  sha256 = dict(sha256 or {})
  if "" in sha256 and len(dataset.files) == 1:
    sha256[dataset.files[0].name] = sha256.pop("")
  known = {file.name for file in dataset.files}
  for file, value in sha256.items():
    if file not in known:
      raise AlignetError(
          f"sha256 of {file or 'a file without a name'}: {dataset.name} has the"
          f" files {', '.join(sorted(known))}; pass --sha256=FILE=HEX"
      )
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
      raise AlignetError(
          f"sha256 of {file}: expected 64 hexadecimal digits, found {value!r}"
      )
  changed = []
  for file in dataset.files:
    _check_name(file.name)
    if url is not None:
      address = f"{url.rstrip('/')}/{urllib.parse.quote(file.name)}"
      file = dataclasses.replace(file, url=address)
    if file.url is not None:
      _check_url(file.url)
    if file.name in sha256:
      digest = sha256[file.name].lower()
      file = dataclasses.replace(file, sha256=digest, size=None)
    changed.append(file)
  return dataclasses.replace(dataset, files=tuple(changed))


def fetch(
    dataset: Dataset,
    folder: files.Path,
    *,
    overwrite: bool = False,
    attempts: int = 5,
    wait: float = 1,
) -> list[Fetched]:
  """Downloads what is not there yet, and records the checksums.

  A file whose checksum is not known is compared with `sha256.json` of the
  folder, where an earlier download or another person has left one.

  Args:
    dataset: as `find` gives it.
    folder: gets the files and `sha256.json`.
    overwrite: download a file again that is there with another checksum, or
      with one that nobody knows.
    attempts: of one file without a further byte.
    wait: seconds after the first failure, doubled with each.

  Returns:
    Where each file lies and what it is.

  Raises:
    AlignetError: as `download`; no address is known; a file with another
      checksum is there.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  record = folder / RECORD
  recorded = files.read_json(record) if record.exists() else {}
  if not isinstance(recorded, dict):
    raise AlignetError(f"{record}: expected a JSON object; remove the file")
  done = []
  for file in dataset.files:
    path = folder / file.name
    before = recorded.get(file.name)
    expected = file.sha256
    if expected is None and isinstance(before, dict) and not overwrite:
      expected = before.get("sha256")
    found = files.sha256(path) if path.exists() else None
    if found is None:
      there = False
    elif expected is None:
      there = not overwrite
    else:
      there = found == expected
    if not there:
      if found is not None and not overwrite:
        raise AlignetError(
            f"{path} is there with the sha256 {found}, expected {expected};"
            " move it away, or pass --overwrite to download it again"
        )
      if file.url is None:
        raise AlignetError(
            f"no address of {file.name} is known; see {dataset.homepage} and"
            " pass --url=BASE"
        )
      found = download(
          file.url,
          path,
          sha256=expected,
          size=file.size,
          attempts=attempts,
          wait=wait,
      )
    if not there or before is None:
      recorded[file.name] = {
          "sha256": found,
          "size": path.stat().st_size,
          "url": None if there else file.url,
      }
      files.write_json(record, recorded, overwrite=True)
    done.append(
        Fetched(
            path=path,
            sha256=found,
            checked=expected is not None,
            downloaded=not there,
        )
    )
  return done


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
      server, a web page in the place of the file, another size or sha256 (the
      bytes are removed), a full disk (they stay and the next call goes on).
  """
  _check_url(url)
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


def unpack(
    archive: files.Path,
    folder: files.Path,
    *,
    max_bytes: int = 2**36,
    max_files: int = 200_000,
    overwrite: bool = False,
) -> None:
  """Unpacks a zip or tar that may be hostile.

  Args:
    archive: zip, or tar with any compression.
    folder: written as a whole or not at all.
    max_bytes: of all files together, as they come out.
    max_files: most members.
    overwrite: replace an existing folder.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: a member with an absolute path, with `..`, or that is neither
      file nor folder, two of one name, a password, more bytes or members than
      allowed, a damaged archive, a full disk.
  """
  with files.atomic_directory(folder, overwrite=overwrite) as root:
    try:
      for i, (name, source) in enumerate(_members(archive)):
        target = _inside(archive, root, name)
        if i >= max_files:
          raise AlignetError(
              f"{archive} has more than {max_files} members; unpack it yourself"
              " if it is to have so many"
          )
        if source is None:
          target.mkdir(parents=True, exist_ok=True)
          continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, open(target, "xb") as f:
          while chunk := source.read(_CHUNK):
            max_bytes -= len(chunk)
            if max_bytes < 0:
              raise AlignetError(
                  f"{archive} holds more bytes than allowed; unpack it yourself"
                  " if it is to be so large"
              )
            f.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as e:
      raise AlignetError(
          f"{archive} has two members of one name, {name!r}; it is damaged"
      ) from e
    except (
        *(EOFError, NotImplementedError, OSError, RuntimeError),
        *(lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error),
    ) as e:
      if isinstance(e, OSError) and e.errno is not None:
        raise  # Of the file system, not of the archive.
      raise AlignetError(
          f"{archive} cannot be unpacked: it is damaged, needs a password or is"
          f" neither zip nor tar ({e})"
      ) from e


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
  except (OSError, http.client.HTTPException) as e:
    reason = getattr(e, "reason", e)
    raise _BrokenError(f"no connection ({reason})") from e
  with response:
    _check_content(response, url, name)
    given = response.headers.get("Content-Range", "")
    if response.status != 206:
      have = 0
    elif not given.startswith(f"bytes {have}-") or (
        validator and _validator_of(response.headers) not in (None, validator)
    ):
      part.unlink()
      raise _BrokenError("the server sent a part of another file")
    left = response.length
    _check_space(part, left)
    with open(part, "ab" if have else "wb") as f:
      if not have:  # The old bytes are gone before the new state is written.
        _write_state(state, url, response.headers)
      n = _copy(response, f, name, have, left)
      os.fsync(f.fileno())
  if left is not None and n < left:
    raise _BrokenError(f"the connection ended {left - n} bytes too early")


def _copy(response, f, name, have, left) -> int:
  """Number of bytes copied, less than `left` where the connection ended."""
  n = 0
  total = None if left is None else have + left
  with progress.bar(desc=name, total=total, unit="B") as bar:
    bar.update(have)
    while True:
      try:
        chunk = response.read(_CHUNK)
      except (OSError, http.client.HTTPException) as e:
        raise _BrokenError(f"the connection broke ({e})") from e
      if not chunk:
        return n
      try:
        f.write(chunk)
        f.flush()
      except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
          raise _disk_full(f.name) from e
        raise
      n += len(chunk)
      bar.update(len(chunk))


def _opener() -> urllib.request.OpenerDirector:
  """Speaks http and https and nothing else, and follows redirects."""
  opener = urllib.request.OpenerDirector()
  for handler in (
      urllib.request.ProxyHandler,
      urllib.request.UnknownHandler,
      urllib.request.HTTPHandler,
      urllib.request.HTTPSHandler,
      urllib.request.HTTPDefaultErrorHandler,
      urllib.request.HTTPRedirectHandler,
      urllib.request.HTTPErrorProcessor,
  ):
    opener.add_handler(handler())
  return opener


def _write_state(state, url, headers) -> None:
  value = {"url": url, "validator": _validator_of(headers)}
  files.write_json(state, value, overwrite=True)


def _validator_of(headers) -> str | None:
  """What If-Range may name: a strong ETag, or the date of the last change."""
  etag = headers.get("ETag", "")
  return etag if etag.startswith('"') else headers.get("Last-Modified")


def _validator(state, url) -> str | None:
  try:
    known = files.read_json(state)
    return known["validator"] if known["url"] == url else None
  except (AlignetError, KeyError, TypeError):
    return None


def _check_content(response, url, name) -> None:
  page = response.headers.get_content_type() == "text/html"
  if page and pathlib.PurePath(name).suffix.lower() not in (".html", ".htm"):
    raise AlignetError(
        f"{url}: the server sent a web page in the place of {name}; open the"
        " address in a browser to see what it says"
    )


def _check_space(part, left) -> None:
  if left is not None and shutil.disk_usage(part.parent).free < left:
    raise _disk_full(part)


def _disk_full(path) -> AlignetError:
  return AlignetError(
      f"no space left for {path}; free some, then run the same command again:"
      " it goes on from there"
  )


def _check_url(url: str) -> None:
  parts = urllib.parse.urlsplit(url)
  if parts.scheme not in ("http", "https") or not parts.netloc:
    raise AlignetError(
        f"expected an address with http:// or https://, found {url!r}"
    )


def _check_name(name: str) -> None:
  if name in ("", ".", "..", RECORD) or re.search(r"[/\\:\0]", name):
    raise AlignetError(
        f"expected the name of a file without folders, found {name!r}; folders"
        " belong to --url=BASE"
    )


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.exists() else 0


def _members(archive) -> Iterator[tuple[str, BinaryIO | None]]:
  """Name and content of each file, None for the content of a folder."""
  if zipfile.is_zipfile(archive):
    with zipfile.ZipFile(archive) as z:
      for info in z.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
          raise _refused(archive, info.filename, "is neither file nor folder")
        yield info.filename, None if info.is_dir() else z.open(info)
  else:
    with tarfile.open(archive) as t:
      for member in t:
        if not (member.isreg() or member.isdir()):
          raise _refused(archive, member.name, "is neither file nor folder")
        yield member.name, t.extractfile(member) if member.isreg() else None


def _inside(archive, root: pathlib.Path, name: str) -> pathlib.Path:
  parts = pathlib.PurePosixPath(name).parts
  if name.startswith("/") or ".." in parts or re.search(r"[\\:\0]", name):
    raise _refused(archive, name, "has a path that leads out of the folder")
  return root.joinpath(*parts)


def _refused(archive, name: str, why: str) -> AlignetError:
  return AlignetError(
      f"{archive}: the member {name!r} {why}; nothing was unpacked: an archive"
      " like this is damaged or hostile"
  )
