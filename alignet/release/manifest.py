"""release.json: what a release of ours says of its files."""

import dataclasses
import pathlib
from typing import Any, Literal

from alignet.errors import AlignetError
from alignet.io import json_files

MANIFEST = "release.json"

_PATHS = ("path", "transform_path", "representations", "clusters")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Source:
  representations: str | None = None
  clusters: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _File:
  path: str
  split: Literal["train", "val", "valid", "test"]
  transform: str | None = None
  sampling: str | None = None
  level: str | None = None
  source: str | None = None
  transform_path: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Manifest:
  files: list[_File]
  sources: dict[str, _Source] | None = None


def read(folder: pathlib.Path) -> dict[str, Any]:
  """Reads the manifest of a release, which may be anybody's.

  Args:
    folder: of the release.

  Returns:
    A mapping with `files`, not empty: mappings with `path`, `split`, and text
    or None for the rest; and `sources`: name -> mapping with `representations`
    and `clusters`, text or None. All paths are those of places in the folder.

  Raises:
    AlignetError: missing, no JSON, or not of that form.
  """
  path = folder / MANIFEST
  manifest = json_files.read(path, _Manifest)
  if not manifest["files"]:
    raise AlignetError(f"{path}: expected AligNet npz files, found none")
  sources = manifest.setdefault("sources", {})
  for about in (*manifest["files"], *sources.values()):
    for key in _PATHS:
      place = pathlib.PurePosixPath(about.get(key) or "")
      if place.is_absolute() or ".." in place.parts:
        raise AlignetError(
            f"{path}: expected {key} to lie in the release, found '{place}'"
        )
  return manifest
