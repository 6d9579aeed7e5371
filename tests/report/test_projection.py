"""PCA against its definition."""

from alignet.errors import AlignetError
from alignet.report import projection
import numpy as np
import pytest
from scipy.spatial import distance


def test_pca_is_the_eigendecomposition_of_the_covariance():
  x = np.random.default_rng(0).normal(size=(40, 7)) + 1
  points, explained = projection.pca_2d(x)
  unit = x / np.sqrt((x**2).sum(axis=1, keepdims=True))
  values, vectors = np.linalg.eigh(np.cov(unit.T, bias=True))
  values, vectors = values[::-1], vectors[:, ::-1]
  np.testing.assert_allclose(explained, values[:2] / values.sum(), rtol=1e-10)
  for axis in range(2):
    v = vectors[:, axis]
    v = v * np.sign(v[np.argmax(np.abs(v))])
    np.testing.assert_allclose(
        points[:, axis], (unit - unit.mean(axis=0)) @ v, atol=1e-12
    )


def test_pca_does_not_depend_on_length_or_order_of_rows():
  rng = np.random.default_rng(1)
  x = rng.normal(size=(30, 5))
  points, _ = projection.pca_2d(x)
  order = rng.permutation(30)
  scaled = x * rng.uniform(0.1, 9, size=(30, 1))
  again, _ = projection.pca_2d(scaled[order])
  np.testing.assert_allclose(again, points[order], atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (2, 2), (3, 900)])
def test_pca_of_small_input_is_finite(shape):
  points, explained = projection.pca_2d(
      np.random.default_rng(2).normal(size=shape).astype(np.float16)
  )
  assert points.shape == (shape[0], 2)
  assert np.isfinite(points).all() and np.isfinite(explained).all()


def test_pca_of_zero_rows_is_zero():
  points, explained = projection.pca_2d(np.zeros((4, 3)))
  assert not points.any() and not explained.any()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_pca_refuses(shape):
  with pytest.raises(AlignetError, match="features of a map"):
    projection.pca_2d(np.zeros(shape))


def test_scaling_of_squared_distances_is_pca():
  x = np.random.default_rng(3).normal(size=(40, 7))
  unit = x / np.linalg.norm(x, axis=1, keepdims=True)
  squared = distance.squareform(distance.pdist(unit, "sqeuclidean"))
  found, wanted = projection.mds_2d(squared), projection.pca_2d(x)
  np.testing.assert_allclose(found.explained, wanted.explained, rtol=1e-9)
  np.testing.assert_allclose(
      np.abs(found.points), np.abs(wanted.points), atol=1e-9
  )


def test_scaling_returns_points_of_a_plane():
  x = np.random.default_rng(4).normal(size=(20, 2)) * [3, 1]
  squared = distance.squareform(distance.pdist(x, "sqeuclidean"))
  points, explained = projection.mds_2d(squared)
  np.testing.assert_allclose(
      distance.pdist(points, "sqeuclidean"),
      distance.squareform(squared),
      rtol=1e-9,
  )
  assert explained.sum() == pytest.approx(1)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_scaling_of_equal_objects_is_zero(n):
  points, explained = projection.mds_2d(np.zeros((n, n)))
  assert points.shape == (n, 2) and not points.any() and not explained.any()


def test_scaling_refuses():
  with pytest.raises(AlignetError, match="distances of a map"):
    projection.mds_2d(np.zeros((2, 3)))
