"""The one decoder and the one resizer of image files."""

from collections.abc import Iterator
import contextlib

from alignet.errors import AlignetError
import numpy as np

BACKGROUND = "white"
"""What people see behind a transparent picture, and so do networks here."""

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_END_OF_IMAGE, _END_OF_PNG = 0xD9, b"IEND"
_SCAN, _RESTARTS = 0xDA, range(0xD0, 0xD8)
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EXTRA_SAMPLES = 338  # A tag of TIFF.
_NOISE = (
    *(bytes([byte]) * 4096 for byte in (0x00, 0x2A, 0x55, 0xB6)),
    *(bytes([0xFF, marker]) + b"\x2a" * 4096 for marker in _RESTARTS),
)


def decode(encoded: bytes, name: str) -> np.ndarray:
  """Decodes an image file with OpenCV.

  Grey and CMYK images become RGB, transparent ones lie on `BACKGROUND`, 16 bits
  become 8, and a note in the file that the camera was turned is ignored, as
  TFDS does.

  Args:
    encoded: the bytes of a JPEG, PNG or any other file that OpenCV reads; what
      stands behind the picture, as in motion photos, is passed over.
    name: of the image, for the message.

  Returns:
    (h, w, 3) uint8, RGB.

  Raises:
    AlignetError: with the name: no bytes, a truncated or another file, one of
      floating-point numbers or of more pixels than OpenCV reads.
  """
  if not encoded:
    raise AlignetError(f"image {name} is empty (0 bytes); restore or remove it")
  # A cut file that ends so by chance has no picture at all.
  is_open = encoded.startswith(_JPEG) and encoded[-2:] != b"\xff\xd9"
  is_png = encoded.startswith(_PNG)
  if is_png and not _is_whole(encoded):
    image, why = None, "it is truncated"
  elif _least(encoded) > len(encoded):
    image, why = None, "it claims more pixels than its bytes can hold"
  elif is_open and _END_OF_IMAGE not in dict(_segments(encoded)):
    image, why = _without_end(encoded)
  else:
    image, why = _decode(encoded, colour=True)
  if not _is_opaque(encoded) and not (is_png and image is None):
    stored, _ = _decode(encoded, colour=False)
    if stored is not None and stored.dtype.kind == "f":
      image, why = None, "its numbers are floats; save it with 8 or 16 bits"
    elif stored is not None and stored.ndim == 2 and _has_extra(encoded):
      image, why = None, "it is grey with transparency; save it as PNG"
    elif image is not None and stored is not None:
      image = _on_background(image, stored, encoded)
  if image is None:
    raise AlignetError(
        f"image {name} ({len(encoded)} bytes) cannot be decoded: {why};"
        " restore or remove it"
    )
  return np.ascontiguousarray(image[..., ::-1])


def _is_whole(png: bytes) -> bool:
  """Whether chunks follow each other up to the end of a PNG.

  OpenCV makes room for a chunk of any length that a damaged one claims.
  """
  at = 8
  while at + 12 <= len(png):
    name = png[at + 4 : at + 8]
    at += 12 + int.from_bytes(png[at : at + 4], "big")
    if name == _END_OF_PNG or not name.isalpha():
      return name == _END_OF_PNG and at <= len(png)
  return False


def _least(encoded: bytes) -> float:
  """Bytes that the picture must have, which a JPEG's or PNG's head describes.

  A byte of deflate stands for 1,032 at most. A progressive JPEG has a bit for
  each block of 64 pixels at least, besides runs of empty ones.
  """
  number = lambda x: int.from_bytes(x, "big")
  if encoded.startswith(_PNG):
    pixels = number(encoded[16:20]) * number(encoded[20:24])
    return pixels * number(encoded[24:25]) / 8 / 1032
  if encoded.startswith(_JPEG):
    for marker, content in _segments(encoded):
      if marker in _FRAMES:
        return number(content[1:3]) * number(content[3:5]) / 512
  return 0


def _decode(encoded: bytes, *, colour: bool) -> tuple[np.ndarray | None, str]:
  """BGR, or as it is stored; None and why where it cannot be read."""
  import cv2  # pylint: disable=g-import-not-at-top

  mode = cv2.IMREAD_UNCHANGED
  if colour:
    mode = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
  why = "it is damaged or no image"
  try:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), mode), why
  except cv2.error as e:
    if any(limit in str(e) for limit in ("PIXELS", "IMAGE_WIDTH", "HEIGHT")):
      why = "it has more pixels than OpenCV reads (2^30, or 2^20 a side)"
    return None, why


