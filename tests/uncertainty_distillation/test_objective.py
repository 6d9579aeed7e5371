"""The objective against written-out NumPy float64 and independent arrays."""

from alignet.errors import AlignetError
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uncertainty_distillation import objective


def _case(dtype, hard=False, n=9, d=5, width=4, b=40):
  rng = np.random.default_rng(0)
  targets = rng.dirichlet(np.ones(3), b)
  if hard:
    targets = np.tile([1.0, 0.0, 0.0], (b, 1))
  triplets = np.stack([rng.permutation(n)[:3] for _ in range(b)])
  x = rng.normal(size=(2, n, d))
  params = {
      "weights": rng.normal(size=(d, width)),
      "bias": rng.normal(size=width),
  }
  cast = lambda a: jnp.asarray(a, dtype)
  return jax.tree.map(cast, params), cast(x), triplets, cast(targets)


def _reference(params, x, triplets, targets, kind, weight):
  """Value and gradients, one triplet at a time, in float64."""
  w = np.asarray(params["weights"], np.float64)
  b = np.asarray(params["bias"], np.float64)
  x, targets = np.asarray(x, np.float64), np.asarray(targets, np.float64)
  value, dw, db = 0.0, np.zeros_like(w), np.zeros_like(b)
  for r, (row, pi) in enumerate(zip(triplets, targets)):
    a = x[r % len(x)][row]
    z = a @ w + b
    pairs = [(0, 1), (0, 2), (1, 2)]
    s = np.array([z[i] @ z[j] for i, j in pairs])
    log_p = s - s.max() - np.log(np.exp(s - s.max()).sum())
    value += sum(q * (np.log(q) - m) for q, m in zip(pi, log_p) if q > 0)
    # d KL / d s = p - pi, and s = z_i . z_j.
    for g, (i, j) in zip(np.exp(log_p) - pi, pairs):
      dw += g * (np.outer(a[i], z[j]) + np.outer(a[j], z[i]))
      db += g * (z[i] + z[j])
  n = len(triplets)
  value, dw, db = value / n, dw / n, db / n
  if kind == "identity":
    diagonal = np.diag(w)
    off = w - diagonal.mean() * np.eye(*w.shape)
    value += weight * (off**2).sum()
    # The mean of the diagonal minimises the sum: its own gradient vanishes.
    dw += weight * 2 * off
  else:
    norm = np.sqrt((w**2).sum())
    value += weight * norm
    dw += weight * w / norm
  return value, {"weights": dw, "bias": db}


def _close(got, expected, tolerance):
  got, expected = np.asarray(got, np.float64), np.asarray(expected)
  assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["identity", "l2"])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    "dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)]
)
def test_value_and_gradient(kind, hard, dtype, tolerance):
  with jax.enable_x64(dtype == "float64"):
    case = _case(dtype, hard)
    value, gradient = jax.value_and_grad(objective.loss)(
        *case, kind=kind, weight=0.3
    )
    assert value.dtype == dtype
    expected, expected_gradient = _reference(*case, kind, 0.3)
    _close(value, expected, tolerance)
    for key, array in expected_gradient.items():
      _close(gradient[key], array, tolerance)


@pytest.mark.parametrize("name, kind", [("eye", "identity"), ("l2", "l2")])
@pytest.mark.parametrize(
    "bits, dtype, tolerance", [(64, "float64", 1e-12), (32, "float32", 1e-5)]
)
def test_independent_implementation(
    test_data, name, kind, bits, dtype, tolerance
):
  """Every global term and gradient of the reference case."""
  case = np.load(test_data / "reference" / "glocal_case.npz")
  terms = lambda key: case[f"f{bits}/{name}/{key}"]
  with jax.enable_x64(bits == 64):
    cast = lambda a: jnp.asarray(np.asarray(a), dtype)
    params = {"weights": cast(case["W"]), "bias": cast(case["b"])}
    x = cast(case["features"])[None]
    triplets = case["triplets"]
    targets = cast(np.tile([1, 0, 0], (len(triplets), 1)))
    weight = float(case["lmbda"])

    def value_and_grad(weight):
      return jax.value_and_grad(objective.loss)(
          params, x, triplets, targets, kind=kind, weight=weight
      )

    total, gradient = value_and_grad(weight)
    _close(total, terms("global/total"), tolerance)
    _close(gradient["weights"], terms("global/dW"), tolerance)
    _close(gradient["bias"], terms("global/db"), tolerance)

    fit, gradient = value_and_grad(0.0)
    _close(fit, terms("glocal/triplet"), tolerance)
    _close(gradient["weights"], terms("glocal/dtriplet_dW"), tolerance)
    _close(gradient["bias"], terms("glocal/dtriplet_db"), tolerance)

    value, gradient = jax.value_and_grad(objective.regulariser)(
        params["weights"], kind
    )
    _close(value, terms("glocal/reg"), tolerance)
    _close(weight * value, terms("global/reg_times_lambda"), tolerance)
    _close(gradient, terms("glocal/dreg_dW"), tolerance)


def test_hard_choice_is_cross_entropy():
  s = jnp.asarray([[2.0, 0.5, -1.0]])
  got = objective.divergence(s, jnp.asarray([[1.0, 0.0, 0.0]]))
  np.testing.assert_allclose(got, -np.log(np.exp(2) / np.exp(s).sum()), 1e-6)


@pytest.mark.parametrize("pi", [(1.0, 0.0, 0.0), (0.2, 0.3, 0.5)])
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_finite_at_the_corners(pi, size):
  s = size * jnp.asarray([-1.0, 1.0, 0.0])
  value, gradient = jax.value_and_grad(objective.divergence)(s, jnp.asarray(pi))
  assert np.isfinite(value) and np.isfinite(gradient).all()


def test_l2_has_a_gradient_at_zero():
  gradient = jax.grad(objective.regulariser)(jnp.zeros((3, 2)), "l2")
  np.testing.assert_array_equal(gradient, 0)


def test_unknown_regulariser():
  with pytest.raises(AlignetError, match="identity, l2, found 'l1'"):
    objective.regulariser(jnp.zeros((2, 2)), "l1")
