from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.training.input import augment
from alignet.training.input import batches
import numpy as np


def _images(n=200, side=9):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (n, side, side, 3), np.uint8)


def _crops(image, shift):
  """Every crop that a shift allows, by np.pad and slices."""
  h, w = image.shape[:2]
  padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)), "reflect")
  for dy in range(2 * shift + 1):
    for dx in range(2 * shift + 1):
      yield dy, dx, padded[dy : dy + h, dx : dx + w]


def test_each_image_is_a_mirrored_or_plain_crop_of_the_padded_one():
  images = _images()
  shift = 2
  out = augment.augment(images, seed=0, batch=0, shift=shift)
  assert out.dtype == np.uint8 and out.shape == images.shape
  seen = set()
  for image, found in zip(images, out):
    matches = [
        (dy, dx, mirrored)
        for mirrored, source in ((False, image), (True, image[:, ::-1]))
        for dy, dx, crop in _crops(source, shift)
        if (crop == found).all()
    ]
    assert matches
    seen.add(matches[0])
  # 2 x 5 x 5 outcomes, 200 draws: all but a few must have come up.
  assert len(seen) > 40
  assert {dy for dy, _, _ in seen} == set(range(5))
  assert {dx for _, dx, _ in seen} == set(range(5))


def test_depends_on_seed_and_batch_only():
  images = _images(8)
  first = augment.augment(images, seed=1, batch=5)
  np.testing.assert_array_equal(first, augment.augment(images, seed=1, batch=5))
  assert (first != augment.augment(images, seed=2, batch=5)).any()
  assert (first != augment.augment(images, seed=1, batch=6)).any()


def test_no_shift_leaves_or_mirrors():
  images = _images(50)
  out = augment.augment(images, seed=0, batch=0, shift=0)
  plain = (out == images).all(axis=(1, 2, 3))
  mirrored = (out == images[:, :, ::-1]).all(axis=(1, 2, 3))
  assert (plain ^ mirrored).all() and 10 < plain.sum() < 40


def test_batches_are_augmented_on_request(tmp_path):
  images = _images(12)
  images_lib.write(
      tmp_path / "store",
      images_lib.ImageStore(
          images=images,
          filenames=np.array([str(i) for i in range(12)]),
          labels={"basic": labels_lib.from_strings(list("abcdef" * 2))},
          meta={},
      ),
  )
  fields = dict(
      path=str(tmp_path / "store"), level="basic", batch_size=4, num_batches=9
  )
  plain = batches.LabelledBatches(**fields, seed=3)
  moved = batches.LabelledBatches(**fields, seed=3, augment=True)
  for k in (0, 7):
    np.testing.assert_array_equal(plain[k]["images"], images[plain.rows(k)])
    np.testing.assert_array_equal(
        moved[k]["images"],
        augment.augment(plain[k]["images"], seed=3, batch=k),
    )
    np.testing.assert_array_equal(moved[k]["label"], plain[k]["label"])
