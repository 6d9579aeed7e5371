"""A folder of equally large uint8 images, opened as a memory map.

`images.npy` (n, h, w, 3) uint8, `filenames.npy` (n,), `labels.npz`,
`meta.json`: the form in which pipelines keep small or resized images, so that
no JPEG is decoded twice.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import pathlib
from typing import Any, Protocol

from alignet.data import labels as labels_lib
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
import numpy as np


class Images(Protocol):
  """What batches need of images: an image store, or one that decodes."""

  @property
  def filenames(self) -> np.ndarray:
    """(n,) str, name of each image."""

  def __len__(self) -> int:
    ...

  def __getitem__(self, indices: np.ndarray) -> np.ndarray:
    """Images [*indices, h, w, 3] uint8 of an integer array of any shape."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageStore:
  """Images with their names and labels.

  Attributes:
    images: (n, h, w, 3) uint8, possibly a memory map.
    filenames: (n,) str, name of each image.
    labels: level (subordinate, basic, …) to labels of all images.
    meta: where the images come from.
  """

  images: np.ndarray
  filenames: np.ndarray
  labels: Mapping[str, Labels]
  meta: Mapping[str, Any]

  def __len__(self) -> int:
    return len(self.images)

  def __getitem__(self, indices: np.ndarray) -> np.ndarray:
    """Images [*indices, h, w, 3] uint8 of an integer array of any shape."""
    return np.asarray(self.images[indices])


def write(
    path: files.Path, store: ImageStore, *, overwrite: bool = False
) -> None:
  """Writes a store as a folder, whole or not at all.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: images of another shape or dtype, lengths that differ.
  """
  _check("the image store", store.images, store.filenames, store.labels)
  with files.atomic_directory(path, overwrite=overwrite) as folder:
    files.save_npy(folder / "images.npy", store.images)
    files.save_npy(folder / "filenames.npy", store.filenames)
    labels_lib.write_labels(folder / "labels.npz", store.labels)
    json_files.write(folder / "meta.json", dict(store.meta))


def take(store: ImageStore, rows: np.ndarray) -> ImageStore:
  """Some of the images of a store, in the order of their numbers `rows`."""
  return ImageStore(
      images=store[rows],
      filenames=store.filenames[rows],
      labels={
          level: dataclasses.replace(labels, ids=labels.ids[rows])
          for level, labels in store.labels.items()
      },
      meta=store.meta,
  )


def open_store(path: files.Path) -> ImageStore:
  """Opens a folder written by `write`; images stay on disk until asked for.

  Raises:
    AlignetError: a file is missing, broken, of another shape, dtype or length.
  """
  folder = pathlib.Path(path)
  images = files.load_npy(folder / "images.npy", what="images", mmap=True)
  # Of 1.3 M images more than 100 MB, which processes share.
  filenames = files.load_npy(
      folder / "filenames.npy", what="file names", mmap=True
  )
  labels = labels_lib.read_labels(folder / "labels.npz")
  _check(folder, images, filenames, labels)
  return ImageStore(
      images=images,
      filenames=filenames,
      labels=labels,
      meta=json_files.read(folder / "meta.json"),
  )


def check_numbers(path: files.Path, indices: np.ndarray, n: int) -> None:
  """Fails where an AligNet npz refers to an image that is not among n."""
  low, high = indices.min(initial=0), indices.max(initial=0)
  if low < 0 or high >= n:
    raise AlignetError(
        f"{path} refers to image {low if low < 0 else high}, but there are"
        f" {n} images; give the images it was made from"
    )


def check_filenames(
    path: files.Path,
    indices: np.ndarray,
    names: Iterable[np.ndarray],
    image_names: np.ndarray,
) -> None:
  """Fails where an AligNet npz's indices and file names disagree with images.

  Args:
    path: the npz, for the message.
    indices: (n, 3) its image numbers.
    names: consecutive (rows, 3) blocks of its file names.
    image_names: (images,) names of the images there are.

  Raises:
    AlignetError: a number without an image, or another name at a number.
  """
  check_numbers(path, indices, len(image_names))
  image_names = np.asarray(image_names)
  start = 0
  for block in names:
    rows = indices[start : start + len(block)]
    wrong = (image_names[rows] != block).any(axis=1)
    if wrong.any():
      row = int(np.argmax(wrong))
      raise AlignetError(
          f"{path}: row {start + row} names {block[row].tolist()}, but the"
          f" images at {rows[row].tolist()} are called"
          f" {image_names[rows[row]].tolist()}; give the images it was made"
          " from"
      )
    start += len(block)


def positions(
    names: np.ndarray,
    image_names: np.ndarray,
    *,
    order: np.ndarray | None = None,
) -> np.ndarray:
  """Where each name stands among those of images, -1 for nowhere.

  Args:
    names: str, of any shape.
    image_names: (images,) str.
    order: rows of the image names, sorted, where that is known.

  Returns:
    Integers of the shape of `names`.
  """
  image_names = np.asarray(image_names)
  if order is None:
    order = np.argsort(image_names, kind="stable")
  ranked = image_names[order]
  at = np.minimum(np.searchsorted(ranked, names), len(ranked) - 1)
  return np.where(ranked[at] == names, order[at], -1)


def numbers(
    path: files.Path,
    indices: np.ndarray,
    names: Iterable[np.ndarray],
    image_names: np.ndarray,
) -> np.ndarray:
  """Joins an AligNet npz to images by file name, whatever it numbers.

  Args:
    path: the npz, for the message.
    indices: (n, 3) its image numbers.
    names: consecutive (rows, 3) blocks of its file names.
    image_names: (images,) names of the images there are.

  Returns:
    (n, 3) int32 numbers of these images.

  Raises:
    AlignetError: a name that none of the images has.
  """
  order = np.argsort(image_names, kind="stable")
  out = np.empty(indices.shape, np.int32)
  start = 0
  for block in names:
    found = positions(block, image_names, order=order)
    wrong = (found < 0).any(axis=1)
    if wrong.any():
      row = int(np.argmax(wrong))
      unknown = str(block[row][found[row] < 0][0])
      raise AlignetError(
          f"{path}: row {start + row} is about {unknown!r}, which none of the"
          f" {len(image_names)} images is called, such as"
          f" {str(image_names[0])!r}; give the images it was made from"
      )
    out[start : start + len(block)] = found
    start += len(block)
  return out


def _check(where, images, filenames, labels) -> None:
  files.check_array(
      images, f"images of {where}", shape=(None, None, None, 3), kinds="u"
  )
  if images.dtype != np.uint8 or not images.size:
    raise AlignetError(
        f"images of {where}: expected at least one of dtype uint8, found"
        f" {len(images)} of dtype {images.dtype}"
    )
  files.check_array(
      filenames, f"file names of {where}", shape=(None,), kinds="U"
  )
  if len(filenames) != len(images):
    raise AlignetError(
        f"{where}: {len(images)} images but {len(filenames)} file names; make"
        " the store again"
    )
  try:
    labels_lib.check_labels(labels, n=len(images))
  except AlignetError as e:
    raise AlignetError(f"labels of {where}: {e}") from e
