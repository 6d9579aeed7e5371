import jax
import numpy as np
import pytest


def _images(*shape):
  rng = np.random.default_rng(2)
  return rng.integers(0, 256, (*shape, 8, 12, 3), np.uint8)


def test_a_batch_of_triplets_equals_single_calls(tiny):
  model, params = tiny
  images = _images(2, 3)
  apply = jax.jit(model.apply)
  together = apply({"params": params}, images)
  assert together.pre_logits.shape == (2, 3, 12)
  assert together.triplet_logits.shape == (2, 3, 5)
  assert together.class_logits.shape == (2, 3, 4)
  for b in range(2):
    for i in range(3):
      alone = apply({"params": params}, images[b, i])
      jax.tree.map(
          lambda x, y: np.testing.assert_allclose(
              x[b, i],  # noqa: B023
              y,
              rtol=1e-4,
              atol=1e-5,
          ),
          together,
          alone,
      )


def test_heads_that_are_not_asked_for_are_none(make_model):
  model, params = make_model("gap", triplet_dim=0, num_classes=0)
  predictions = model.apply({"params": params}, _images(1))
  assert predictions.triplet_logits is None
  assert predictions.class_logits is None
  assert predictions.i1k_logits is None
  assert set(params) == {"backbone"}


def test_the_readout_leaves_the_features_alone(make_model):
  model, params = make_model("map", i1k_classes=7)
  assert model.outputs == [
      *("pre_logits", "triplet_logits", "class_logits", "i1k_logits")
  ]
  images = _images(2)

  def loss(params):
    return (model.apply({"params": params}, images).i1k_logits ** 2).sum()

  gradient = jax.jit(jax.grad(loss))(params)
  for name, tree in gradient.items():
    largest = max(float(np.abs(x).max()) for x in jax.tree.leaves(tree))
    assert (largest > 0.1) == (name == "i1k_head"), (name, largest)
    assert largest == 0 or name == "i1k_head"
  out = model.apply({"params": params}, images)
  assert out.i1k_logits.shape == (2, 7)
  x = np.asarray(out.pre_logits, np.float64)
  x = x - x.mean(-1, keepdims=True)
  x /= np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
  head = params["i1k_head"]
  x = x * head["norm"]["scale"] + head["norm"]["bias"]
  x = x @ head["dense"]["kernel"] + head["dense"]["bias"]
  np.testing.assert_allclose(out.i1k_logits, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_black_and_white_become_the_ends_of_the_range(make_model, low, high):
  seen = []

  class Backbone(make_model("gap")[0].backbone.__class__):

    def __call__(self, images):
      seen.append(images)
      return images.mean(axis=(1, 2))

  model, params = make_model("gap", pixel_range=(low, high))
  backbone = Backbone(patch_size=4, width=12, depth=1, num_heads=3)
  model = model.clone(backbone=backbone, triplet_dim=0, num_classes=0)
  images = np.stack(
      [np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)]
  )
  model.apply({"params": {}}, images)
  np.testing.assert_allclose(seen[-1][0], low, atol=1e-6)
  np.testing.assert_allclose(seen[-1][1], high, rtol=1e-6)
