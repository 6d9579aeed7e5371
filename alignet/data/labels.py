"""Labels of images at the levels of a hierarchy, and labels.npz.

A level is an int32 array of class numbers, one an image, and the classes'
names. labels.npz holds `{level}` (n,) int32 and `{level}_names` (k,) str for
each level that is known.
"""

from collections.abc import Mapping, Sequence
import dataclasses

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

LEVELS = ("subordinate", "basic", "superordinate", "concept")
"""From fine to coarse, and the THINGS concept, which is beside them."""

UNLABELLED = -1
"""Number of an image that has no class at a level."""

_NAMES = "_names"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
  """One level of labels.

  Attributes:
    ids: (n,) int32, number of each image's class, or -1 where it has none.
    names: (k,) str, name of each class.
  """

  ids: np.ndarray
  names: np.ndarray

  def __post_init__(self):
    ids = files.check_array(self.ids, "label ids", shape=(None,), kinds="iu")
    names = np.asarray(self.names)
    if not names.size:  # An empty list has no dtype to check.
      names = names.astype(np.str_)
    files.check_array(names, "label names", shape=(None,), kinds="U")
    outside = (ids < UNLABELLED) | (ids >= len(names))
    if outside.any():
      row = int(np.argmax(outside))
      raise AlignetError(
          f"label ids: row {row} is {int(ids[row])}; expected the number of one"
          f" of the {len(names)} names, or {UNLABELLED} for no label"
      )
    object.__setattr__(self, "ids", ids.astype(np.int32, copy=False))
    object.__setattr__(self, "names", names)


def from_strings(values: Sequence[str] | np.ndarray) -> Labels:
  """Labels of images whose classes are given by name; names are sorted.

  Args:
    values: (n,) class name of each image; an empty one means no class.

  Returns:
    The labels.
  """
  values = np.asarray(values, np.str_)
  known = values != ""
  ids = np.full(len(values), UNLABELLED, np.int32)
  names, ids[known] = np.unique(values[known], return_inverse=True)
  return Labels(ids=ids, names=names)


def write_labels(
    path: files.Path, labels: Mapping[str, Labels], *, overwrite: bool = False
) -> None:
  """Writes labels.npz; no level at all is allowed.

  Args:
    path: the file.
    labels: level to labels, all of the same number of images.
    overwrite: replace an existing file.

  Raises:
    AlignetError: an unknown level, or levels of different lengths.
  """
  check_labels(labels)
  arrays = {}
  for level in LEVELS:
    if level in labels:
      arrays[level] = labels[level].ids
      arrays[level + _NAMES] = labels[level].names
  files.save_npz(path, arrays, overwrite=overwrite)


def read_labels(path: files.Path, *, n: int | None = None) -> dict[str, Labels]:
  """Reads labels.npz.

  Args:
    path: the file.
    n: number of images there must be labels for.

  Returns:
    Level to labels, from fine to coarse.

  Raises:
    AlignetError: missing, damaged, an array without its partner, an unknown
      level, a number without a name, another number of images.
  """
  arrays = files.load_npz(path, required=())
  levels = {key.removesuffix(_NAMES) for key in arrays}
  labels = {}
  try:
    for level in sorted(levels, key=_position):
      for key in (level, level + _NAMES):
        if key not in arrays:
          raise AlignetError(f"the array {key} is missing")
      labels[level] = Labels(ids=arrays[level], names=arrays[level + _NAMES])
    check_labels(labels, n=n)
  except AlignetError as e:
    raise AlignetError(f"{path} holds no valid labels: {e}") from e
  return labels


def check_labels(labels: Mapping[str, Labels], *, n: int | None = None) -> None:
  """Fails on unknown levels and on a number of images other than `n`."""
  for level, one in labels.items():
    _position(level)
    n = len(one.ids) if n is None else n
    if len(one.ids) != n:
      raise AlignetError(
          f"level {level}: expected labels of {n} images, found"
          f" {len(one.ids)}"
      )


def _position(level: str) -> int:
  if level not in LEVELS:
    raise AlignetError(
        f"expected a level among {', '.join(LEVELS)}, found {level!r}"
    )
  return LEVELS.index(level)
