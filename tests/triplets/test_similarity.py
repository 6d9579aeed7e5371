"""Against formulas written out in float64, and SciPy."""

from alignet.triplets import similarity
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats

_RNG = np.random.default_rng(0)
_Z = _RNG.standard_normal((5, 4, 3, 17))
_S = _RNG.standard_normal((50, 3)) * [[3.0]]
_T = _RNG.standard_normal((50, 3))

_BACKENDS = {
    "numpy64": (np.asarray, np.float64, 1e-12),
    "numpy32": (np.asarray, np.float32, 1e-5),
    "jax64": (jnp.asarray, np.float64, 1e-12),
    "jax32": (jnp.asarray, np.float32, 1e-5),
}


@pytest.fixture(params=_BACKENDS)
def backend(request):
  """A function that makes arrays, and the tolerance of its precision."""
  make, dtype, tolerance = _BACKENDS[request.param]
  with jax.enable_x64(request.param == "jax64"):
    yield lambda x: make(np.asarray(x, dtype)), tolerance


def _assert_close(found, expected, tolerance):
  """max|a - b| / max|b|."""
  found = np.asarray(found, np.float64)
  assert found.shape == np.shape(expected)
  assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def _pairs(z, cosine=False):
  if cosine:
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
  gram = np.einsum("...id,...jd->...ij", z, z)
  return np.stack([gram[..., 0, 1], gram[..., 0, 2], gram[..., 1, 2]], axis=-1)


@pytest.mark.parametrize("kind", ["dot", "cosine"])
def test_pair_similarities(backend, kind):
  make, tolerance = backend
  found = similarity.pair_similarities(make(_Z), kind)
  _assert_close(found, _pairs(_Z, kind == "cosine"), tolerance)


@pytest.mark.parametrize("kind", ["dot", "cosine"])
def test_matrix(backend, kind):
  make, tolerance = backend
  x, y = _Z[0, 0], _Z[1].reshape(-1, 17)
  if kind == "dot":
    expected, own = x @ y.T, x @ x.T
  else:
    cosine = lambda a, b: 1 - scipy.spatial.distance.cdist(a, b, "cosine")
    expected, own = cosine(x, y), cosine(x, x)
  _assert_close(similarity.matrix(make(x), make(y), kind), expected, tolerance)
  _assert_close(similarity.matrix(make(x), kind=kind), own, tolerance)


