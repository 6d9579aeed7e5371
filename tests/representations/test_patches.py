"""The network that needs no training, against its formula patch by patch."""

from alignet.data import shapes
from alignet.representations import patches
import numpy as np


def _images(n=40):
  world = shapes.make_world(0)
  concepts = np.random.default_rng(0).integers(0, len(world.names), n)
  return shapes.render(world, concepts, seed=0, size=16)


def test_features_do_not_depend_on_the_batch_and_follow_the_seed():
  images = _images(300)
  encode = patches.encoder(images, filters=12)
  features = encode(images)
  assert features.shape == (300, 12) and features.dtype == np.float32
  assert (features >= 0).all() and (features.std(axis=0) > 0).all()
  np.testing.assert_allclose(
      encode(images[250:270]), features[250:270], rtol=1e-4, atol=1e-6
  )
  again = patches.encoder(images, filters=12)(images)
  other = patches.encoder(images, filters=12, seed=1)(images)
  np.testing.assert_array_equal(features, again)
  assert np.abs(features - other).max() > 0.01


def test_one_patch_an_image_is_the_cosine_of_whitened_patches():
  images = _images()[:, 4:9, 4:9]
  x = images.reshape(len(images), -1).astype(np.float64) / 255
  centred = x - x.mean(axis=0)
  # Whitening by ZCA and by PCA differ by a rotation: cosines are the same.
  v, a = np.linalg.eigh(np.cov(centred.T) + 0.05 * np.eye(75))
  white = centred @ (a / np.sqrt(v)) @ a.T
  white /= np.linalg.norm(white, axis=1, keepdims=True)
  expected = np.maximum(white @ white.T - 0.3, 0)
  found = patches.encoder(images, filters=len(images), size=5)(images)
  # The filters are all patches, in an order of their own.
  np.testing.assert_allclose(
      np.sort(found, axis=1), np.sort(expected, axis=1), atol=1e-4
  )


def test_an_image_is_most_like_itself():
  images = _images(20)
  features = patches.encoder(images)(images)
  cosine = features / np.linalg.norm(features, axis=1, keepdims=True)
  np.testing.assert_array_equal(
      (cosine @ cosine.T).argmax(axis=1), np.arange(20)
  )
