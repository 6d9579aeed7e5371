"""Representations of images by one model, as evaluations take them."""

from collections.abc import Mapping
import dataclasses

from alignet import transforms
from alignet.data import labels as labels_lib
from alignet.io import files
from alignet.representations import store
from alignet.triplets import similarity
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Model:
  """Representations to evaluate.

  Attributes:
    features: (n, d) finite floats, possibly a memory map.
    filenames: (n,) str.
    labels: level to labels of the n images.
    kind: similarity that the representations are compared by.
  """

  features: np.ndarray
  filenames: np.ndarray
  labels: Mapping[str, labels_lib.Labels]
  kind: similarity.Kind = "cosine"


def open_model(
    directory: files.Path,
    *,
    transform: files.Path | None = None,
    kind: similarity.Kind | None = None,
) -> Model:
  """Opens a directory of representations for evaluation.

  Args:
    directory: as `alignet extract` writes it.
    transform: affine transform to apply first.
    kind: similarity; None for dot with a transform and cosine without.

  Raises:
    AlignetError: a broken directory or transform, NaN.
  """
  opened = store.open(directory)
  files.check_finite(opened.features, f"features in {directory}")
  features = opened.features
  if transform:
    features = transforms.load(transform)(features)
  return Model(
      features=features,
      filenames=opened.filenames,
      labels=opened.labels,
      kind=kind or ("dot" if transform else "cosine"),
  )


def objects_of(
    labels: Mapping[str, labels_lib.Labels],
    images: np.ndarray,
    level: str = "concept",
) -> tuple[np.ndarray, str]:
  """What a bootstrap draws: classes where all images have one, or images.

  Args:
    labels: of all images, by level.
    images: rows of those that are judged, of any shape.
    level: of the classes.

  Returns:
    Integers of that shape, and "concepts" or "images".
  """
  if level in labels:
    ids = labels[level].ids[images].astype(np.int64)
    if (ids != labels_lib.UNLABELLED).all():
      return ids, "concepts"
  return np.asarray(images, np.int64), "images"
