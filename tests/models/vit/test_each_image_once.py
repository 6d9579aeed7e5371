"""A batch of distinct images and the triplets' rows of them."""

from alignet.data import images as images_lib
from alignet.training import losses
from alignet.training.input import batches
from alignet.triplets import npz
import jax
import numpy as np
import pytest


@pytest.fixture
def make_batch(tmp_path):
  """A batch of triplets over few images, plain or each image once."""
  rng = np.random.default_rng(0)
  store = images_lib.ImageStore(
      images=rng.integers(0, 256, (9, 8, 12, 3), np.uint8),
      filenames=np.array([f"{i}" for i in range(9)]),
      labels={},
      meta={},
  )
  indices = np.stack([rng.permutation(9)[:3] for _ in range(12)])
  s = rng.normal(size=(12, 3)).astype(np.float32)
  npz.write(tmp_path / "t.npz", store.filenames, indices, s)

  def make(unique_images):
    return batches.TripletBatches(
        path=str(tmp_path / "t.npz"),
        images=store,
        batch_size=12,
        unique_images=unique_images,
    )[0]

  return make


def _value_and_grad(model, params, batch):
  loss = losses.JSD(tau=1.0)
  batch = jax.device_put(batch)

  def value(params):
    predictions = model.apply({"params": params}, batch["images"])
    return loss.get_values(
        predictions.triplet_logits, batch["similarities"]
    ).mean()

  return jax.jit(jax.value_and_grad(value))(params)


def test_value_and_gradient_are_those_of_the_plain_batch(
    make_model, make_batch
):
  model, params = make_model("gap")
  wanted = _value_and_grad(model, params, make_batch(0))
  batch = make_batch(14)
  assert batch["images"]["images"].shape[0] == 14 < 3 * 12
  found = _value_and_grad(model, params, batch)
  assert wanted[0] > 1e-3
  assert max(np.abs(x).max() for x in jax.tree.leaves(wanted[1])) > 1e-3
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-5),
      found,
      wanted,
  )