@pytest.mark.parametrize("kind", ["dot", "cosine"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_of_triplets(kind, dtype):
  features = _RNG.standard_normal((30, 8)).astype(dtype)
  rows = np.stack([_RNG.permutation(30)[:3] for _ in range(20)])
  found = similarity.of_triplets(features, rows, kind, rows=7)
  assert found.dtype == (np.float64 if dtype == np.float64 else np.float32)
  expected = _pairs(features.astype(np.float64)[rows], kind == "cosine")
  _assert_close(found, expected, 1e-12 if dtype == np.float64 else 1e-5)


def test_choice_probabilities(backend):
  make, tolerance = backend
  _assert_close(
      similarity.choice_probabilities(make(_S)),
      scipy.special.softmax(_S, axis=-1),
      tolerance,
  )
  _assert_close(
      similarity.log_choice_probabilities(make(_S)),
      scipy.special.log_softmax(_S, axis=-1),
      tolerance,
  )


def test_divergences(backend):
  make, tolerance = backend
  p, q = (scipy.special.softmax(x, axis=-1) for x in (_S, _T))
  log_p, log_q = make(np.log(p)), make(np.log(q))
  expected = {
      "entropy": scipy.stats.entropy(p, axis=-1),
      "cross_entropy": -(p * np.log(q)).sum(-1),
      "kl": scipy.stats.entropy(p, q, axis=-1),
      "js": scipy.spatial.distance.jensenshannon(p, q, axis=-1) ** 2,
  }
  found = {
      "entropy": similarity.entropy(log_p),
      "cross_entropy": similarity.cross_entropy(log_p, log_q),
      "kl": similarity.kl_divergence(log_p, log_q),
      "js": similarity.js_divergence(log_p, log_q),
  }
  for name, value in expected.items():
    _assert_close(found[name], value, tolerance)


def _gradients_in_float64():
  """Analytic gradients of the mean loss with respect to the logits s.

  p = softmax(t) is the target, q = softmax(s).
  """
  p, q = (scipy.special.softmax(x, axis=-1) for x in (_T, _S))
  m = (p + q) / 2
  # d/ds of a function with dL/dq = g: q * (g - sum q g).
  chain = lambda g: q * (g - (q * g).sum(-1, keepdims=True)) / len(_S)
  return {
      "cross_entropy": (q - p) / len(_S),
      "kl_divergence": (q - p) / len(_S),
      "js_divergence": chain(0.5 * np.log(q / m)),
      "entropy": chain(-np.log(q)),
  }


@pytest.mark.parametrize(
    "name", ["kl_divergence", "js_divergence", "cross_entropy", "matrix"]
)
def test_numpy_and_jax_together(name):
  function = getattr(similarity, name)
  a, b = (
      similarity.log_choice_probabilities(x.astype(np.float32))
      for x in (_S, _T)
  )
  wanted = function(a, b)
  for x, y in ((a, jnp.asarray(b)), (jnp.asarray(a), b)):
    found = function(x, y)
    assert isinstance(found, jax.Array)
    _assert_close(found, wanted, 1e-5)
    # As in a loss whose targets are a constant.
    gradient = jax.grad(lambda z: function(z, b).sum())(jnp.asarray(a))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("x64", "tolerance"), [(True, 1e-12), (False, 1e-5)])
@pytest.mark.parametrize("name", sorted(_gradients_in_float64()))
def test_gradients_of_losses(name, x64, tolerance):
  with jax.enable_x64(x64):
    dtype = np.float64 if x64 else np.float32
    log_p = similarity.log_choice_probabilities(jnp.asarray(_T, dtype))

    def loss(s):
      log_q = similarity.log_choice_probabilities(s)
      if name == "entropy":
        return similarity.entropy(log_q).mean()
      return getattr(similarity, name)(log_p, log_q).mean()

    found = jax.jit(jax.grad(loss))(jnp.asarray(_S, dtype))
  assert found.dtype == dtype
  _assert_close(found, _gradients_in_float64()[name], tolerance)


@pytest.mark.parametrize(("x64", "tolerance"), [(True, 1e-12), (False, 1e-5)])
@pytest.mark.parametrize("kind", ["dot", "cosine"])
def test_gradients_of_similarities(kind, x64, tolerance):
  weights = _RNG.standard_normal((5, 4, 3))
  # d/dz_a of sum_ab w_ab z_a.z_b, projected on the sphere for the cosine.
  norm = np.linalg.norm(_Z, axis=-1, keepdims=True)
  u = _Z / norm if kind == "cosine" else _Z
  w = np.zeros((5, 4, 3, 3))
  for column, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
    w[..., a, b] = w[..., b, a] = weights[..., column]
  expected = np.einsum("...ab,...bd->...ad", w, u)
  if kind == "cosine":
    expected -= u * (u * expected).sum(-1, keepdims=True)
    expected /= norm
  with jax.enable_x64(x64):
    dtype = np.float64 if x64 else np.float32
    loss = lambda z: (weights * similarity.pair_similarities(z, kind)).sum()
    found = jax.jit(jax.grad(loss))(jnp.asarray(_Z, dtype))
  _assert_close(found, expected, tolerance)


_CORNERS = np.array(
    [
        [1e4, 0, -1e4],
        [-1e4, -1e4, 1e4],
        [1e4, 1e4, 1e4],
        [0, 0, 0],
        [88.0, -88.0, 0],
        [1e4, 9999.0, -1e4],
    ]
)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_extreme_logits_have_finite_values_and_gradients(
    dtype, needs_jax_dtype
):
  needs_jax_dtype(dtype)
  s = jnp.asarray(_CORNERS, dtype)
  for t in (s, s[::-1], jnp.zeros_like(s)):
    log_p = similarity.log_choice_probabilities(t)
    for loss in (
        similarity.cross_entropy,
        similarity.kl_divergence,
        similarity.js_divergence,
    ):
      value = lambda s, loss=loss, log_p=log_p: loss(
          log_p, similarity.log_choice_probabilities(s)
      ).sum()
      loss_value, gradient = jax.jit(jax.value_and_grad(value))(s)
      assert np.isfinite(loss_value)
      assert np.isfinite(gradient).all()
  value = lambda s: similarity.entropy(
      similarity.log_choice_probabilities(s)
  ).sum()
  entropy, gradient = jax.jit(jax.value_and_grad(value))(s)
  assert np.isfinite(entropy)
  assert np.isfinite(gradient).all()


def test_extreme_logits_against_exact_values():
  log_p = similarity.log_choice_probabilities(np.array([[1e4, 0.0, -1e4]]))
  log_q = similarity.log_choice_probabilities(np.array([[-1e4, 0.0, 1e4]]))
  np.testing.assert_array_equal(log_p, [[0.0, -1e4, -2e4]])
  assert similarity.entropy(log_p) == [0.0]
  assert similarity.cross_entropy(log_p, log_q) == [2e4]
  assert similarity.kl_divergence(log_p, log_q) == [2e4]
  np.testing.assert_allclose(
      similarity.js_divergence(log_p, log_q), [np.log(2)], rtol=1e-15
  )


@pytest.mark.parametrize("xp", [np, jnp])
def test_zero_probabilities_contribute_nothing(xp):
  with np.errstate(divide="ignore"):
    p = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    q = np.array([[1.0, 0, 0], [0.25, 0.75, 0], [0, 0, 1], [0.2, 0.3, 0.5]])
    log_p, log_q = (xp.asarray(np.log(x), np.float32) for x in (p, q))
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
  close(similarity.entropy(log_p), scipy.stats.entropy(p, axis=1))
  close(
      similarity.js_divergence(log_p, log_q),
      scipy.spatial.distance.jensenshannon(p, q, axis=1) ** 2,
  )
  close(
      similarity.kl_divergence(log_p, log_q),
      scipy.stats.entropy(p, q, axis=1),  # Infinite where q has no mass.
  )
  close(
      similarity.cross_entropy(log_p, log_q),
      [0, -0.5 * np.log(0.25 * 0.75), np.inf, -np.log(0.5)],
  )


def test_gradient_where_both_probabilities_are_zero():
  log_p = jnp.asarray([0.0, -jnp.inf, -jnp.inf])
  for loss in (
      similarity.cross_entropy,
      similarity.kl_divergence,
      similarity.js_divergence,
  ):
    # 1e4 below the largest: probability zero, with a finite logarithm.
    value = lambda s, loss=loss: loss(
        log_p, similarity.log_choice_probabilities(s)
    )
    gradient = jax.jit(jax.grad(value))(jnp.asarray([0.0, -1e4, -1e4]))
    np.testing.assert_array_equal(gradient, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("kind", ["dot", "cosine"])
def test_zero_vectors(kind):
  z = jnp.zeros((2, 3, 4)).at[1, 0, 0].set(2.0)
  np.testing.assert_array_equal(similarity.pair_similarities(z, kind), 0)
  loss = lambda z: similarity.pair_similarities(z, kind).sum()
  assert np.isfinite(jax.jit(jax.grad(loss))(z)).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_cosine_neither_overflows_nor_vanishes(scale):
  z = (_Z * scale).astype(np.float32)
  _assert_close(
      similarity.pair_similarities(z, "cosine"), _pairs(_Z, True), 1e-5
  )


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_summed_in_float32(make, dtype, needs_jax_dtype):
  if make is jnp.asarray:
    needs_jax_dtype(dtype)
  z = (np.abs(_RNG.standard_normal((8, 3, 4096))) + 0.5).astype(dtype)
  expected = _pairs(z.astype(np.float64))

  found = similarity.pair_similarities(make(z))

  assert found.dtype == np.float32
  _assert_close(found, expected, 1e-5)
  # The same sum kept in half precision is off by far more, or overflows.
  total = np.zeros((8, 3), dtype)
  with np.errstate(over="ignore"):
    for k in range(z.shape[-1]):
      products = [z[:, a, k] * z[:, b, k] for a, b in ((0, 1), (0, 2), (1, 2))]
      total = (total + np.stack(products, axis=-1)).astype(dtype)
  error = np.abs(total.astype(np.float64) - expected) / expected
  assert error.min() > 1e-3


def test_float16_logits_near_the_largest():
  s = np.array([[60000.0, 59968.0, -60000.0]], np.float16)
  np.testing.assert_allclose(
      similarity.choice_probabilities(s),
      scipy.special.softmax(s.astype(np.float64), axis=-1),
      rtol=1e-5,
      atol=1e-30,
  )


def test_integers_and_lists_become_floats():
  assert similarity.pair_similarities([[1, 2], [3, 4], [5, 6]]).tolist() == [
      11.0,
      17.0,
      39.0,
  ]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["cosine", "dot"])
@pytest.mark.parametrize("limit", [0, 2**29])
def test_of_triplets_normalises_rows_once(dtype, kind, limit, monkeypatch):
  monkeypatch.setattr(similarity, "_MAX_BYTES", limit)
  rng = np.random.default_rng(0)
  x = rng.normal(size=(50, 7)).astype(dtype)
  x[3] = 0
  triplets = rng.integers(0, 40, (300, 3))
  np.testing.assert_array_equal(
      similarity.of_triplets(x, triplets, kind),
      similarity.pair_similarities(x[triplets], kind),
  )
