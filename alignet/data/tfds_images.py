"""Images of any TensorFlow dataset, by index, without TensorFlow's decoder.

The dataset must have been prepared in a format with random access:

  tfds build cifar100 --data_dir=DIR --file_format=array_record

Nothing is ever downloaded from here.
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

from alignet import errors
from alignet.data import decode
from alignet.data import image_sources
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
import numpy as np

_LEVELS = {"label": "subordinate", "coarse_label": "superordinate"}
_NAMES = ("file_name", "id")


def read(
    name: str,
    split: str,
    *,
    data_dir: files.Path | None = None,
    size: int | None = None,
    limit: int | None = None,
) -> images_lib.ImageStore:
  """Reads a split into memory.

  Images are named by the dataset's feature `file_name` or `id`, or else
  `{name}/{split}/{index:07d}`. A name that came before gets its index behind
  it, `{name}#{index:07d}`: CIFAR-100 holds an image twice. The feature `label`
  gives the level subordinate, `coarse_label` the level superordinate.

  Args:
    name: of the dataset, with a config or version if need be: "cifar100",
      "imagenet2012:5.1.0".
    split: "train", "test", or a slice such as "train[:100]".
    data_dir: where the dataset was prepared; None for TFDS's default.
    size: images are resized straight to size x size pixels (OpenCV, cubic);
      None where all images have one size that is to be kept.
    limit: only so many images, the first ones; None for all.

  Returns:
    The images, uint8 (n, h, w, 3) RGB, in index order.

  Raises:
    AlignetError: a dataset or split that is not there, one without images, a
      record that cannot be decoded, images of different sizes and no `size`.
  """
  return image_sources.read(
      TfdsSource(name, split, data_dir=data_dir), size=size, limit=limit
  )


class TfdsSource:
  """The records of a split, undecoded; see `alignet.data.image_sources.Source`.

  Args:
    name: as in `read`.
    split: as in `read`.
    data_dir: as in `read`.
  """

  def __init__(
      self, name: str, split: str, *, data_dir: files.Path | None = None
  ):
    self._name, self._split = name, split
    self._source = _open(name, split, data_dir)
    self._features = _levels(self._source)
    self.levels = dict(self._features.values())
    self.meta = {"source": f"tfds:{_full_name(self._source, name)}:{split}"}

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, i: int) -> image_sources.Record:
    where = f"{self._name}, split {self._split}"
    try:
      record = self._source[i]
    except Exception as e:  # Whatever the reader of the file format raises.
      raise AlignetError(
          f"{where}: record {i} cannot be read ({_first_line(e)}); prepare the"
          " dataset again"
      ) from e
    return image_sources.Record(
        filename=self._filename(record, i),
        image=record["image"],
        ids={
            level: int(record[feature])
            for feature, (level, _) in self._features.items()
        },
    )

  def _filename(self, record: Mapping[str, Any], i: int) -> str:
    for feature in _NAMES:
      if feature in record:
        value = record[feature]
        return value.decode() if isinstance(value, bytes) else str(value)
    return f"{self._name}/{self._split}/{i:07d}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfdsImages:
  """The same images decoded whenever they are asked for.

  Stands wherever an `ImageStore` serves batches, for datasets that do not fit
  in memory or on disk a second time.

  Attributes:
    name: of the dataset, as in `read`.
    split: as in `read`.
    size: side in pixels of the images given out.
    data_dir: where the dataset was prepared; "" for TFDS's default.
    names: npy file with the images' file names, such as the filenames.npy of
      their representations. Without it, asking for `filenames` reads all
      records once; with it, each record that is read is checked against it.
  """

  name: str
  split: str
  size: int
  data_dir: str = ""
  names: str = ""

  def __post_init__(self):
    errors.check_least(1, size=self.size)

  @functools.cached_property
  def _source(self) -> TfdsSource:
    return TfdsSource(self.name, self.split, data_dir=self.data_dir or None)

  @functools.cached_property
  def filenames(self) -> np.ndarray:
    """(n,) str, name of each image."""
    if self.names:
      return files.load_npy(
          self.names,
          what="file names",
          shape=(len(self),),
          kinds="U",
          mmap=True,
      )
    bar = progress.bar(
        range(len(self)), desc=f"file names of {self.name}", unit="image"
    )
    names = [self._source[i].filename for i in bar]
    return image_sources.distinct(names, range(len(names)))

  def __getstate__(self) -> dict[str, Any]:
    """What workers are sent: the fields, not what was opened or read."""
    return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

  def check_filenames(
      self, path: files.Path, indices: np.ndarray, names: np.ndarray
  ) -> None:
    """Reads the records of some triplets and compares their names.

    Args:
      path: the AligNet npz of the triplets, for the message.
      indices: (n, 3) image numbers.
      names: (n, 3) file names.

    Raises:
      AlignetError: a record of another name.
    """
    for i, name in zip(indices.ravel().tolist(), names.ravel().tolist()):
      found = self._source[i].filename
      if name not in (found, image_sources.numbered(found, i)):
        raise AlignetError(
            f"{path}: image {i} is called {name!r}, but {found!r} in"
            f" {self.name}, split {self.split}; give the images it was made"
            " from"
        )

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, indices: np.ndarray) -> np.ndarray:
    """Images [*indices, size, size, 3] uint8 of integers of any shape."""
    indices = np.asarray(indices)
    files.check_array(indices.reshape(-1), "image numbers", kinds="iu")
    if indices.size and not 0 <= indices.min() <= indices.max() < len(self):
      raise AlignetError(
          f"{self.name}, split {self.split}: expected image numbers from 0 to"
          f" {len(self) - 1}, found {indices.min()} to {indices.max()}"
      )
    # An image that is there twice is decoded once.
    wanted, inverse = np.unique(indices, return_inverse=True)
    images = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
    with decode.single_threaded():
      for row, i in enumerate(wanted.tolist()):
        record = self._source[i]
        filename = record.filename
        if self.names and self.filenames[i] not in (
            filename,
            image_sources.numbered(filename, i),
        ):
          raise AlignetError(
              f"image {i} of {self.name}, split {self.split}, is called"
              f" {filename!r}, but {str(self.filenames[i])!r} in {self.names};"
              " give the names of this dataset and version"
          )
        images[row] = image_sources.pixels(record, self.size)
    return images[inverse.reshape(indices.shape)]


def _open(name: str, split: str, data_dir: files.Path | None):
  """The dataset as a random-access sequence of undecoded records."""
  # pylint: disable=g-import-not-at-top
  import tensorflow_datasets as tfds

  try:
    source = tfds.data_source(
        name,
        split=split,
        data_dir=data_dir,
        decoders={"image": tfds.decode.SkipDecoding()},
        download=False,
    )
  # TFDS has no error of its own: a dataset that is not there, or only in
  # another format, is an AssertionError or a NotImplementedError.
  except (AssertionError, NotImplementedError) as e:
    where = data_dir or "the default folder of TFDS (or give data_dir)"
    raise AlignetError(
        f"dataset {name!r} is not in {where} in a format with random access;"
        f" prepare it with `tfds build {name.partition(':')[0]}"
        " --data_dir=DIR --file_format=array_record`"
    ) from e
  except Exception as e:  # An unknown dataset, an unknown split, and others.
    raise AlignetError(
        f"dataset {name!r}, split {split!r}, cannot be opened: {_first_line(e)}"
    ) from e
  if "image" not in source.dataset_info.features:
    raise AlignetError(
        f"dataset {name!r} has no feature `image`; found"
        f" {', '.join(source.dataset_info.features)}"
    )
  return source


def _levels(source) -> dict[str, tuple[str, np.ndarray]]:
  """Feature -> level and class names, of the features that are class labels."""
  features = source.dataset_info.features
  return {
      feature: (
          level,
          np.array(
              [
                  features[feature].int2str(i)
                  for i in range(features[feature].num_classes)
              ]
          ),
      )
      for feature, level in _LEVELS.items()
      if feature in features and hasattr(features[feature], "int2str")
  }


def _full_name(source, name: str) -> str:
  return getattr(source.dataset_info, "full_name", name)


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines()
  return lines[0].rstrip(".;: ") if lines else type(error).__name__
