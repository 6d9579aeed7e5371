"""Which folder may be replaced by another one."""

import pathlib

from alignet import files
from alignet.errors import AlignetError


def check(out: files.Path, holds: str, *, overwrite: bool) -> None:
  """Fails where a folder is there and is not one of ours to replace.

  Args:
    out: the folder to write.
    holds: file by which one of its kind is known.
    overwrite: replace such a folder.

  Raises:
    OutputExistsError: it exists, and `overwrite` is false.
    AlignetError: it exists and is something else.
  """
  files.check_output(out, overwrite=overwrite)
  out = pathlib.Path(out)
  if out.exists() and not (out / holds).is_file():
    raise AlignetError(
        f"{out} exists and is no folder with {holds}; it is not replaced:"
        " choose another path"
    )
