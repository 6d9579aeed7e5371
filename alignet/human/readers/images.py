"""Finding the images that people saw."""

import dataclasses
import hashlib
import json
import os
import pathlib

from alignet.data import image_folder
from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.human.readers import names as names_lib
from alignet.human.readers.names import ConceptList
from alignet.io import files


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferenceImages:
  """The image that people saw of each concept.

  Attributes:
    paths: one a concept, None where there is none.
    unknown: names of images or folders that are none of the concepts.
    missing: concepts without an image.
  """

  paths: tuple[pathlib.Path | None, ...]
  unknown: tuple[str, ...] = ()
  missing: tuple[str, ...] = ()


class ReferenceSource:
  """The images that people saw, for extraction: a source of `alignet.data`.

  Images come in the order of the concepts, and the label level "concept" says
  which is whose. Concepts without an image are left out and listed in `missing`
  and in `meta`.

  Args:
    path: see `find_reference_images`.
    concepts: see there.

  Raises:
    AlignetError: as there; or no image at all.
  """

  def __init__(self, path: files.Path, concepts: ConceptList):
    names = names_lib.names_of(concepts, "concepts")
    found = find_reference_images(path, names, on_missing="drop")
    self._root = pathlib.Path(path)
    self._images = [(i, p) for i, p in enumerate(found.paths) if p is not None]
    if not self._images:
      raise AlignetError(f"{path} has no image of any of the concepts")
    self.missing = found.missing
    self.levels = {"concept": names}
    self.meta = {
        "source": "things",
        "missing": list(found.missing),
        "files_sha256": files.digest_of(
            path, [os.path.relpath(p, path) for _, p in self._images]
        ),
        "concepts_names_sha256": _digest(names.tolist()),
    }

  def __len__(self) -> int:
    return len(self._images)

  def __getitem__(self, i: int) -> image_sources.Record:
    concept, path = self._images[i]
    name = path.relative_to(self._root).as_posix()
    try:
      image = files.read_bytes(path, files.IMAGE)
    except OSError as e:
      raise AlignetError(
          f"image {name} in {self._root} cannot be read: {e.strerror}"
      ) from e
    return image_sources.Record(
        filename=name, image=image, ids={"concept": concept}
    )


def _digest(listing: list) -> str:
  return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def find_reference_images(
    path: files.Path,
    concepts: ConceptList,
    *,
    on_unknown: str = "error",
    on_missing: str = "error",
) -> ReferenceImages:
  """Finds the image of each concept in a folder, by the concept's name.

  Args:
    path: folder with an image file named after each concept, `aardvark.jpg`, or
      a folder, `aardvark/`. Of several images in it the one whose name ends in
      `_01b` is taken: THINGS' name for what people saw in the odd-one-out task.
    concepts: whose images; the names are THINGS' unique_id.
    on_unknown: "error" or "drop": images of what is none of the concepts.
    on_missing: "error" or "drop": concepts without an image.

  Returns:
    A path for each concept. Hidden files and files that are no images count for
    nothing.

  Raises:
    AlignetError: no such folder, several images of one concept, and what is not
      to be dropped.
  """
  names_lib.check_policy(on_unknown=on_unknown, on_missing=on_missing)
  concept_names = names_lib.names_of(concepts, "concepts").tolist()
  root = pathlib.Path(path)
  if not root.is_dir():
    raise AlignetError(f"{root} is no folder; give that of the images")
  found: dict[str, pathlib.Path] = {}
  for entry in sorted(root.iterdir()):
    image = _only_image(entry) if entry.is_dir() else entry
    if image is None or not _is_image(image):
      continue
    name = entry.name if entry.is_dir() else entry.stem
    if name in found:
      raise AlignetError(
          f"{root} has both {found[name].relative_to(root)} and"
          f" {image.relative_to(root)} for {name!r}; expected one image of each"
          " concept: remove the others"
      )
    found[name] = image
  unknown = tuple(sorted(set(found) - set(concept_names)))
  missing = tuple(name for name in concept_names if name not in found)
  if unknown and on_unknown == "error":
    raise AlignetError(
        f"{root} has images of {names_lib.some(unknown)}, none of the"
        f" {len(concept_names)} concepts; rename them after the concepts or"
        ' pass on_unknown="drop"'
    )
  if missing and on_missing == "error":
    raise AlignetError(
        f"{root} has no image of {names_lib.some(missing)} of the"
        f' {len(concept_names)} concepts; add them or pass on_missing="drop"'
    )
  return ReferenceImages(
      paths=tuple(map(found.get, concept_names)),
      unknown=unknown,
      missing=missing,
  )


def _is_image(path: pathlib.Path) -> bool:
  name = path.name.lower()
  return not name.startswith(".") and name.endswith(image_folder.SUFFIXES)


def _only_image(folder: pathlib.Path) -> pathlib.Path | None:
  if folder.name.startswith("."):
    return None
  images = sorted(filter(_is_image, folder.iterdir()))
  shown = [p for p in images if p.stem.endswith("_01b")]
  if len(images) > 1 and len(shown) != 1:
    raise AlignetError(
        f"{folder} holds {len(images)} images; expected one, or one whose name"
        " ends in _01b, THINGS' name for the reference image"
    )
  return (shown or images or [None])[0]
