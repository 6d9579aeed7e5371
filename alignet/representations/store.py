"""The representations directory: features of images with names and labels.

    features.npy    (n, d) float32 or float16, opened as a memory map
    filenames.npy   (n,) str, all different
    labels.npz      per known level `{level}` (n,) int32, `{level}_names` (k,)
    meta.json       model, layer, source, ...; sha256 of the other three files

A directory appears whole or not at all: it is written beside its final place
and renamed.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import functools
import pathlib
from typing import Any

from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
import numpy as np

FEATURES = "features.npy"
FILENAMES = "filenames.npy"
LABELS = "labels.npz"
META = "meta.json"

_HASHED = (FEATURES, FILENAMES, LABELS)


@dataclasses.dataclass(frozen=True)
class _Meta:
  sha256: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Representations:
  """An open representations directory.

  Attributes:
    path: the directory.
    features: (n, d) float32 or float16, a read-only memory map.
    filenames: (n,) str, a read-only memory map.
    labels: level to labels of the n images; levels that are not known are
      absent.
    meta: model, layer, source and so on, as the writer gave them, and `sha256`,
      file name to hexadecimal digest.
  """

  path: pathlib.Path
  features: np.ndarray
  filenames: np.ndarray
  labels: Mapping[str, labels_lib.Labels]
  meta: Mapping[str, Any]

  @functools.cached_property
  def rows(self) -> identities.Rows:
    """Which images the row numbers mean."""
    return identities.of_names(self.filenames)

  @property
  def columns(self) -> identities.Columns | None:
    """Which network, layer and pixels the features are of, if known."""
    return identities.of_columns(self.meta)

  def __len__(self) -> int:
    return len(self.features)


def write(
    directory: files.Path,
    features: np.ndarray | files.Blocks,
    filenames: Sequence[str] | np.ndarray,
    labels: Mapping[str, labels_lib.Labels],
    meta: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
  """Writes a representations directory.

  Args:
    directory: where; its parent is made if it is not there.
    features: (n, d) finite float32 or float16; may be a memory map, which is
      read by blocks, or the blocks themselves.
    filenames: (n,) file names, all different.
    labels: level to labels of the n images.
    meta: JSON-serialisable: model, layer, source, library versions. Shape,
      dtype, alignet's versions and the files' sha256 are added.
    overwrite: replace an existing directory of representations.

  Raises:
    OutputExistsError: the directory exists and `overwrite` is false.
    AlignetError: lengths that differ, another dtype, a NaN, a file name twice.
  """
  files.check_output(directory, overwrite=overwrite)
  _check_replaceable(directory)
  if not isinstance(features, files.Blocks):
    features = _check_features(features, "features")
    features = files.Blocks(
        features.shape, features.dtype, files.row_blocks(features)
    )
  n = features.shape[0]
  filenames = np.asarray(filenames)
  _check_filenames(filenames, "filenames", n)
  if len(set(filenames.tolist())) < len(filenames):
    raise AlignetError(
        f"filenames: {_repeated(filenames)!r} is there more than once; name"
        " images by a path that tells them apart"
    )
  labels_lib.check_labels(labels, n=n)
  with files.atomic_directory(directory, overwrite=overwrite) as new:
    files.save_npy(new / FEATURES, features._replace(blocks=_finite(features)))
    files.save_npy(new / FILENAMES, filenames)
    labels_lib.write_labels(new / LABELS, labels)
    try:
      json_files.write(
          new / META,
          {
              "versions": files.versions(),
              **meta,
              "shape": list(features.shape),
              "dtype": str(features.dtype),
              "sha256": {name: files.sha256(new / name) for name in _HASHED},
          },
      )
    except (TypeError, ValueError) as e:
      if isinstance(e, AlignetError):
        raise
      raise AlignetError(
          f"meta: expected values that JSON can hold, found {e}"
      ) from e


def open(  # pylint: disable=redefined-builtin
    directory: files.Path, *, verify: bool = False
) -> Representations:
  """Opens a representations directory, its arrays as memory maps.

  Args:
    directory: what `write` wrote.
    verify: read every file once: compare its sha256 with the one in meta.json
      and look for NaN and infinite values.

  Returns:
    The representations.

  Raises:
    AlignetError: a file is missing, truncated or of another dtype, lengths
      differ; under `verify` also a changed file or a NaN.
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise AlignetError(
        f"{directory} is no directory; expected one with {FEATURES},"
        f" {FILENAMES}, {LABELS} and {META}"
    )
  features = _check_features(
      files.load_npy(directory / FEATURES, what="features", mmap=True),
      f"features in {directory / FEATURES}",
  )
  n = len(features)
  filenames = files.load_npy(directory / FILENAMES, mmap=True)
  _check_filenames(filenames, f"filenames in {directory / FILENAMES}", n)
  labels = labels_lib.read_labels(directory / LABELS, n=n)
  meta = json_files.read(directory / META, _Meta)
  if verify:
    for name in _HASHED:
      if (found := files.sha256(directory / name)) != meta["sha256"].get(name):
        raise AlignetError(
            f"{directory / name} is not the file that was written: its sha256"
            f" is {found[:12]}..., {META} says"
            f" {str(meta['sha256'].get(name))[:12]}...; extract the"
            " representations again"
        )
    files.check_finite(features, f"features in {directory / FEATURES}")
  return Representations(
      path=directory,
      features=features,
      filenames=filenames,
      labels=labels,
      meta=meta,
  )


def by_name(representations: Representations) -> Representations:
  """The same in the order of the file names, which no reading order changes."""
  rows = np.argsort(representations.filenames, kind="stable")
  if (np.diff(rows) == 1).all():
    return representations
  return dataclasses.replace(
      representations,
      features=representations.features[rows],
      filenames=representations.filenames[rows],
      labels={
          level: labels_lib.Labels(ids=labels.ids[rows], names=labels.names)
          for level, labels in representations.labels.items()
      },
  )


def _finite(features: files.Blocks) -> Iterator[np.ndarray]:
  start = 0
  for block in features.blocks:
    files.check_finite(block, "features", first=start)
    start += len(block)
    yield block


def _check_replaceable(directory: files.Path) -> None:
  """Refuses to replace a folder that is something else."""
  directory = pathlib.Path(directory)
  if directory.exists() and not (directory / META).is_file():
    raise AlignetError(
        f"{directory} exists and holds no representations (no {META}); choose"
        " another path"
    )


def _check_features(features: np.ndarray, what: str) -> np.ndarray:
  features = files.check_array(features, what, shape=(None, None), kinds="f")
  if features.dtype not in (np.float32, np.float16):
    raise AlignetError(
        f"{what}: expected float32 or float16, found dtype {features.dtype}"
    )
  if not features.size:
    raise AlignetError(f"{what}: expected at least one value, found none")
  return features


def _check_filenames(filenames: np.ndarray, what: str, n: int) -> None:
  files.check_array(filenames, what, shape=(None,), kinds="U")
  if len(filenames) != n:
    raise AlignetError(
        f"{what}: expected one for each of the {n} rows of features, found"
        f" {len(filenames)}"
    )


def _repeated(filenames: np.ndarray) -> str:
  values, counts = np.unique(filenames, return_counts=True)
  return str(values[np.argmax(counts > 1)])
