from alignet.errors import AlignetError
from alignet.training import metrics
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy import stats


def _accuracy(z, kind="dot"):
  metric = metrics.TripletAccuracy(kind=kind)
  state = metric.get_state(embeddings=jnp.asarray(z, jnp.float32))
  return float(state.finalize().compute())


_RIGHT = [[1, 0], [1, 0], [0, 1]]
_WRONG = [[0, 1], [1, 0], [1, 0]]
_TWO_TIED = [[1, 0], [1, 0.5], [1, -0.5]]  # s01 = s02 = 1 > s12.
_TIED_WRONG = [[0, 1], [1, 1], [0, 1]]  # All equal to 1.


@pytest.mark.parametrize(
    "z, wanted",
    [
        (_RIGHT, 1.0),
        (_WRONG, 0.0),
        (_TWO_TIED, 1 / 2),
        (_TIED_WRONG, 1 / 3),
        (np.zeros((3, 2)), 1 / 3),
        (np.ones((3, 2)), 1 / 3),
    ],
)
def test_ties_count_one_over_k(z, wanted):
  assert _accuracy([z]) == pytest.approx(wanted)


def test_mean_over_a_batch_and_merged_states():
  metric = metrics.TripletAccuracy()
  state = lambda *z: metric.get_state(embeddings=jnp.asarray(z, jnp.float32))
  merged = state(_RIGHT, _WRONG, _RIGHT).merge(state(_TWO_TIED))
  assert float(merged.finalize().compute()) == pytest.approx(2.5 / 4)


def test_kind():
  # By dot the long vectors win, by cosine the parallel ones.
  z = [[[1, 0], [1, 0.1], [9, 5]]]
  assert _accuracy(z, "dot") == 0
  assert _accuracy(z, "cosine") == 1


def test_agrees_with_brute_force():
  z = np.random.default_rng(0).normal(size=(50, 3, 4))
  hits = [np.argmax([a @ b, a @ c, b @ c]) == 0 for a, b, c in z]
  assert _accuracy(z) == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_what_is_not_finite_is_an_error_when_computed(bad):
  z = np.ones((4, 3, 2))
  z[2, 1, 0] = bad  # 1e30 is finite, its square is not.
  z[2, 2, 0] = bad
  state = metrics.TripletAccuracy().get_state(embeddings=jnp.asarray(z))
  with pytest.raises(AlignetError, match="learning rate"):
    state.finalize().compute()


@pytest.mark.parametrize("tau, target_tau", [(1.0, 1.0), (7.0, 0.5)])
def test_kl_in_nats(tau, target_tau):
  rng = np.random.default_rng(0)
  z, s = rng.normal(size=(20, 3, 4)), rng.normal(size=(20, 3))
  ours = np.stack(
      [(z[:, a] * z[:, b]).sum(-1) for a, b in ((0, 1), (0, 2), (1, 2))], 1
  )
  p = special.softmax(s / target_tau, axis=1)
  q = special.softmax(ours / tau, axis=1)
  wanted = stats.entropy(p, q, axis=1).mean()
  state = metrics.TripletKL(tau=tau, target_tau=target_tau).get_state(
      embeddings=jnp.asarray(z), similarities=jnp.asarray(s)
  )
  assert float(state.finalize().compute()) == pytest.approx(wanted, rel=1e-5)


def test_triplets_that_do_not_count():
  z = jnp.asarray([_RIGHT, _WRONG, _WRONG], jnp.float32)
  s = jnp.asarray([[1.0, 0, 0], [5.0, 0, 0], [9.0, 0, 0]])
  mask = jnp.asarray([True, True, False])
  for metric, given in (
      (metrics.TripletAccuracy(), dict(embeddings=z)),
      (metrics.TripletKL(tau=1.0), dict(embeddings=z, similarities=s)),
  ):
    first = {key: value[:2] for key, value in given.items()}
    wanted = metric.get_state(**first).finalize().compute()
    found = metric.get_state(**given, mask=mask).finalize().compute()
    assert found == pytest.approx(float(wanted))
    everything = metric.get_state(**given).finalize().compute()
    assert everything != pytest.approx(float(wanted))
