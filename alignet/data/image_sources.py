"""Sources of images, opened by name and read one record at a time."""

from collections.abc import Mapping
import dataclasses
import pathlib
import re
from typing import Any, Protocol

from alignet import errors
from alignet.data import decode
from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Record:
  """One image as its source holds it.

  Attributes:
    filename: its name.
    image: the bytes of an image file, or (h, w, 3) uint8 where the source holds
      decoded images.
    ids: level to number of its class, -1 for none.
  """

  filename: str
  image: bytes | np.ndarray
  ids: Mapping[str, int]


class Source(Protocol):
  """Images by index; reading one decodes nothing.

  Attributes:
    meta: what the images are: `source` and whatever tells versions apart.
    levels: level of the labels to the names of its classes.
  """

  meta: Mapping[str, Any]
  levels: Mapping[str, np.ndarray]

  def __len__(self) -> int:
    ...

  def __getitem__(self, i: int) -> Record:
    """Record i; reading may be done by several threads."""


class StoreSource:
  """The records of an image store."""

  def __init__(self, path: Any):
    self._store = images_lib.open_store(path)
    names = files.sha256(pathlib.Path(path) / "filenames.npy")
    self.meta = {
        "source": "images",
        "images": dict(self._store.meta),
        "filenames_sha256": names,
    }
    self.levels = {
        level: labels.names for level, labels in self._store.labels.items()
    }

  def __len__(self) -> int:
    return len(self._store)

  def __getitem__(self, i: int) -> Record:
    return Record(
        filename=str(self._store.filenames[i]),
        image=self._store[i],
        ids={k: int(v.ids[i]) for k, v in self._store.labels.items()},
    )


def pixels(record: Record, size: int | None = None) -> np.ndarray:
  """The image of a record, (h, w, 3) uint8 RGB, resized if a size is given.

  Raises:
    AlignetError: bytes that cannot be decoded, with the file's name.
  """
  image = record.image
  if isinstance(image, bytes):
    image = decode.decode(image, record.filename)
  return decode.resize(image, size) if size else image


def read(
    source: Source, *, size: int | None = None, limit: int | None = None
) -> images_lib.ImageStore:
  """Reads all images of a source into memory.

  Args:
    source: the images.
    size: images are resized straight to size x size pixels (OpenCV, cubic);
      None where all images have one size that is to be kept.
    limit: only so many images, the first ones; None for all.

  Returns:
    The images, uint8 (n, h, w, 3) RGB, in index order.

  Raises:
    AlignetError: no images, one that cannot be decoded, images of different
      sizes and no `size`.
  """
  errors.check_least(1, size=size)
  name = source.meta["source"]
  n = len(source) if limit is None else min(len(source), limit)
  if n < 1:
    raise AlignetError(f"{name}: expected at least one image, found {n}")
  images, filenames = None, []
  ids = {level: np.empty(n, np.int32) for level in source.levels}
  for i in progress.bar(range(n), desc=f"read {name}", unit="image"):
    record = source[i]
    image = pixels(record, size)
    if images is None:
      images = np.empty((n, *image.shape), np.uint8)
    if image.shape != images.shape[1:]:
      raise AlignetError(
          f"{name}: image {record.filename} has the shape {image.shape}, those"
          f" before it {images.shape[1:]}; give the size all shall have"
      )
    images[i] = image
    filenames.append(record.filename)
    for level in ids:
      ids[level][i] = record.ids[level]
  return images_lib.ImageStore(
      images=images,
      filenames=distinct(filenames, range(n)),
      labels={
          level: Labels(ids=ids[level], names=np.asarray(names))
          for level, names in source.levels.items()
      },
      meta={
          **source.meta,
          "decode": "OpenCV, RGB",
          "resize": f"OpenCV cubic, {size} x {size}" if size else "none",
          "background": decode.BACKGROUND,
      },
  )


def distinct(filenames: Any, numbers: Any) -> np.ndarray:
  """(n,) names; one that came before gets its number behind it.

  CIFAR-100 holds an image twice: the second is called `{name}#{number:07d}`.
  """
  seen, names = set(), []
  for filename, number in zip(filenames, numbers):
    names.append(
        numbered(filename, number) if filename in seen else str(filename)
    )
    seen.add(filename)
  return np.array(names, np.str_)


def numbered(filename: str, number: int) -> str:
  """The name of an image whose own name is taken."""
  return f"{filename}#{number:07d}"


def per_class(store: images_lib.ImageStore, level: str, n: int) -> np.ndarray:
  """The n images of each class whose file names come first in sorted order.

  Args:
    store: the images.
    level: of the classes; images without one are left out.
    n: images to keep of each class.

  Returns:
    (m,) ascending numbers of images.

  Raises:
    AlignetError: a class with fewer images.
  """
  if level not in store.labels:
    raise AlignetError(
        f"the images have no labels of level {level!r}; found"
        f" {', '.join(store.labels) or 'none'}"
    )
  labels = store.labels[level]
  order = np.lexsort((store.filenames, labels.ids))
  order = order[labels.ids[order] != labels_lib.UNLABELLED]
  classes, starts, counts = np.unique(
      labels.ids[order], return_index=True, return_counts=True
  )
  few = counts < n
  if few.any():
    name = labels.names[classes[np.argmax(few)]]
    raise AlignetError(
        f"class {name} has {counts[few][0]} images; expected at least {n} of"
        " each class"
    )
  return np.sort(np.concatenate([order[s : s + n] for s in starts]))


FORMS = "tfds:NAME:SPLIT, folder:PATH, images:PATH"

# A part, `train[:300]`, has a colon of its own; parts are joined by `+`.
_PART = r"[^\[\]:+]+(\[[^\[\]]*\])?"
_TFDS = re.compile(rf"tfds:([^\[\]]+):({_PART}(\+{_PART})*)")


def tfds_name_and_split(spec: str) -> tuple[str, str] | None:
  """("imagenet2012", "train[:300]") of "tfds:imagenet2012:train[:300]".

  A version may follow the name, "tfds:imagenet2012:5.1.0:train". None for a
  text of another form.
  """
  match = _TFDS.fullmatch(spec)
  return match and (match[1], match[2])


def open(  # pylint: disable=redefined-builtin
    spec: str, *, data_dir: files.Path | None = None
) -> Source:
  """The source that a text names.

  Args:
    spec: `tfds:imagenet2012:train` (a version may follow the name,
      `tfds:imagenet2012:5.1.0:train`), `folder:PATH` for image files, or
      `images:PATH` for an image store.
    data_dir: where TFDS keeps its datasets; None for its default.

  Raises:
    AlignetError: another form, or a source that is not there.
  """
  kind, _, rest = spec.partition(":")
  if kind == "folder" and rest:
    from alignet.data import image_folder

    return image_folder.FolderSource(rest)
  if kind == "images" and rest:
    return StoreSource(rest)
  if name_and_split := tfds_name_and_split(spec):
    from alignet.data import tfds_images

    return tfds_images.TfdsSource(*name_and_split, data_dir=data_dir)
  raise AlignetError(f"source: expected {FORMS}, found {spec!r}")
