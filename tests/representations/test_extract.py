from alignet import models
from alignet.errors import AlignetError
from alignet.models.encoders import encoders
from alignet.representations import extract
from alignet.representations import store
import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(scope="module")
def model():
  model = models.VisionModel(
      backbone=models.ViT(patch_size=4, width=8, depth=1, num_heads=2),
      triplet_dim=5,
  )
  params = jax.jit(model.init)(
      jax.random.key(0), jnp.zeros((1, 8, 8, 3), jnp.uint8)
  )["params"]
  return model, params


@pytest.fixture(scope="module")
def images():
  return np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 256])
def test_any_batch_size_gives_the_same_rows(model, images, batch_size):
  wanted = jax.jit(model[0].apply)({"params": model[1]}, images)
  for tap in ("pre_logits", "triplet_logits"):
    found = extract.extract(*model, images, tap=tap, batch_size=batch_size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, getattr(wanted, tap), rtol=1e-4, atol=1e-5
    )


def test_the_model_is_compiled_once(model, images):
  before = encoders._forward._cache_size()
  for _ in range(2):  # Eleven images, batches of five: the last one is padded.
    extract.extract(model[0].clone(), model[1], images, batch_size=5)
  assert encoders._forward._cache_size() == before + 1


def test_a_memory_map_will_do(model, images, tmp_path):
  np.save(tmp_path / "i.npy", images)
  mapped = np.load(tmp_path / "i.npy", mmap_mode="r")
  np.testing.assert_array_equal(
      extract.extract(*model, mapped), extract.extract(*model, images)
  )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tap": "class_logits"}, "no class_logits"),
        ({"tap": "layer_3"}, "no layer_3"),
        ({"images": np.zeros((0, 8, 8, 3), np.uint8)}, "at least one"),
        ({"images": np.zeros((2, 8, 8, 3), np.float32)}, "unsigned"),
        ({"images": np.zeros((8, 8, 3), np.uint8)}, "shape"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_what_cannot_be_extracted(model, images, change, message):
  arguments = {"images": images, **change}
  with pytest.raises(AlignetError, match=message):
    extract.extract(*model, **arguments)


@pytest.mark.parametrize(
    "features, said",
    [
        (np.ones((4, 3)), ["all features are equal"]),
        (np.c_[np.arange(4), np.ones((4, 2))], ["2 of 3 columns are constant"]),
        (
            np.array([[1, 2], [3, 4], [1, 2], [1, 2]]),
            ["2 images have the features of one before them, first 2"],
        ),
        (np.arange(8).reshape(4, 2), []),
    ],
)
def test_what_looks_wrong_is_said(tmp_path, features, said):
  names = [str(i) for i in range(len(features))]
  store.write(tmp_path / "r", features.astype(np.float32), names, {}, {})
  found = extract.remarks(tmp_path / "r")
  assert len(found) == len(said)
  assert all(line.startswith(wanted) for line, wanted in zip(found, said))
