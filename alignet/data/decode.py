"""The one decoder and the one resizer of image files."""

from collections.abc import Iterator
import contextlib

from alignet.errors import AlignetError
import numpy as np

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_SCAN, _END_OF_IMAGE, _END_OF_PNG = b"\xff\xda", b"\xff\xd9", b"IEND"


def decode(encoded: bytes, name: str) -> np.ndarray:
  """Decodes an image file with OpenCV.

  Grey and CMYK images become RGB, transparency is dropped, 16 bits become 8,
  and a note in the file that the camera was turned is ignored, as TFDS does.

  Args:
    encoded: the bytes of a JPEG, PNG or any other file that OpenCV reads.
    name: of the image, for the message.

  Returns:
    (h, w, 3) uint8, RGB.

  Raises:
    AlignetError: with the name: no bytes, a truncated or another file.
  """
  import cv2  # pylint: disable=g-import-not-at-top

  if not encoded:
    raise AlignetError(f"image {name} is empty (0 bytes); restore or remove it")
  # OpenCV fills what is missing of a truncated file with grey, in silence.
  truncated = (
      encoded.startswith(_JPEG)
      and encoded.rfind(_END_OF_IMAGE) < max(encoded.rfind(_SCAN), 2)
  ) or (encoded.startswith(_PNG) and _END_OF_PNG not in encoded)
  image = None
  if not truncated:
    try:
      image = cv2.imdecode(
          np.frombuffer(encoded, np.uint8),
          cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
      )
    except cv2.error:
      pass
  if image is None:
    why = "it is truncated" if truncated else "it is damaged or no image"
    raise AlignetError(
        f"image {name} ({len(encoded)} bytes) cannot be decoded: {why};"
        " restore or remove it"
    )
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def resize(image: np.ndarray, size: int) -> np.ndarray:
  """Straight to size x size pixels with OpenCV's cubic interpolation.

  Done on uint16, where OpenCV works in floats and rounds once; its shortcut for
  uint8 rounds in between, differently by version and processor.

  Args:
    image: (h, w, 3) uint8.
    size: side in pixels.

  Returns:
    (size, size, 3) uint8; the image itself where it has that size.
  """
  import cv2  # pylint: disable=g-import-not-at-top

  if image.shape[:2] == (size, size):
    return image
  resized = cv2.resize(
      image.astype(np.uint16), (size, size), interpolation=cv2.INTER_CUBIC
  )
  return cv2.convertScaleAbs(resized)  # Of unsigned: 255 at most, no more.


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
  """Keeps OpenCV from starting threads of its own in each of ours."""
  import cv2  # pylint: disable=g-import-not-at-top

  before = cv2.getNumThreads()
  cv2.setNumThreads(1)
  try:
    yield
  finally:
    cv2.setNumThreads(before)
