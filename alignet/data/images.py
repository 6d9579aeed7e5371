"""A folder of equally large uint8 images, opened as a memory map.

`images.npy` (n, h, w, 3) uint8, `filenames.npy` (n,), `labels.npz`,
`meta.json`: the form in which pipelines keep small or resized images, so that
no JPEG is decoded twice.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from alignet import files
from alignet.data import labels as labels_lib
from alignet.data.labels import Labels
from alignet.errors import AlignetError
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageStore:
  """Images with their names and labels.

  Attributes:
    images: (n, h, w, 3) uint8, possibly a memory map.
    filenames: (n,) unique names.
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
    return self.images[indices]


def write(
    path: files.Path, store: ImageStore, *, overwrite: bool = False
) -> None:
  """Writes a store as a folder, whole or not at all."""
  n = len(store.images)
  files.check_array(store.images, "images", shape=(n, None, None, 3), kinds="u")
  _check_lengths("the image store", n, store.filenames, store.labels)
  with files.atomic_directory(path, overwrite=overwrite) as folder:
    files.save_npy(folder / "images.npy", store.images)
    files.save_npy(folder / "filenames.npy", store.filenames)
    labels_lib.write_labels(folder / "labels.npz", store.labels)
    files.write_json(folder / "meta.json", dict(store.meta))


def open_store(path: files.Path) -> ImageStore:
  """Opens a folder written by `write`; images stay on disk until asked for.

  Raises:
    AlignetError: a file is missing, broken or of another length.
  """
  folder = files.pathlib.Path(path)
  images = files.load_npy(
      folder / "images.npy",
      what="images",
      shape=(None, None, None, 3),
      kinds="u",
      mmap=True,
  )
  filenames = files.load_npy(
      folder / "filenames.npy", what="file names", shape=(None,), kinds="U"
  )
  labels = labels_lib.read_labels(folder / "labels.npz")
  _check_lengths(folder, len(images), filenames, labels)
  return ImageStore(
      images=images,
      filenames=filenames,
      labels=labels,
      meta=files.read_json(folder / "meta.json"),
  )


def _check_lengths(where, n, filenames, labels) -> None:
  if len(filenames) != n:
    raise AlignetError(
        f"{where}: {n} images but {len(filenames)} file names; make the store"
        " again"
    )
  labels_lib.check_labels(labels, n=n)
