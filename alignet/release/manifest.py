"""release.json: what a release of ours says of its files."""

import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files

MANIFEST = "release.json"

_SPLITS = ("train", "val", "valid", "test")
_OPTIONAL = ("transform", "sampling", "level", "source", "transform_path")
_PATHS = ("path", "transform_path", "representations", "clusters")


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
  manifest = files.read_json(path)
  _expect(isinstance(manifest, dict), path, "a JSON object", manifest)
  entries = manifest.get("files")
  _expect(
      isinstance(entries, list) and entries,
      *(path, "files to be a list of AligNet npz files", entries),
  )
  for entry in entries:
    _expect(isinstance(entry, dict), path, "a mapping a file", entry)
    _check_text(path, entry, ("path",), _OPTIONAL)
    split = entry.get("split")
    _expect(split in _SPLITS, path, f"a split of {', '.join(_SPLITS)}", split)
  sources = manifest.setdefault("sources", {})
  _expect(isinstance(sources, dict), path, "sources by their names", sources)
  for about in sources.values():
    _expect(isinstance(about, dict), path, "a mapping a source", about)
    _check_text(path, about, (), ("representations", "clusters"))
  return manifest


def _check_text(path, found, required, optional) -> None:
  for key in (*required, *optional):
    value = found.get(key)
    if value is None and key in optional:
      continue
    _expect(isinstance(value, str), path, f"{key} to be text", value)
    if key in _PATHS:
      place = pathlib.PurePosixPath(value)
      inside = not place.is_absolute() and ".." not in place.parts
      _expect(inside, path, f"{key} to lie in the release", value)


def _expect(good, path, what, found) -> None:
  if not good:
    text = repr(found)
    text = text if len(text) < 80 else f"{text[:77]}..."
    raise AlignetError(f"{path}: expected {what}, found {text}")
