"""A network that needs no training: how well does each random patch fit?

Coates, Lee and Ng 2011 (An analysis of single-layer networks in unsupervised
feature learning): patches of images, whitened, are the filters; an image is
described by how much of it resembles each of them. A second or two of NumPy
gives representations that tell colours and textures, enough to try a pipeline.
"""

from collections.abc import Callable

from alignet.triplets import similarity
import numpy as np

_IMAGES = 300  # Whose patches are looked at.
_NOISE = 0.05  # Variance added before whitening, so that noise stays small.
_THRESHOLD = 0.3  # Cosine from which a patch counts as like a filter.
_BATCH = 256


def encoder(
    images: np.ndarray,
    *,
    filters: int = 256,
    size: int = 7,
    stride: int = 4,
    seed: int = 0,
) -> Callable[[np.ndarray], np.ndarray]:
  """Draws filters from images.

  Args:
    images: (n, h, w, 3) uint8.
    filters: number of filters, the dimensions of the representations.
    size: side of a patch in pixels, at most that of the images.
    stride: pixels from one patch to the next.
    seed: of the images and patches drawn.

  Returns:
    A function from (m, h, w, 3) uint8 images to (m, filters) float32
    representations, none of them negative.
  """
  rng = np.random.default_rng(seed)
  some = images[rng.permutation(len(images))[:_IMAGES]]
  found = _patches(some, size, stride).reshape(-1, 3 * size * size)
  mean = found.mean(axis=0)
  variances, axes = np.linalg.eigh(np.cov((found - mean).T))
  whiten = (axes / np.sqrt(variances + _NOISE)).astype(np.float32)
  drawn = found[rng.permutation(len(found))[:filters]]
  kernels = similarity.normalise((drawn - mean) @ whiten).T

  def encode(batch: np.ndarray) -> np.ndarray:
    parts = (_patches(batch, size, stride) - mean) @ whiten
    cosines = similarity.normalise(parts) @ kernels
    return np.maximum(cosines - _THRESHOLD, 0).mean(axis=1)

  return lambda x: np.concatenate(
      [encode(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH)]
  )


def _patches(images: np.ndarray, size: int, stride: int) -> np.ndarray:
  """(n, h, w, 3) uint8 -> (n, patches, 3 size^2) float32 in [0, 1]."""
  windows = np.lib.stride_tricks.sliding_window_view(
      images, (size, size), axis=(1, 2)
  )[:, ::stride, ::stride]
  count = windows.shape[1] * windows.shape[2]
  flat = windows.reshape(len(images), count, 3 * size * size)
  return flat.astype(np.float32) / 255
