"""Which folder may be gone on with, or be replaced by another one."""

from collections.abc import Collection, Mapping, Sequence
import fnmatch
import pathlib
import shutil
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files

PLAN = "plan.json"
"""File of a folder that is being written: all that its content depends on."""


def begin(
    folder: files.Path,
    plan: Mapping[str, Any],
    *,
    what: str,
    beside: Collection[str] = (),
    overwrite: bool,
) -> None:
  """Begins a folder, or checks that what was begun there is of this plan.

  Args:
    folder: it is made where it is not there.
    plan: JSON.
    what: is made, for messages.
    beside: names of files that may lie there and stay.
    overwrite: discard what is of another plan.

  Raises:
    AlignetError: the folder holds the beginning of something else.
  """
  folder = pathlib.Path(folder)
  others = []
  if folder.exists():
    path = folder / PLAN
    differ = ["plan"]
    if path.exists():
      differ = json_files.differing(json_files.read(path), plan)
    if not differ:
      return
    others = [p for p in folder.iterdir() if p.name not in (PLAN, *beside)]
    if others and not overwrite:
      raise AlignetError(
          f"{folder} holds the beginning of another {what} (other"
          f" {', '.join(differ)}); finish that one, or pass --overwrite"
          " (overwrite=True) to discard it"
      )
  for other in others:
    shutil.rmtree(other) if other.is_dir() else other.unlink()
  json_files.write(folder / PLAN, plan, overwrite=True)


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
