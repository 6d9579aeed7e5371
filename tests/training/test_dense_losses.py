"""The dense loss is the expectation of the sparse one, by enumeration."""

import itertools

from alignet.errors import AlignetError
from alignet.training import losses
from alignet.triplets import sampling
import flax.struct
import jax
import jax.numpy as jnp
from kauldron import kd
import numpy as np
import pytest

_LOSSES = {
    "jsd": losses.JSD(tau=2.0, target_tau=0.5),
    "kl": losses.KL(tau=2.0, target_tau=0.5),
    "contrastive": losses.Contrastive(tau=2.0),
}


def _groups(sizes):
  """Image numbers of each group."""
  return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])


def _law(sizes):
  """All rows of cluster_border under the law "groups", and probabilities.

  Written from the method: an ordered pair of groups, two images of the first,
  the odd one of the second, each uniform. Groups of one image are out.
  """
  groups = [g for g in _groups(sizes) if len(g) >= 2]
  ordered = list(itertools.permutations(groups, 2))
  rows, probabilities = [], []
  for a, b in ordered:
    of_pair = [(*ij, x) for ij in itertools.combinations(a, 2) for x in b]
    rows += of_pair
    probabilities += [1 / len(ordered) / len(of_pair)] * len(of_pair)
  return np.array(rows), np.array(probabilities)


def _sparse(loss, z, teacher, sizes):
  """The enumerated expectation of the sparse loss, and its gradient by z."""
  rows, probabilities = _law(sizes)
  pairs = ((0, 1), (0, 2), (1, 2))
  t = teacher[rows]
  s = jnp.stack([(t[:, a] * t[:, b]).sum(-1) for a, b in pairs], axis=-1)

  def expectation(z, rows, s, probabilities):
    values = loss.get_values(embeddings=z[rows], similarities=s)
    return (values * probabilities).sum()

  # Arguments, not constants, which the compiler would take its time to fold.
  step = jax.jit(jax.value_and_grad(expectation))
  return step(z, rows, s, probabilities)


def _dense(loss, z, teacher, rows, present):
  """The dense loss of the images `rows`, and its gradient by z."""

  def mean(z, teacher, rows, present):
    values = losses.Dense(of=loss).get_values(
        embeddings=z[rows], representations=teacher[rows], present=present
    )
    assert values.shape == rows.shape[:1]
    return values.mean()

  return jax.jit(jax.value_and_grad(mean))(z, teacher, rows, present)


def _padded(groups, k):
  """(p, k) image numbers of the groups, and which are no padding."""
  rows = np.stack([np.resize(g, k) for g in groups])
  return rows, np.stack([np.arange(k) < len(g) for g in groups])


def _case(n, seed=0, dtype=np.float64):
  rng = np.random.default_rng(seed)
  z, teacher = rng.normal(size=(n, 5)), rng.normal(size=(n, 4))
  return jnp.asarray(z, dtype), jnp.asarray(teacher, dtype)


def _assert_close(found, wanted, tolerance):
  for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    assert np.abs(x - y).max() <= tolerance * np.abs(y).max()


def test_the_enumerated_law_is_the_samplers():
  sizes = (2, 3, 1, 6)
  labels = np.repeat(np.arange(len(sizes)), sizes)
  n = 200_000
  drawn = sampling.sample(labels, "cluster_border_500", n, seed=0)
  drawn[:, :2].sort(axis=1)
  rows, probabilities = _law(sizes)
  shape = (len(labels),) * 3
  counts = np.bincount(
      np.ravel_multi_index(tuple(drawn.T), shape), minlength=len(labels) ** 3
  )
  found = counts[np.ravel_multi_index(tuple(rows.T), shape)]
  assert found.sum() == n  # The law leaves no row out.
  z = (found - n * probabilities) / np.sqrt(n * probabilities)
  assert np.abs(z).max() < 4.5
  assert probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", _LOSSES)
def test_all_images_give_the_expectation_of_the_sparse_loss(name):
  sizes, loss = (2, 3, 50), _LOSSES[name]
  rows, present = _padded(_groups(sizes), 50)
  with jax.enable_x64(True):
    z, teacher = _case(sum(sizes))
    found = _dense(loss, z, teacher, rows, present)
    _assert_close(found, _sparse(loss, z, teacher, sizes), 1e-12)
  z, teacher = _case(sum(sizes), dtype=np.float32)
  found = _dense(loss, z, teacher, rows, present)
  _assert_close(found, _sparse(loss, z, teacher, sizes), 1e-5)


def test_groups_of_one_image_are_out_of_both():
  sizes = (2, 1, 4, 1, 3)
  kept = [g for g in _groups(sizes) if len(g) >= 2]
  with jax.enable_x64(True):
    z, teacher = _case(sum(sizes))
    found = _dense(losses.JSD(tau=1.0), z, teacher, *_padded(kept, 4))
    _assert_close(found, _sparse(losses.JSD(tau=1.0), z, teacher, sizes), 1e-12)


@pytest.mark.parametrize("name", _LOSSES)
def test_the_mean_over_all_draws_is_the_expectation(name):
  """Exact for batches that hold only some groups, and some of their images."""
  sizes, p, k = (2, 3, 4), 2, 2
  drawn, weights = [], []
  pairs = list(itertools.combinations(_groups(sizes), p))
  for pair in pairs:
    subsets = [list(itertools.combinations(g, k)) for g in pair]
    here = list(itertools.product(*subsets))
    drawn += here
    weights += [1 / len(pairs) / len(here)] * len(here)
  with jax.enable_x64(True):
    z, teacher = _case(sum(sizes))
    present = np.ones((p, k), bool)
    each = jax.vmap(
        lambda rows: _dense(_LOSSES[name], z, teacher, rows, present)
    )(jnp.array(drawn))
    mean = jax.tree.map(lambda x: np.tensordot(weights, x, axes=1), each)
    _assert_close(mean, _sparse(_LOSSES[name], z, teacher, sizes), 1e-12)


