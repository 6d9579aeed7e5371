"""File names of an AligNet npz: one an image, and those of the dataset."""

from collections.abc import Iterator
import dataclasses
import re

from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.release.verify import outcome
from alignet.triplets import npz
import numpy as np

BLOCK = 65536
"""Rows of file names in memory at a time."""

_FEW = 8  # Differences of numbers that a slip explains.

_WNID = re.compile(r"(?:.*/)?n(\d{8})[_/]")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Names:
  """File names by image number.

  Attributes:
    names: (m,) str, "" for numbers that no row uses.
    known: (m,) bool.
    bad: (n,) bool, rows where a number has another name than before.
  """

  names: np.ndarray
  known: np.ndarray
  bad: np.ndarray


def of(opened: npz.AligNetFile) -> Names:
  """Reads all file names once, by blocks."""
  known = np.zeros(int(opened.indices.max()) + 1, bool)
  names = None
  bad = np.zeros(len(opened), bool)
  for start, block in _blocks(opened):
    indices = opened.indices[start : start + len(block)]
    if names is None:
      names = np.zeros(len(known), block.dtype)
    new = ~known[indices]
    names[indices[new]] = block[new]
    known[indices] = True
    bad[start : start + len(block)] = (names[indices] != block).any(axis=1)
  return Names(names=names, known=known, bad=bad)


def same_name(found: Names) -> outcome.Check:
  """One image number, one file name; and the other way round."""
  check = outcome.rows_check(
      "same_name", found.bad, "one file name an image number"
  )
  used = found.names[found.known]
  if check.status == "pass" and len(np.unique(used)) < len(used):
    return dataclasses.replace(
        check,
        status="warn",
        message=(
            "file names do not identify images:"
            f" {len(used)} image numbers share {len(np.unique(used))} names"
        ),
    )
  return check


def against(
    opened: npz.AligNetFile,
    found: Names,
    image_filenames: np.ndarray | None,
) -> tuple[outcome.Check, np.ndarray]:
  """File names against image numbers.

  The order of TFDS' array_record files depends on its version. Where names and
  numbers disagree as two orders of one dataset do, the names are believed.

  Args:
    opened: the file.
    found: its names.
    image_filenames: (n_images,) names of the dataset, None if not known.

  Returns:
    The check, and (n, 3) numbers of the images in `image_filenames`.
  """
  if image_filenames is None:
    needs = "the file names of the dataset's images"
    return outcome.skipped("filenames", needs), opened.indices
  image_filenames = np.asarray(image_filenames)
  rule = "the dataset's file name of each image"
  if found.bad.any():  # Numbers and names do not go together anyway.
    return _row_by_row(opened, image_filenames, rule), opened.indices
  used = np.flatnonzero(found.known)
  position = images_lib.positions(found.names[used], image_filenames)
  wrong = position != used
  if not wrong.any():
    return outcome.check("filenames", True, rule), opened.indices
  table = np.full(len(found.known), -1, np.int64)
  table[used] = position
  bad = (table[opened.indices] != opened.indices).any(axis=1)
  failed = outcome.rows_check("filenames", bad, rule)
  if (position < 0).any():
    first = found.names[used[np.argmin(position)]]
    foreign = (table[opened.indices] < 0).any(axis=1)
    failed = outcome.rows_check(
        "filenames", foreign, "file names of the dataset"
    )
    return _more(failed, f": {first!r} is none"), opened.indices
  shift = np.unique((position - used) % len(image_filenames))
  if len(used) > 1 and len(shift) == 1:
    by = int(shift[0])
    by = by if by <= len(image_filenames) // 2 else by - len(image_filenames)
    return (
        _more(failed, f": every image number is off by {-by}"),
        opened.indices,
    )
  if wrong.mean() <= 0.5:
    return failed, opened.indices
  if _shifted(used, position):
    by = used - position
    return (
        _more(
            failed,
            f": image numbers are off by {by[wrong].min()} to"
            f" {by[wrong].max()}, from image {used[wrong][0]} on: images are"
            " missing, or too many, in one of the two",
        ),
        opened.indices,
    )
  check = dataclasses.replace(
      failed,
      status="warn",
      message=(
          f"image numbers are those of another order of the dataset"
          f" ({wrong.sum()} of {len(used)} images; it depends on the version of"
          " TFDS); the file names all belong to the dataset, and later checks"
          " join by them: so should readers"
      ),
  )
  return check, table[opened.indices].astype(np.int32)


def _shifted(used: np.ndarray, position: np.ndarray) -> bool:
  """Whether numbers are those of images further on, by ranges of images.

  An image that is missing shifts all behind it: the images keep their order, or
  few differences occur. Another order of a dataset does neither.
  """
  differences = np.unique(position - used)
  few = min(_FEW, len(used) // 10)
  return bool((np.diff(position) > 0).all()) or len(differences) <= few


def join(opened: npz.AligNetFile, image_filenames: np.ndarray) -> np.ndarray:
  """(n, 3) numbers of a file's images in a dataset, by file name.

  Args:
    opened: the file.
    image_filenames: (n_images,) names of the dataset.

  Raises:
    AlignetError: a name that the dataset lacks, or a number with two names.
  """
  found = of(opened)
  check, indices = against(opened, found, image_filenames)
  if check.status == "fail":
    # Numbers may be anything as long as every name is one of the dataset.
    position = images_lib.positions(
        found.names[found.known], np.asarray(image_filenames)
    )
    if found.bad.any() or (position < 0).any():
      raise AlignetError(f"file names of {opened.path}: {check.message}")
    table = np.full(len(found.known), -1, np.int32)
    table[found.known] = position
    indices = table[opened.indices]
  return indices


def imagenet_classes(found: Names) -> np.ndarray | None:
  """(m,) class of each image number from names like n01440764_1.JPEG.

  Returns:
    The digits of the WordNet id, -1 for numbers that no row uses; None where a
    name is of another form.
  """
  classes = np.full(len(found.known), -1, np.int64)
  for number in np.flatnonzero(found.known):
    match = _WNID.match(str(found.names[number]))
    if match is None:
      return None
    classes[number] = int(match[1])
  return classes


def _row_by_row(opened, image_filenames, rule) -> outcome.Check:
  bad = np.zeros(len(opened), bool)
  for start, block in _blocks(opened):
    expected = image_filenames[opened.indices[start : start + len(block)]]
    bad[start : start + len(block)] = (expected != block).any(axis=1)
  return outcome.rows_check("filenames", bad, rule)


def _more(check: outcome.Check, text: str) -> outcome.Check:
  return dataclasses.replace(check, message=check.message + text)


def _blocks(
    opened: npz.AligNetFile,
) -> Iterator[tuple[int, np.ndarray]]:
  start = 0
  for block in opened.filename_blocks(BLOCK):
    yield start, block
    start += len(block)
