"""Losses against a float64 reference with its gradients written out."""

from alignet.training import losses
import flax.struct
import jax
import jax.numpy as jnp
from kauldron import kd
import numpy as np
import pytest

_LOSSES = {
    "contrastive": losses.Contrastive,
    "kl": losses.KL,
    "jsd": losses.JSD,
}
_PAIRS = ((0, 1), (0, 2), (1, 2))


def _log_softmax(s):
  m = s.max(axis=-1, keepdims=True)
  return s - m - np.log(np.exp(s - m).sum(axis=-1, keepdims=True))


def _reference(name, z, s, tau, target_tau):
  """Values (n,) and the gradient of their sum by z (n, 3, d), in float64."""
  z, s = z.astype(np.float64), s.astype(np.float64)
  logits = np.stack([(z[:, a] * z[:, b]).sum(-1) for a, b in _PAIRS], -1) / tau
  log_q, log_p = _log_softmax(logits), _log_softmax(s / target_tau)
  q, p = np.exp(log_q), np.exp(log_p)
  if name == "contrastive":
    value = -log_q[:, 0]
    d_logits = q - np.array([1.0, 0.0, 0.0])
  elif name == "kl":
    value = (p * (log_p - log_q)).sum(-1)
    d_logits = q - p
  else:
    log_m = np.log((p + q) / 2)
    value = ((p * (log_p - log_m)).sum(-1) + (q * (log_q - log_m)).sum(-1)) / 2
    d_q = (log_q - log_m) / 2
    d_logits = q * (d_q - (q * d_q).sum(-1, keepdims=True))
  d_z = np.zeros_like(z)
  for pair, (a, b) in enumerate(_PAIRS):
    d_z[:, a] += d_logits[:, pair, None] * z[:, b] / tau
    d_z[:, b] += d_logits[:, pair, None] * z[:, a] / tau
  return value, d_z


def _ours(loss, z, s):
  def total(z):
    values = loss.get_values(embeddings=z, similarities=s)
    return values.sum(), values

  step = jax.jit(jax.value_and_grad(total, has_aux=True))
  (_, values), gradient = step(z)
  return values, gradient


def _error(found, wanted):
  found = np.asarray(found, np.float64)
  return np.abs(found - wanted).max() / np.abs(wanted).max()


def _case(seed=0, n=64, d=7, scale=2.0):
  rng = np.random.default_rng(seed)
  z = rng.normal(0, scale, (n, 3, d))
  s = -np.sort(-rng.normal(0, 2, (n, 3)), axis=1)
  return z, s


@pytest.mark.parametrize("tau, target_tau", [(1.0, 1.0), (100.0, 0.5)])
@pytest.mark.parametrize("name", _LOSSES)
def test_values_and_gradients(name, tau, target_tau):
  z, s = _case()
  loss = _LOSSES[name](tau=tau, target_tau=target_tau)
  value, gradient = _reference(name, z, s, tau, target_tau)
  with jax.enable_x64(True):
    found = _ours(loss, jnp.asarray(z), jnp.asarray(s))
    assert found[0].dtype == np.float64
    assert _error(found[0], value) < 1e-12
    assert _error(found[1], gradient) < 1e-12
  z, s = z.astype(np.float32), s.astype(np.float32)
  value, gradient = _reference(name, z, s, tau, target_tau)
  found = _ours(loss, jnp.asarray(z), jnp.asarray(s))
  assert found[0].dtype == np.float32
  assert _error(found[0], value) < 1e-5
  assert _error(found[1], gradient) < 1e-5


def test_the_reference_gradient_is_that_of_the_reference_value():
  z, s = _case(n=3, d=2, scale=1.0)
  step = 1e-6
  for name in _LOSSES:
    _, gradient = _reference(name, z, s, 1.0, 1.0)
    for index in np.ndindex(z.shape):
      up, down = z.copy(), z.copy()
      up[index] += step
      down[index] -= step
      difference = (
          _reference(name, up, s, 1.0, 1.0)[0].sum()
          - _reference(name, down, s, 1.0, 1.0)[0].sum()
      ) / (2 * step)
      assert difference == pytest.approx(gradient[index], abs=1e-7)


def _embeddings_of(logits):
  """Unit third axis trick: z with exactly these dot products."""
  a, b, c = logits
  # z0 = e0, z1 = a e0 + e1, z2 = b e0 + (c - a b) e1.
  return [[1, 0], [a, 1], [b, c - a * b]]