def test_padding_and_its_contents_do_not_matter():
  z, teacher = _case(12, dtype=np.float32)
  groups = [np.array([0, 1]), np.array([2, 3, 4]), np.array([5, 6, 7, 8])]
  rows, present = _padded(groups, 4)
  loss = losses.JSD(tau=1.0)
  value, gradient = _dense(loss, z, teacher, rows, present)
  other = np.where(present, rows, 9 + np.arange(4) % 3)
  found, gradient_other = _dense(loss, z, teacher, other, present)
  assert found == pytest.approx(float(value), rel=1e-6)
  np.testing.assert_allclose(gradient_other, gradient, atol=1e-7)
  assert np.abs(gradient_other[9:]).max() == 0


def test_a_group_at_a_time_is_the_same(monkeypatch):
  z, teacher = _case(20, dtype=np.float32)
  rows, present = np.arange(20).reshape(5, 4), np.ones((5, 4), bool)
  loss = losses.KL(tau=1.0)
  wanted = _dense(loss, z, teacher, rows, present)
  for limit in (1, 5 * 4 * 6 * 2):  # One, or two groups at a time.
    monkeypatch.setattr(losses, "_ROWS", limit)
    _assert_close(_dense(loss, z, teacher, rows, present), wanted, 1e-5)


def test_memory_is_bounded():
  """The compiler's own account, 128 groups of 16: 31 M triplets."""
  p, k, d = 128, 16, 8
  loss = losses.Dense(of=losses.JSD())
  step = jax.jit(
      jax.grad(
          lambda z, t, m: loss.get_values(
              embeddings=z, representations=t, present=m
          ).mean()
      )
  )
  spec = jax.ShapeDtypeStruct((p, k, d), jnp.float32)
  compiled = step.lower(
      spec, spec, jax.ShapeDtypeStruct((p, k), jnp.bool_)
  ).compile()
  # All its logits at once, teacher's and student's, would be 754 MB.
  assert compiled.memory_analysis().temp_size_in_bytes < 300e6


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", _LOSSES)
@pytest.mark.parametrize("case", ["zero", "equal", "one is zero", "1e4"])
def test_finite(name, dtype, case):
  p, k, d = 3, 4, 8
  rng = np.random.default_rng(0)
  z = rng.normal(size=(p, k, d))
  if case == "zero":
    z[:] = 0
  elif case == "equal":
    z[:] = 3
  elif case == "one is zero":
    z[1, 2] = 0
  else:
    z *= 100 / np.linalg.norm(z, axis=-1, keepdims=True)  # z . z = 1e4
  z = jnp.asarray(z, dtype)
  loss = losses.Dense(of=type(_LOSSES[name])(tau=1.0))
  present = np.ones((p, k), bool)

  def mean(z, teacher):
    values = loss.get_values(
        embeddings=z, representations=teacher, present=present
    )
    assert values.dtype == jnp.float32
    return values.mean()

  step = jax.jit(jax.value_and_grad(mean))
  for teacher in (z, jnp.flip(z, 2), jnp.zeros_like(z)):
    value, gradient = step(z, teacher)
    assert np.isfinite(value) and gradient.dtype == dtype
    assert np.isfinite(np.asarray(gradient, np.float32)).all()
    if name == "jsd":
      assert -1e-6 <= value <= np.log(2) + 1e-6
    if name != "contrastive" and teacher is z:
      assert value == pytest.approx(0, abs=1e-6)


def test_bfloat16_is_summed_in_float32():
  z, teacher = _case(12, dtype=np.float32)
  rows, present = np.arange(12).reshape(3, 4), np.ones((3, 4), bool)
  z = jnp.asarray(z, jnp.bfloat16)
  loss = losses.JSD(tau=1.0)
  value, gradient = _dense(loss, z, teacher, rows, present)
  wanted, d_z = _dense(loss, z.astype(jnp.float32), teacher, rows, present)
  assert value == pytest.approx(float(wanted), rel=1e-6)
  assert gradient.dtype == jnp.bfloat16
  np.testing.assert_allclose(
      np.asarray(gradient, np.float32),
      d_z,
      rtol=2 * float(jnp.finfo(jnp.bfloat16).eps),
      atol=1e-6,
  )


@pytest.mark.parametrize("shape", [(1, 4), (3, 1)])
def test_a_batch_without_triplets_is_an_error(shape):
  z = jnp.zeros((*shape, 2))
  with pytest.raises(AlignetError, match="at least 2 groups of 2 images"):
    losses.Dense().get_values(
        embeddings=z, representations=z, present=np.ones(shape, bool)
    )


@flax.struct.dataclass
class _Predictions:
  triplet_logits: jax.Array


def test_keys_resolve_in_a_context():
  z, teacher = _case(12, dtype=np.float32)
  rows, present = np.arange(12).reshape(3, 4), np.ones((3, 4), bool)
  context = kd.train.Context(
      step=0,
      batch={"representations": teacher[rows], "present": present},
      preds=_Predictions(triplet_logits=z[rows]),
  )
  loss = losses.Dense(of=losses.JSD(tau=3.0), weight=2.0)
  state = loss.get_state_from_context(context)
  wanted, _ = _dense(losses.JSD(tau=3.0), z, teacher, rows, present)
  assert float(state.compute()) == pytest.approx(2 * float(wanted), rel=1e-5)
