"""Pixel ranges: what a network expects the grey values 0 to 255 to become."""

from alignet.errors import AlignetError
import numpy as np

_NAMED = {
    # Mean and standard deviation of [0, 1] pixels, as torchvision publishes
    # them, and OpenAI's for CLIP.
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": (
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
}

PixelRange = tuple[float, float] | str
"""What 0 and 255 become, or "imagenet" or "clip"."""

FORMS = "LOW,HIGH (what 0 and 255 become, such as 0,1 or -1,1), imagenet, clip"


def table(pixel_range: str) -> np.ndarray:
  """(3, 256) float32: the value of each grey value, a row a channel (RGB).

  Args:
    pixel_range: "LOW,HIGH", "imagenet" or "clip".

  Raises:
    AlignetError: another form, or LOW equal to HIGH.
  """
  grey = np.arange(256) / 255
  if pixel_range in _NAMED:
    mean, std = (np.array(x)[:, None] for x in _NAMED[pixel_range])
    return ((grey - mean) / std).astype(np.float32)
  try:
    low, high = map(float, pixel_range.split(","))
  except ValueError:
    low = high = 0.0
  if low == high or not np.isfinite([low, high]).all():
    raise AlignetError(f"pixel range: expected {FORMS}; found {pixel_range!r}")
  values = low + grey * (high - low)
  return np.tile(values, (3, 1)).astype(np.float32)


def apply(images: np.ndarray, table: np.ndarray) -> np.ndarray:
  """(n, h, w, 3) uint8 images -> (n, 3, h, w) float32, by a `table`."""
  import cv2  # pylint: disable=g-import-not-at-top

  n, h, w, _ = images.shape
  batch = np.empty((n, 3, h, w), table.dtype)
  for image, out in zip(images, batch):
    for channel, values, plane in zip(cv2.split(image), table, out):
      cv2.LUT(channel, values, plane)
  return batch


def affine(pixel_range: PixelRange) -> tuple[np.ndarray, np.ndarray]:
  """Scale and offset, (3,) or () float32, on grey values of 0 to 255.

  Args:
    pixel_range: (LOW, HIGH), or one of the names that `table` knows.

  Raises:
    AlignetError: another form.
  """
  if isinstance(pixel_range, str):
    if pixel_range not in _NAMED:
      raise AlignetError(
          f"pixel range: expected (LOW, HIGH), {' or '.join(_NAMED)}; found"
          f" {pixel_range!r}"
      )
    mean, std = map(np.array, _NAMED[pixel_range])
    scale, offset = 1 / (255 * std), -mean / std
  else:
    low, high = pixel_range
    scale, offset = (high - low) / 255, low
  return np.float32(scale), np.float32(offset)


def mean_and_std(pixel_range: PixelRange) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation, (3,) float64, that make it of [0, 1] pixels.

  Args:
    pixel_range: as for `affine`.

  Raises:
    AlignetError: another form.
  """
  scale, offset = (
      np.broadcast_to(x.astype(float), 3) for x in affine(pixel_range)
  )
  std = 1 / (255 * scale)
  return -offset * std, std


def text(pixel_range: PixelRange) -> str:
  """The form that `table` and the command line take."""
  if isinstance(pixel_range, str):
    return pixel_range
  return ",".join(f"{value:g}" for value in pixel_range)
