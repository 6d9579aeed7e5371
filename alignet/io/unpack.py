"""Unpacking of archives that may be damaged or hostile."""

from collections.abc import Iterator
import lzma
import pathlib
import re
import stat
import tarfile
from typing import BinaryIO
import zipfile
import zlib

from alignet.errors import AlignetError
from alignet.io import files

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""How the names of archives end that can be unpacked."""

_CHUNK = 2**16


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