_CORNERS = {
    "first": (1e4, 0.0, 0.0),
    "last": (0.0, 0.0, 1e4),
    "all far apart": (1e4, 0.0, -1e4),
    "all low": (-1e4, -1e4, 0.0),
    "equal": (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("name", _LOSSES)
def test_finite_in_every_corner(name):
  # Both distributions put exactly 0 on some pair, on the same one or not.
  z = np.array(
      [_embeddings_of(x) for x in _CORNERS.values() for _ in _CORNERS],
      np.float32,
  )
  s = np.array([y for _ in _CORNERS for y in _CORNERS.values()], np.float32)
  value, gradient = _ours(
      _LOSSES[name](tau=1.0), jnp.asarray(z), jnp.asarray(s)
  )
  assert np.isfinite(value).all() and np.isfinite(gradient).all()
  assert (np.asarray(value) >= -1e-6).all()
  if name == "jsd":
    assert (np.asarray(value) <= np.log(2) + 1e-6).all()
  # Not by clipping: a confident mistake costs what it should, and is corrected.
  row = list(_CORNERS).index("last") * len(_CORNERS)
  if name != "jsd":
    assert value[row] == pytest.approx(1e4)
    assert np.abs(gradient[row]).max() > 0.9
  else:
    assert value[row] == pytest.approx(np.log(2))


@pytest.mark.parametrize("name", _LOSSES)
@pytest.mark.parametrize("fill", [0.0, 1.0, 50.0])
def test_zero_and_equal_vectors(name, fill):
  z = jnp.full((2, 3, 4), fill)
  s = jnp.array([[0.0, 0.0, 0.0], [3.0, 1.0, -2.0]])
  value, gradient = _ours(_LOSSES[name](tau=1.0), z, s)
  wanted, d_z = _reference(name, np.asarray(z), np.asarray(s), 1.0, 1.0)
  np.testing.assert_allclose(value, wanted, atol=1e-6)
  np.testing.assert_allclose(gradient, d_z, atol=2e-5)
  if name != "contrastive":
    assert value[0] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", _LOSSES)
def test_no_loss_and_no_gradient_at_the_target(name):
  if name == "contrastive":
    return
  z, _ = _case(scale=0.5)
  z = jnp.asarray(z, jnp.float32)
  s = jnp.stack([(z[:, a] * z[:, b]).sum(-1) for a, b in _PAIRS], -1)
  value, gradient = _ours(_LOSSES[name](tau=1.0), z, s)
  np.testing.assert_allclose(value, 0, atol=1e-6)
  np.testing.assert_allclose(gradient, 0, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", _LOSSES)
def test_half_precision_is_summed_in_float32(name, dtype, needs_jax_dtype):
  needs_jax_dtype(dtype)
  # 4096 products of about 1: float16 sums would be off by whole units, and
  # those of 400 x 400 beyond its range.
  rng = np.random.default_rng(1)
  for scale in (1.0, 400.0):
    z = jnp.asarray(scale * rng.normal(1, 0.1, (8, 3, 4096)), dtype)
    s = jnp.asarray(-np.sort(-rng.normal(0, 1, (8, 3)), axis=1), jnp.float32)
    tau = 4096.0 * scale**2 / 4
    value, gradient = _ours(_LOSSES[name](tau=tau), z, s)
    assert value.dtype == np.float32 and gradient.dtype == dtype
    wanted, d_z = _reference(
        name, np.asarray(z, np.float64), np.asarray(s), tau, 1.0
    )
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
    assert np.isfinite(np.asarray(gradient, np.float32)).all()
    # The gradient itself is rounded to the embeddings' dtype.
    np.testing.assert_allclose(
        np.asarray(gradient, np.float64),
        d_z,
        rtol=2 * float(jnp.finfo(dtype).eps),
        atol=1e-6,
    )


@pytest.mark.parametrize("case", ["1e4", "zero", "equal", "one is zero"])
@pytest.mark.parametrize("name", _LOSSES)
def test_finite_in_bfloat16(name, case):
  z = np.random.default_rng(0).normal(size=(16, 3, 8))
  if case == "1e4":
    z *= 100 / np.linalg.norm(z, axis=-1, keepdims=True)  # z . z = 1e4
    z[:4] = z[:4, :1] * [[1], [1], [-1]]  # Similarities 1e4, -1e4, -1e4.
    z[4:8] = z[4:8, :1] * [[1], [-1], [-1]]  # The teacher's least likely pair.
  elif case == "one is zero":
    z[:, 1] = 0
  else:
    z[:] = 0 if case == "zero" else 3
  s = np.tile([[1e4, 0, -1e4], [0, 0, 0], [1, 0.5, -2], [1e4, 1e4, 0]], (4, 1))
  for dtype in (jnp.bfloat16, jnp.float32):
    value, gradient = _ours(
        _LOSSES[name](tau=1.0), jnp.asarray(z, dtype), jnp.asarray(s, dtype)
    )
    assert value.dtype == np.float32 and gradient.dtype == dtype
    assert np.isfinite(value).all() and (np.asarray(value) >= -1e-6).all()
    assert np.isfinite(np.asarray(gradient, np.float32)).all()
    if name == "jsd":
      assert (np.asarray(value) <= np.log(2) + 1e-6).all()
    elif case == "1e4":
      assert np.asarray(value).max() > 9e3


@pytest.mark.parametrize("name", _LOSSES)
def test_leading_axes(name):
  z, s = _case(n=6)
  loss = _LOSSES[name](tau=2.0)
  flat = loss.get_values(jnp.asarray(z), jnp.asarray(s))
  nested = loss.get_values(
      jnp.asarray(z).reshape(2, 3, 3, -1), jnp.asarray(s).reshape(2, 3, 3)
  )
  np.testing.assert_allclose(nested.ravel(), flat, rtol=1e-6)


@flax.struct.dataclass
class _Predictions:
  triplet_logits: jax.Array


@pytest.mark.parametrize("name", _LOSSES)
def test_keys_resolve_in_a_context(name):
  z, s = _case(n=5)
  context = kd.train.Context(
      step=0,
      batch={"similarities": jnp.asarray(s)},
      preds=_Predictions(triplet_logits=jnp.asarray(z)),
  )
  loss = _LOSSES[name](tau=3.0)
  wanted, _ = _reference(name, z, s, 3.0, 1.0)

  state = loss.get_state_from_context(context)
  assert float(state.compute()) == pytest.approx(wanted.mean(), rel=1e-5)
