"""A tiny vision model of each pooling, with parameters all drawn at random."""

from alignet import models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

POOLS = ("map", "gap", "tok")


def draw(model, images, seed=0):
  """Random parameters: zero biases and class tokens would hide an omission."""
  shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
  leaves, tree = jax.tree.flatten(shapes)
  rng = np.random.default_rng(seed)
  return jax.tree.unflatten(
      tree, [rng.normal(0, 0.5, x.shape).astype(np.float32) for x in leaves]
  )


def make(pool, *, seed=0, **fields):
  model = models.VisionModel(
      backbone=models.ViT(
          patch_size=4, width=12, depth=2, num_heads=3, mlp_dim=20, pool=pool
      ),
      **{"triplet_dim": 5, "num_classes": 4, **fields},
  )
  return model, draw(model, jnp.zeros((1, 8, 12, 3), jnp.uint8), seed)


@pytest.fixture(scope="session")
def make_model():
  return make


@pytest.fixture(params=POOLS)
def tiny(request):
  return make(request.param)


@pytest.fixture(scope="session")
def draw_params():
  return draw
