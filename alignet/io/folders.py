"""Which folder may be replaced by another one."""

from collections.abc import Sequence
import fnmatch
import pathlib

from alignet.errors import AlignetError
from alignet.io import files


def check(
    out: files.Path,
    marker: str,
    says: str,
    others: Sequence[str],
    *,
    overwrite: bool,
) -> None:
  """Fails where a folder is there and is not one of ours to replace.

  Args:
    out: the folder to write.
    marker: file by which one of its kind is known.
    says: text that this file holds in one of ours.
    others: patterns of what else we write into it, such as "images/*.png"; a
      folder with any other file is not replaced.
    overwrite: replace such a folder.

  Raises:
    OutputExistsError: it exists, and `overwrite` is false.
    AlignetError: it exists and is something else, or holds files that are not
      ours.
  """
  files.check_output(out, overwrite=overwrite)
  out = pathlib.Path(out)
  if not out.exists():
    return
  path = out / marker
  if not path.is_file() or says not in path.read_text(errors="replace"):
    raise AlignetError(
        f"{out} exists and is no folder with {marker} of ours; it is not"
        " replaced: choose another path"
    )
  for inside in sorted(out.rglob("*")):
    name = inside.relative_to(out).as_posix()
    known = any(fnmatch.fnmatchcase(name, p) for p in (marker, *others))
    if not known and not inside.is_dir():
      raise AlignetError(
          f"{out} holds {name}, which does not belong there; it is not"
          " replaced: take it out, or choose another path"
      )
