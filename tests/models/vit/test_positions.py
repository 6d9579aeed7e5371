from alignet.errors import AlignetError
from alignet.models.vit import positions
import cv2
import numpy as np
import pytest
import scipy.ndimage

_GRIDS = [((4, 5), (7, 9)), ((14, 14), (16, 7)), ((6, 6), (3, 4))]


def _grid(old, extra=0):
  rng = np.random.default_rng(0)
  return rng.normal(size=(1, extra + old[0] * old[1], 4)).astype(np.float32)


@pytest.mark.parametrize("old, new", _GRIDS)
def test_bicubic_is_opencvs(old, new):
  x = _grid(old)
  wanted = cv2.resize(
      x.reshape(*old, 4), new[::-1], interpolation=cv2.INTER_CUBIC
  )
  found = positions.resample(x, old, new, "bicubic")
  np.testing.assert_allclose(found[0], wanted.reshape(-1, 4), atol=1e-5)


@pytest.mark.parametrize("old, new", _GRIDS)
def test_bilinear_is_scipys_zoom(old, new):
  x = _grid(old)
  zoom = (new[0] / old[0], new[1] / old[1], 1)
  wanted = scipy.ndimage.zoom(x.reshape(*old, 4), zoom, order=1)
  found = positions.resample(x, old, new, "bilinear")
  np.testing.assert_allclose(found[0], wanted.reshape(-1, 4), atol=1e-5)


@pytest.mark.parametrize("method", ["bicubic", "bilinear"])
def test_same_grid_and_class_token(method):
  x = _grid((3, 4), extra=1)
  np.testing.assert_allclose(
      positions.resample(x, (3, 4), (3, 4), method), x, atol=1e-6
  )
  found = positions.resample(x, (3, 4), (5, 5), method)
  assert found.shape == (1, 26, 4)
  np.testing.assert_array_equal(found[:, 0], x[:, 0])


def test_too_few_positions():
  with pytest.raises(AlignetError, match="20 positions, found 12"):
    positions.resample(_grid((3, 4)), (4, 5), (2, 2))
