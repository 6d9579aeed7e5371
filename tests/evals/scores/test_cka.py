"""CKA against its kernel form, written out with n x n matrices."""

from alignet.errors import AlignetError
from alignet.evals.scores import cka
import numpy as np
import pytest


def _kernel_form(x, y):
  n = len(x)
  k, m = x @ x.T, y @ y.T
  h = np.eye(n) - 1 / n
  hsic = lambda a, b: np.trace(a @ h @ b @ h) / (n - 1) ** 2
  off = lambda a: a - np.diag(np.diag(a))
  one = np.ones(n)

  def unbiased(a, b):
    a, b = off(a), off(b)
    return (
        np.trace(a @ b)
        + (one @ a @ one) * (one @ b @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ a @ b @ one)
    ) / (n * (n - 3))

  return [f(k, m) / np.sqrt(f(k, k) * f(m, m)) for f in (hsic, unbiased)]


@pytest.mark.parametrize("shapes", [(30, 5, 9), (12, 40, 3), (4, 2, 2)])
def test_equals_the_kernel_form(shapes, monkeypatch):
  monkeypatch.setattr(cka, "_ROWS", 7)
  n, p, q = shapes
  rng = np.random.default_rng(0)
  x = rng.normal(size=(n, p)) + 5  # Not centred.
  y = x[:, :2] @ rng.normal(size=(2, q)) + rng.normal(size=(n, q))
  np.testing.assert_allclose(cka.linear(x, y), _kernel_form(x, y), rtol=1e-9)


def test_of_itself_is_one_and_invariant():
  rng = np.random.default_rng(1)
  x, y = rng.normal(size=(50, 6)), rng.normal(size=(50, 6))
  np.testing.assert_allclose(cka.linear(x, x.copy()), 1, rtol=1e-12)
  rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
  moved = 7 * y @ rotation + rng.normal(size=6)
  np.testing.assert_allclose(cka.linear(x, moved), cka.linear(x, y), rtol=1e-9)
  # It is no measure that is blind to every linear map.
  stretched = y * np.array([9, 1, 1, 1, 1, 1])
  assert abs(cka.linear(x, stretched).biased - cka.linear(x, y).biased) > 1e-3


def test_of_independent_representations():
  """Many dimensions, few images: only the unbiased estimate is about 0."""
  rng = np.random.default_rng(2)
  found = np.array(
      [
          cka.linear(rng.normal(size=(60, 200)), rng.normal(size=(60, 200)))
          for _ in range(20)
      ]
  )
  assert found[:, 0].min() > 0.5
  assert abs(found[:, 1].mean()) < 0.02


def test_jackknife_leaves_each_group_out(monkeypatch):
  monkeypatch.setattr(cka, "_ROWS", 17)
  rng = np.random.default_rng(0)
  x = rng.normal(size=(60, 5)) + 9
  y = x[:, :3] + rng.normal(size=(60, 3))
  found = cka.standard_error(x, y, rng=np.random.default_rng(1))
  groups = np.random.default_rng(1).permutation(60) % 10
  left = [cka.linear(x[groups != g], y[groups != g]) for g in range(10)]
  np.testing.assert_allclose(found, np.std(left, axis=0) * 3, rtol=1e-7)
  with pytest.raises(AlignetError, match="40 images or more .*found 39"):
    cka.standard_error(x[:39], y[:39], rng=rng)


@pytest.mark.parametrize("n, d, slack", [(100, 30, 1.4), (800, 30, 1.2)])
def test_standard_error_is_the_spread_of_samples(n, d, slack):
  rng = np.random.default_rng(0)
  values, errors = [], []
  for _ in range(60):
    x = rng.normal(size=(n, d)) * np.linspace(2, 0.1, d)
    y = x * np.linspace(0.3, 2, d) + 0.7 * rng.normal(size=(n, d))
    values.append(cka.linear(x, y))
    errors.append(cka.standard_error(x, y, rng=rng))
  ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / np.std(values, axis=0)
  assert ((0.8 < ratio) & (ratio < slack)).all()


def test_of_what_does_not_vary():
  x = np.random.default_rng(3).normal(size=(9, 4)).astype(np.float32)
  assert np.isnan(cka.linear(np.full((9, 3), 0.1, np.float32), x)).all()


@pytest.mark.parametrize("n", [4, 6, 7, 50])
def test_of_a_simplex(n):
  """Equal distances: unbiased HSIC with itself is 0, and what is left noise."""
  rng = np.random.default_rng(4)
  for x in (np.eye(n), np.linalg.qr(rng.normal(size=(n, n)))[0] + 0.3):
    found = cka.linear(x, rng.normal(size=(n, 5)))
    assert 0 < found.biased < 1 and np.isnan(found.unbiased)


@pytest.mark.parametrize("n, m", [(5, 6), (3, 3)])
def test_refuses(n, m):
  with pytest.raises(AlignetError, match="four or more"):
    cka.linear(np.ones((n, 2)), np.ones((m, 2)))