def _is_opaque(encoded: bytes) -> bool:
  """Whether the file's form alone tells that nothing shines through."""
  of_png = encoded.startswith(_PNG) and encoded[25:26] in (b"\0", b"\2", b"\3")
  return encoded.startswith(_JPEG) or (of_png and b"tRNS" not in encoded)


def _has_extra(encoded: bytes) -> bool:
  """Whether a TIFF holds more than colours, such as transparency."""
  order = {b"II*\0": "little", b"MM\0*": "big"}.get(encoded[:4])
  if order is None:
    return False
  number = lambda at, n: int.from_bytes(encoded[at : at + n], order)
  start = number(4, 4)
  entries = range(start + 2, start + 2 + 12 * number(start, 2), 12)
  return any(number(at, 2) == _EXTRA_SAMPLES for at in entries)


def _on_background(image, stored, encoded) -> np.ndarray:
  """The picture laid on white; where it is opaque, as OpenCV gives it."""
  largest = np.iinfo(stored.dtype).max if stored.dtype.kind == "u" else 1
  if stored.ndim == 3 and stored.shape[2] == 4:
    alpha, colours = stored[..., 3:], stored[..., :3]
  elif stored.ndim == 2 and encoded.startswith(_PNG) and b"tRNS" in encoded:
    # A grey PNG names one grey that is transparent, in its own bits.
    at, bits = encoded.index(b"tRNS") + 4, encoded[24]
    grey = int.from_bytes(encoded[at : at + 2], "big")
    grey = grey * largest // ((1 << bits) - 1)
    alpha = np.where(stored == grey, 0, largest)[..., None]
    colours = stored[..., None]
  else:
    return image
  share = alpha.astype(np.float64) / largest
  by_libtiff = encoded[:2] in (b"II", b"MM") and largest == 255
  # libtiff gives colours of 8 bits already multiplied by their share.
  shown = colours / largest * (1 if by_libtiff else share)
  mixed = 255 * (shown + 1 - share)
  return np.where(alpha == largest, image, np.rint(mixed)).astype(np.uint8)


def _segments(encoded: bytes) -> Iterator[tuple[int, bytes]]:
  """Marker and content of a JPEG's segments, up to its end."""
  at = 2
  while 0 <= (at := encoded.find(b"\xff", at)) < len(encoded) - 1:
    marker = encoded[at + 1]
    if marker in (0, 0xFF) or marker in _RESTARTS:  # Of the picture's numbers.
      at += 1 + (marker != 0xFF)
      continue
    size = int.from_bytes(encoded[at + 2 : at + 4], "big")
    yield marker, encoded[at + 4 : at + 2 + size]
    if marker == _END_OF_IMAGE:
      return
    at += 2 + size


def _has_all_scans(encoded: bytes) -> bool:
  """Whether some scan has the last bit of each coefficient and component."""
  missing = None
  for marker, content in _segments(encoded):
    if marker in _FRAMES and len(content) > 5:
      known = content[6 : 6 + 3 * content[5] : 3]
      missing = {(c, i) for c in known for i in range(64)}
    elif marker == _SCAN and missing and len(content) > 3:
      first, last, bits = content[-3:]
      if not bits & 0xF:
        chosen = content[1 : 1 + 2 * content[0] : 2]
        missing -= {(c, i) for c in chosen for i in range(first, last + 1)}
  return missing == set()


def _without_end(encoded: bytes) -> tuple[np.ndarray | None, str]:
  """A JPEG that lacks its end marker and nothing else.

  OpenCV may fill what is missing with grey, in silence. Whatever follows a
  complete picture changes nothing of it.
  """
  if not _has_all_scans(encoded):
    return None, "it is truncated"
  encoded, end = encoded.rstrip(b"\xff"), bytes([0xFF, _END_OF_IMAGE])
  image, _ = _decode(encoded + end, colour=True)
  for noise in _NOISE:
    other, _ = _decode(encoded + noise + end, colour=True)
    if other is None or not np.array_equal(image, other):
      return None, "it is truncated"
  return image, ""


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
