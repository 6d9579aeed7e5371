"""Every option of the ViT against a forward pass written out, and gradients."""

import dataclasses

from alignet import models
from alignet.errors import AlignetError
from alignet.models.vit import blocks
from alignet.models.vit import positions
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models import numpy_vit

_FIELDS = dict(patch_size=4, width=12, depth=2, num_heads=3, mlp_dim=20)
_OPTIONS = (
    dict(pool="map"),
    dict(pool="map", final_norm="after_pool"),
    dict(pool="gap", activation="gelu"),  # CapPa's shape, another GELU.
    dict(pool="gap", final_norm="after_pool", norm_epsilon=1e-3),
    dict(pool="tok"),
    dict(pool="tok", class_position=True, activation="gelu"),
    dict(
        pool="tok",
        class_position=True,
        patch_bias=False,
        pre_norm=True,
        activation="quick_gelu",
        norm_epsilon=1e-5,
    ),
    dict(pool="tok", class_position=True, activation="gelu", layer_scale=0.1),
    dict(pool="tok", final_norm="after_pool"),
)


def _images(n=2):
  return np.random.default_rng(1).integers(0, 256, (n, 8, 12, 3), np.uint8)


def _make(draw_params, **fields):
  model = models.VisionModel(backbone=models.ViT(**{**_FIELDS, **fields}))
  return model, draw_params(model, jnp.zeros((1, 8, 12, 3), jnp.uint8))


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
def test_forward_pass_and_activations(draw_params, options):
  model, params = _make(draw_params, **options)
  images = _images()
  out, state = jax.jit(
      lambda p, x: model.apply({"params": p}, x, mutable=["intermediates"])
  )(params, images)
  found = state["intermediates"]["backbone"]
  assert set(found) == {"layer_0", "layer_1", "attention_0", "attention_1"}
  for i, image in enumerate(images):
    wanted, layers = numpy_vit.forward(image / 255.0, params, model.backbone)
    pairs = [(out.pre_logits[i], wanted)]
    for k, (residual, attention) in enumerate(layers):
      pairs.append((found[f"layer_{k}"][i], residual))
      pairs.append((found[f"attention_{k}"][i], attention))
    for a, b in pairs:
      assert a.shape == b.shape and np.abs(b).max() > 0.1
      assert np.abs(a - b).max() / np.abs(b).max() < 1e-5


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
def test_gradients_are_finite_differences(draw_params, options):
  model, params = _make(draw_params, **options)
  images = _images(1)
  weight = np.random.default_rng(2).normal(size=12)

  @jax.jit
  def loss(p):
    out = model.apply({"params": p}, images).pre_logits
    return (out * weight).sum()

  gradient = jax.jit(jax.grad(loss))(params)
  # One random direction for each parameter, in float64 by the written-out
  # forward pass, so that the quotient is exact enough.
  value = lambda p: (
      numpy_vit.forward(images[0] / 255.0, p, model.backbone)[0] @ weight
  )
  leaves, tree = jax.tree.flatten(params)
  leaves = [np.asarray(x, np.float64) for x in leaves]
  rng, h = np.random.default_rng(3), 1e-5
  for i, slope in enumerate(jax.tree.leaves(gradient)):
    direction = rng.normal(size=leaves[i].shape)
    moved = [
        value(
            jax.tree.unflatten(
                tree,
                [
                    x + s * direction if j == i else x
                    for j, x in enumerate(leaves)
                ],
            )
        )
        for s in (h, -h)
    ]
    quotient = (moved[0] - moved[1]) / (2 * h)
    found = (np.asarray(slope, np.float64) * direction).sum()
    size = np.linalg.norm(slope) * np.linalg.norm(direction)
    assert abs(found - quotient) < 1e-4 * size + 1e-5, tree


def _moved(move, params):
  """`blocks.stack` or `unstack` of a tree."""
  flat = flax.traverse_util.flatten_dict(params, sep="/")
  return flax.traverse_util.unflatten_dict(move(flat), sep="/")


