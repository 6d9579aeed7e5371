"""Augmentation of small images: mirrored half of the time, and shifted."""

import numpy as np

SHIFT = 4
"""Largest shift in pixels, in each direction."""

_STREAM = 0x61756721  # Keeps these draws apart from others of the same seed.


def augment(
    images: np.ndarray, *, seed: int, batch: int, shift: int = SHIFT
) -> np.ndarray:
  """Mirrors and shifts each image of a batch at random.

  Each image is mirrored left to right with probability one half, then shifted
  by -shift to shift pixels along each side, all shifts equally likely; what
  comes into view is the image's reflection at its border.

  Args:
    images: [b, h, w, c], sides longer than `shift`.
    seed: of the run.
    batch: number of the batch; the draws depend on (seed, batch) only.
    shift: largest shift in pixels.

  Returns:
    [b, h, w, c] of the same dtype.
  """
  n, height, width = images.shape[:3]
  rng = np.random.default_rng([seed, batch, _STREAM])
  mirrored = rng.integers(2, size=(n, 1)).astype(bool)
  offsets = rng.integers(-shift, shift + 1, size=(2, n, 1))
  rows = _reflect(np.arange(height) + offsets[0], height)
  columns = _reflect(np.arange(width) + offsets[1], width)
  columns = np.where(mirrored, width - 1 - columns, columns)
  return images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None]]


def _reflect(position: np.ndarray, length: int) -> np.ndarray:
  """Positions outside 0 to length - 1 reflected at the first or last pixel."""
  return length - 1 - np.abs(length - 1 - np.abs(position))
