import io
import struct
import tracemalloc
import zlib

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


def test_grey_becomes_rgb():
  grey = _picture()[..., 0]
  found = decode.decode(_encode(grey, ".png"), "a")
  np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, axis=2))


def _saved(picture, form, **options):
  data = io.BytesIO()
  picture.save(data, form, **options)
  return data.getvalue()


_FORMS = (
    ("PNG", {}),
    ("WEBP", {"lossless": True, "exact": True}),
    ("TIFF", {}),
)


@pytest.mark.parametrize("form, options", _FORMS)
def test_an_opaque_channel_changes_nothing(form, options):
  image = _picture()
  alpha = np.full((24, 40, 1), 255, np.uint8)
  opaque = Image.fromarray(np.concatenate([image, alpha], axis=2))
  with_alpha, without = (
      decode.decode(_saved(x, form, **options), "a")
      for x in (opaque, Image.fromarray(image))
  )
  np.testing.assert_array_equal(with_alpha, without)


def test_an_opaque_channel_of_16_bits_changes_nothing():
  image = np.random.default_rng(0).integers(0, 65536, (9, 8, 3), np.uint16)
  alpha = np.full((9, 8, 1), 65535, np.uint16)
  for extension in (".png", ".tiff"):
    with_alpha, without = (
        decode.decode(_encode(x, extension), "a")
        for x in (np.concatenate([image, alpha], axis=2), image)
    )
    np.testing.assert_array_equal(with_alpha, without)


@pytest.mark.parametrize("form, options", _FORMS)
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(form, options, mode):
  rng = np.random.default_rng(0)
  rgba = rng.integers(0, 256, (24, 40, 4), np.uint8)
  rgba[:4, :, 3], rgba[4:8, :, 3] = 0, 255
  picture = Image.fromarray(rgba).convert(mode)
  if form == "TIFF" and mode == "LA":  # OpenCV would leave it out.
    with pytest.raises(AlignetError, match="grey with transparency.*PNG"):
      decode.decode(_saved(picture, form), "a")
    return
  if form == "WEBP":
    picture = picture.convert("RGBA")
  found = decode.decode(_saved(picture, form, **options), "a")
  colours = np.asarray(picture.convert("RGBA"), np.float64)
  share = colours[..., 3:] / 255
  wanted = colours[..., :3] * share + 255 * (1 - share)
  np.testing.assert_allclose(found, wanted, atol=0.51 + (form == "TIFF"))
  assert (found[:4] == 255).all()


def test_a_line_drawing_on_transparent_ground_is_no_black_square():
  drawing = np.zeros((24, 40, 4), np.uint8)
  drawing[10:12, :, 3] = 255
  found = decode.decode(_saved(Image.fromarray(drawing), "PNG"), "a")
  assert (found[10:12] == 0).all() and (found[:10] == 255).all()


def test_transparent_colours_of_png():
  picture = Image.fromarray(_picture())
  for other in (picture, picture.convert("L"), picture.convert("P")):
    transparent = other.getpixel((5, 5))
    encoded = _saved(other, "PNG", transparency=transparent)
    wanted = Image.new("RGBA", other.size, "white")
    wanted.alpha_composite(Image.open(io.BytesIO(encoded)).convert("RGBA"))
    found = decode.decode(encoded, "a")
    np.testing.assert_array_equal(found, np.asarray(wanted.convert("RGB")))
    assert (found[5, 5] == 255).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"restart_marker_blocks": 3},
    ],
)
def test_jpeg_without_end_or_with_more_behind_it(options):
  """A picture is all there, or refused: wherever it is cut."""
  rng = np.random.default_rng(1)
  noise = rng.integers(0, 255, (12, 20, 3), np.uint8)
  picture = Image.fromarray(cv2.resize(noise, (70, 67)))
  encoded = _saved(picture, "JPEG", quality=85, **options)
  whole = decode.decode(encoded, "a")
  behind = b"\0\0\0\x18ftypmp42" + rng.bytes(999) + b"\xff\xda" + rng.bytes(9)
  for good in (encoded + behind, encoded[:-1], encoded[:-2]):
    np.testing.assert_array_equal(decode.decode(good, "a"), whole)
  refused = 0
  for cut in range(3, 400, 7):
    try:
      found = decode.decode(encoded[:-cut], "a")
    except AlignetError:
      refused += 1
    else:
      np.testing.assert_array_equal(found, whole)
  assert refused > 50


def test_floats_and_too_many_pixels():
  floats = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
  with pytest.raises(AlignetError, match="numbers are floats; save it with 8"):
    decode.decode(_encode(floats, ".tiff"), "a")

  def chunk(name, data):
    crc = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

  size = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
  giant = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)
  giant += chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
  with pytest.raises(AlignetError, match="more pixels than"):
    decode.decode(giant, "a")


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


@pytest.mark.parametrize("at", [*range(8, 12), *range(16, 24), 33, 37])
def test_a_png_whose_head_claims_more_than_it_has(at):
  _, content = cv2.imencode(".png", np.zeros((40, 30, 3), np.uint8))
  content = bytearray(content.tobytes())
  content[at] |= 0x80
  tracemalloc.start()
  with pytest.raises(AlignetError, match="x.png .* cannot be decoded: it"):
    decode.decode(bytes(content), "x.png")
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 2**24


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_whose_head_claims_more_than_it_has(progressive):
  empty = np.zeros((3000, 4000), np.uint8)
  options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
  _, content = cv2.imencode(".jpg", empty, options)
  content = content.tobytes()
  assert decode.decode(content, "x.jpg").shape == (3000, 4000, 3)
  size = struct.pack(">HH", 3000, 4000)
  content = content.replace(size, struct.pack(">HH", 30000, 30000))
  with pytest.raises(AlignetError, match="more pixels than its bytes"):
    decode.decode(content, "x.jpg")


def test_a_png_of_nothing_but_its_end():
  with pytest.raises(AlignetError, match="cannot be decoded"):
    decode.decode(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0IEND\xaeB`\x82", "x")
