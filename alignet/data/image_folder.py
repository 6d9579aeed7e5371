"""A folder of image files, flat or with a folder for each class."""

import collections
import os
import pathlib

from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Files with other suffixes, and hidden ones, are no images."""

_SPLITS = {"train", "training", "val", "valid", "validation", "test"}


class FolderSource:
  """The image files below a folder, sorted by path.

  An image is named by its path below the folder, with forward slashes. Its
  class, level subordinate, is the first folder of that path; images that lie
  in no folder of their own have none. Links are followed, but not in circles.

  Args:
    path: the folder.

  Attributes:
    passed_over: suffix to the number of files with it, which are not images.
  """

  def __init__(self, path: files.Path):
    self._root = pathlib.Path(path)
    self._names, self.passed_over = _find(self._root)
    folders = [
        name.rpartition("/")[0].partition("/")[0] for name in self._names
    ]
    classes = sorted(set(folders) - {""})
    if classes and {*classes} <= _SPLITS and "" not in folders:
      raise AlignetError(
          f"{path} holds the splits {', '.join(classes)} in the place of"
          f" classes; give one of them, such as folder:{path}/{classes[0]}, or"
          " put the folders of classes side by side"
      )
    self.levels = {"subordinate": np.array(classes)} if classes else {}
    number = {name: i for i, name in enumerate(classes)} | {"": -1}
    self._ids = [number[folder] for folder in folders]
    digest = files.digest_of(self._root, self._names)
    self.meta = {"source": "folder", "files_sha256": digest}

  def __len__(self) -> int:
    return len(self._names)

  def __getitem__(self, i: int) -> image_sources.Record:
    name = self._names[i]
    try:
      image = files.read_bytes(self._root / name, files.IMAGE)
    except OSError as e:
      raise AlignetError(
          f"image {name} in {self._root} cannot be read: {e.strerror}"
      ) from e
    ids = {"subordinate": self._ids[i]} if self.levels else {}
    return image_sources.Record(filename=name, image=image, ids=ids)


def _find(root: pathlib.Path) -> tuple[list[str], dict[str, int]]:
  if not root.is_dir():
    raise AlignetError(f"{root} is no folder; give the folder of your images")
  found, others = [], collections.Counter()
  for folder, inside, names in os.walk(root, followlinks=True):
    above = list(pathlib.Path(folder).relative_to(root).parents)
    real = os.path.realpath(folder)
    if real in {os.path.realpath(root / path) for path in above}:
      inside.clear()  # A link to a folder above.
      continue
    inside[:] = [name for name in inside if not name.startswith(".")]
    for name in names:
      if name.lower().endswith(SUFFIXES) and not name.startswith("."):
        path = pathlib.Path(folder, name).relative_to(root).as_posix()
        found.append(_text(path))
      else:
        others[pathlib.Path(name).suffix or name] += 1
  if not found:
    raise AlignetError(
        f"{root} holds no images: no file below it ends in"
        f" {', '.join(SUFFIXES)}"
    )
  return sorted(found), dict(sorted(others.items()))


def _text(path: str) -> str:
  try:
    path.encode()
  except UnicodeEncodeError as e:
    raise AlignetError(
        f"the file name {os.fsencode(path)!r} is no UTF-8; rename the file"
    ) from e
  return path
