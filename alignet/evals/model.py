"""Representations of images by one model, as evaluations take them."""

from collections.abc import Mapping
import dataclasses

from alignet import transforms
from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
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
    as_read: (n,) file names in the order in which they were stored; None for
      that of `filenames`.
  """

  features: np.ndarray
  filenames: np.ndarray
  labels: Mapping[str, labels_lib.Labels]
  kind: similarity.Kind = "cosine"
  as_read: np.ndarray | None = None

  @property
  def stored(self) -> np.ndarray:
    """(n,) file names in the order in which they were stored."""
    return self.filenames if self.as_read is None else self.as_read


def open_model(
    directory: files.Path,
    *,
    transform: files.Path | None = None,
    kind: similarity.Kind | None = None,
    trust: identities.Trust = identities.NOTHING,
) -> Model:
  """Opens a directory of representations for evaluation.

  Rows are put into the order of their file names: in which order the images
  were read changes no score.

  Args:
    directory: as `alignet extract` writes it.
    transform: affine transform to apply first.
    kind: similarity; None for dot with a transform and cosine without.
    trust: what the user vouches for.

  Raises:
    AlignetError: a broken directory or transform, NaN; a transform of another
      network, or one that does not say of which.
  """
  stored = store.open(directory)
  opened = store.by_name(stored)
  files.check_finite(opened.features, f"features in {directory}")
  features = opened.features
  applied = transforms.load_for(transform, opened.path, opened.columns, trust)
  if applied:
    features = applied(features)
  return Model(
      features=features,
      filenames=opened.filenames,
      labels=opened.labels,
      kind=kind or ("dot" if transform else "cosine"),
      as_read=np.asarray(stored.filenames),
  )


def of_images(model: Model, names: np.ndarray, what: object) -> Model:
  """The model's images of these names, which come in sorted order.

  Raises:
    AlignetError: the model lacks one.
  """
  at = images_lib.positions(names, model.filenames)
  missing = names[at < 0]
  if len(missing):
    raise AlignetError(
        f"{what} lacks {len(missing)} of the {len(names)} images, the first is"
        f" {str(missing[0])!r}; extract both from the same source"
    )
  if len(names) == len(model.filenames):
    return model
  return dataclasses.replace(
      model,
      features=model.features[at],
      filenames=names,
      labels={
          level: labels_lib.Labels(ids=labels.ids[at], names=labels.names)
          for level, labels in model.labels.items()
      },
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
