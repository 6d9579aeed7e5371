"""Two-dimensional maps: principal components, classical scaling."""

from typing import NamedTuple

from alignet.errors import AlignetError
from alignet.triplets import similarity
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


def mds_2d(squared: np.ndarray) -> Projection:
  """Classical multidimensional scaling (Torgerson 1952) in two dimensions.

  The eigenvectors of -J D J / 2, J = I - 1/n, scaled by the roots of their
  eigenvalues. Of squared Euclidean distances it gives the principal components
  of the points. The sign of each axis is fixed: its coordinate of largest
  magnitude is positive.

  Args:
    squared: (n, n) D, squared distances; symmetric, finite.

  Returns:
    Coordinates, and each eigenvalue's share of the sum of the positive ones.

  Raises:
    AlignetError: not a square matrix of at least one object.
  """
  d = np.asarray(squared, np.float64)
  if d.ndim != 2 or d.shape[0] != d.shape[1] or not d.size:
    raise AlignetError(
        "distances of a map: expected shape (n, n) with n >= 1, found"
        f" {d.shape}"
    )
  rows = d.mean(axis=1)
  b = -(d - rows[:, None] - rows + rows.mean()) / 2
  values, vectors = np.linalg.eigh((b + b.T) / 2)
  values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
  points, explained = np.zeros((len(d), 2)), np.zeros(2)
  k = min(2, len(d))
  largest = np.argmax(np.abs(vectors[:, :k]), axis=0)
  sign = np.where(vectors[largest, np.arange(k)] < 0, -1.0, 1.0)
  points[:, :k] = vectors[:, :k] * np.sqrt(values[:k]) * sign
  if values.sum() > 0:
    explained[:k] = values[:k] / values.sum()
  return Projection(points, explained)
