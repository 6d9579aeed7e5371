import io

from alignet.data import decode
from alignet.errors import AlignetError
import cv2
import numpy as np
from PIL import Image
import pytest


def _picture(h=24, w=40):
  y, x = np.mgrid[:h, :w]
  return np.stack([y * 8, x * 6, (x + y) * 3], axis=-1).astype(np.uint8)


def _encode(image, extension):
  ok, data = cv2.imencode(extension, image)
  assert ok
  return data.tobytes()


def test_png_is_exact_and_rgb():
  image = _picture()
  encoded = _encode(image[..., ::-1], ".png")
  np.testing.assert_array_equal(decode.decode(encoded, "a"), image)


def test_jpeg_is_close():
  image = _picture()
  found = decode.decode(_encode(image[..., ::-1], ".jpg"), "a")
  assert np.abs(found.astype(int) - image).mean() < 4


def test_cmyk_becomes_rgb():
  picture = Image.fromarray(np.full((24, 40, 3), (200, 40, 90), np.uint8))
  data = io.BytesIO()
  picture.convert("CMYK").save(data, "JPEG", quality=95)
  found = decode.decode(data.getvalue(), "a").astype(int)
  assert found.shape == (24, 40, 3)
  assert np.abs(found - (200, 40, 90)).max() <= 3


def test_grey_and_transparent_become_rgb():
  grey = _picture()[..., 0]
  found = decode.decode(_encode(grey, ".png"), "a")
  np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, axis=2))
  image = _picture()
  alpha = np.concatenate([image[..., ::-1], image[..., :1]], axis=2)
  np.testing.assert_array_equal(
      decode.decode(_encode(alpha, ".png"), "a"), image
  )


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_truncated(extension, share):
  encoded = _encode(_picture(), extension)
  with pytest.raises(AlignetError, match="image dog.jpg .*decoded"):
    decode.decode(encoded[: int(share * len(encoded))], "dog.jpg")


@pytest.mark.parametrize(
    "encoded, message",
    [(b"", "image cat is empty"), (b"no image", "image cat .*damaged or no")],
)
def test_no_image(encoded, message):
  with pytest.raises(AlignetError, match=message):
    decode.decode(encoded, "cat")


def test_bytes_behind_a_jpeg_do_no_harm():
  encoded = _encode(_picture(), ".jpg")
  np.testing.assert_array_equal(
      decode.decode(encoded + bytes(16), "a"), decode.decode(encoded, "a")
  )


def test_resize():
  image = _picture()
  assert decode.resize(image, 8).shape == (8, 8, 3)
  square = _picture(16, 16)
  assert decode.resize(square, 16) is square
  np.testing.assert_array_equal(
      decode.resize(square, 32), cv2.resize(square, (32, 32), None, 0, 0, 2)
  )
