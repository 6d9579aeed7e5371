"""Two-dimensional maps of representations by principal components."""

from typing import NamedTuple

from alignet import similarity
from alignet.errors import AlignetError
import numpy as np


class Projection(NamedTuple):
  """Two-dimensional map of n objects.

  Attributes:
    points: (n, 2) float64 coordinates.
    explained: (2,) share of the variance along each axis, in [0, 1].
  """

  points: np.ndarray
  explained: np.ndarray


def pca_2d(features: np.ndarray) -> Projection:
  """First two principal components of unit-length features.

  The rows are scaled to unit length (so that distances follow the cosine),
  centred and rotated. The sign of each axis is fixed: the loading of largest
  magnitude is positive. Components that do not exist (one object or one
  dimension) are zero.

  Args:
    features: (n, d) floats.

  Returns:
    Coordinates and explained shares of variance.

  Raises:
    AlignetError: not a matrix with at least one row and column.
  """
  features = np.asarray(features)
  if features.ndim != 2 or not features.size:
    raise AlignetError(
        "features of a map: expected shape (n, d) with n, d >= 1, found"
        f" {features.shape}"
    )
  x = similarity.normalise(features.astype(np.float64))
  x = x - x.mean(axis=0)
  u, s, vt = np.linalg.svd(x, full_matrices=False)
  largest = np.argmax(np.abs(vt), axis=1)
  sign = np.where(vt[np.arange(len(vt)), largest] < 0, -1.0, 1.0)
  points, explained = np.zeros((len(x), 2)), np.zeros(2)
  k = min(2, len(s))
  points[:, :k] = (u * s * sign)[:, :k]
  total = np.sum(s**2)
  explained[:k] = s[:k] ** 2 / total if total > 0 else 0
  return Projection(points, explained)
