"""Published data: downloads of the catalogue's files, and their checksums.

What was found is kept in `sha256.json` beside the files.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import fnmatch
import pathlib
import re
import urllib.parse

from alignet.errors import AlignetError
from alignet.human.catalogue import CATALOGUE
from alignet.human.catalogue import Dataset
from alignet.human.catalogue import File
from alignet.io import download
from alignet.io import files
from alignet.io import json_files

RECORD = "sha256.json"
"""File beside the downloads: sha256, size and address of each."""


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


def find(
    name: str,
    *,
    url: str | None = None,
    sha256: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
) -> Dataset:
  """A dataset of the catalogue, or one file at an address of one's own.

  Args:
    name: in the catalogue; with `url` also the name of any file there.
    url: files are taken from `{url}/{file's name}`.
    sha256: of files by name, in the place of the catalogue's; the key "" means
      the only file.
    only: patterns such as "*/val_*"; files that fit none are left out.

  Returns:
    The dataset with these addresses and checksums.

  Raises:
    AlignetError: no such dataset or file, what is no sha256, no http
      address, patterns that no file fits.
  """
  if name in CATALOGUE:
    dataset = CATALOGUE[name]
  elif url is None:
    raise AlignetError(
        f"unknown dataset {name!r}; expected {', '.join(CATALOGUE)}, or the"
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
  if name not in CATALOGUE:
    _check_name(name)
  chosen = [
      file
      for file in dataset.files
      if not only or any(fnmatch.fnmatchcase(file.name, p) for p in only)
  ]
  if not chosen:
    raise AlignetError(
        f"no file of {dataset.name} fits {' or '.join(only)}; its files are"
        f" {', '.join(file.name for file in dataset.files)}"
    )
  changed = []
  for file in chosen:
    if url is not None:
      address = f"{url.rstrip('/')}/{urllib.parse.quote(file.name)}"
      file = dataclasses.replace(file, url=address)
    if file.url is not None:
      download.check_url(file.url)
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
    AlignetError: as `download.download`; no address is known; a file with
      another checksum is there.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  record = folder / RECORD
  recorded = {}
  if record.exists():
    recorded = json_files.read(record, mend="remove the file")
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
      path.parent.mkdir(parents=True, exist_ok=True)
      found = download.download(
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
      json_files.write(record, recorded, overwrite=True)
    done.append(
        Fetched(
            path=path,
            sha256=found,
            checked=expected is not None,
            downloaded=not there,
        )
    )
  return done


def _check_name(name: str) -> None:
  if name in ("", ".", "..", RECORD) or re.search(r"[/\\:\0]", name):
    raise AlignetError(
        f"expected the name of a file without folders, found {name!r}; folders"
        " belong to --url=BASE"
    )