@pytest.mark.parametrize(
    "options", [dict(scan=True), dict(remat=True), dict(scan=True, remat=True)]
)
def test_scan_and_remat_change_nothing(draw_params, options):
  model, params = _make(draw_params, layer_scale=0.5)
  vit, own = model.backbone, params["backbone"]
  x = _images() / np.float32(255)
  other, other_params = vit.clone(**options), own
  if options.get("scan"):
    other_params = _moved(blocks.stack, own)
  wanted = jax.eval_shape(other.init, jax.random.key(0), x)["params"]
  assert jax.tree.map(jnp.shape, other_params) == (
      jax.tree.map(jnp.shape, wanted)
  )
  again = _moved(blocks.unstack, other_params)
  assert jax.tree.all(jax.tree.map(np.array_equal, again, own))

  def run(module, p):
    def loss(p):
      out, state = module.apply({"params": p}, x, mutable=["intermediates"])
      return (out**2).sum(), (out, state["intermediates"])

    return jax.jit(jax.grad(loss, has_aux=True))(p)

  slopes, outputs = run(vit, own)
  found_slopes, found = run(other, other_params)
  found_slopes = _moved(blocks.unstack, found_slopes)
  np.testing.assert_allclose(found[0], outputs[0], rtol=1e-5, atol=1e-5)
  for tree, expected in ((found[1], outputs[1]), (found_slopes, slopes)):
    assert jax.tree.structure(tree) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(expected)):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        dict(pool="map"),
        dict(pool="gap"),
        dict(pool="tok", class_position=True),
        dict(pool="map", scan=True),
    ],
    ids=str,
)
def test_bfloat16_is_near_float32(draw_params, options):
  model, params = _make(draw_params, **options)
  half = model.clone(backbone=model.backbone.clone(dtype=jnp.bfloat16))
  a, b = (
      np.asarray(m.apply({"params": params}, _images()).pre_logits, np.float32)
      for m in (model, half)
  )
  error = np.abs(a - b).max() / np.abs(a).max()
  assert 1e-5 < error < 0.1
  assert half.apply({"params": params}, _images()).pre_logits.dtype == (
      jnp.bfloat16
  )


def test_dropout_obeys_the_training_mode(draw_params):
  plain, params = _make(draw_params)
  model = plain.clone(backbone=plain.backbone.clone(dropout=0.5))
  images = _images()
  wanted = plain.apply({"params": params}, images).pre_logits

  def run(training, seed):
    return model.apply(
        {"params": params},
        images,
        is_training_property=training,
        rngs={"dropout": jax.random.key(seed)},
    ).pre_logits

  np.testing.assert_array_equal(run(False, 0), wanted)
  assert np.abs(run(True, 0) - wanted).max() > 0.1
  assert np.abs(run(True, 0) - run(True, 1)).max() > 0.1


def test_other_grids_and_pixels_that_fill_no_patch(draw_params):
  model, params = _make(draw_params, grid=(2, 3))
  apply = lambda m, p, x: m.apply({"params": p}, x).pre_logits
  images = np.random.default_rng(4).integers(0, 256, (1, 17, 27, 3), np.uint8)
  values = positions.resample(
      params["backbone"]["pos_embedding"], (2, 3), (4, 6)
  )
  resampled = {
      "backbone": {**params["backbone"], "pos_embedding": np.asarray(values)}
  }
  wanted, _ = numpy_vit.forward(
      images[0, :16, :24] / 255.0, resampled, model.backbone
  )
  found = apply(model, params, images)[0]
  assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-5
  with pytest.raises(AlignetError, match="3 x 8 pixels"):
    apply(model, params, images[:, :3, :8])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"activation": "relu"}, "gelu_tanh, gelu, quick_gelu; found 'relu'"),
        ({"final_norm": "no"}, "before_pool, after_pool, found 'no'"),
        ({"grid": (3, 3), "resampling": "area"}, "bicubic, bilinear"),
    ],
)
def test_what_cannot_be_built(draw_params, change, message):
  with pytest.raises(AlignetError, match=message):
    _make(draw_params, **change)


def test_fields_reach_the_file_and_back(tmp_path, draw_params):
  model, params = _make(
      draw_params, pool="tok", class_position=True, grid=(2, 3)
  )
  model = dataclasses.replace(model, pixel_range="clip", image_size=9)
  models.save(tmp_path / "w.safetensors", model, params)
  assert models.load(tmp_path / "w.safetensors")[0] == model
