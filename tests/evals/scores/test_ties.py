"""Values that are equal in mathematics are ties, whatever their last bit."""

from alignet.evals.scores import ties
from alignet.evals.scores.choices import calibration
from alignet.evals.scores.choices import probabilistic
from alignet.evals.scores.classes import few_shot
from alignet.evals.scores.classes import knn
from alignet.evals.scores.classes import retrieval
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import special
from scipy import stats

_RNG = np.random.default_rng(0)


def _noisy(values, seed=1):
  """The values, each with another last bit or two."""
  rng = np.random.default_rng(seed)
  return values * (1 + rng.integers(-4, 5, values.shape) * 2.0**-52)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(0, 9))
def test_ranks_do_not_see_the_last_bit(values, seed):
  values = np.array(values) / 7
  expected = stats.rankdata(values, method="dense") - 1
  np.testing.assert_array_equal(ties.dense_ranks(values), expected)
  noisy = _noisy(values, seed)
  np.testing.assert_array_equal(ties.dense_ranks(noisy), expected)
  order = ties.descending(noisy)
  np.testing.assert_array_equal(order, np.argsort(-expected, kind="stable"))
  assert ties.first_largest(noisy) == expected.argmax()


def test_rows_of_a_matrix_and_infinities():
  values = np.array([[0.3, 0.1 + 0.2, -np.inf], [-np.inf, -np.inf, 1e-300]])
  np.testing.assert_array_equal(
      ties.dense_ranks(values), [[1, 1, 0], [0, 0, 1]]
  )
  np.testing.assert_array_equal(ties.descending(values), [[0, 1, 2], [2, 0, 1]])
  assert ties.dense_ranks(np.empty((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("method", rank_correlation.METHODS)
def test_correlations_do_not_see_the_last_bit(method):
  a, b = _RNG.integers(0, 6, (2, 200)) / 7
  expected = rank_correlation.correlate(a, b, method)
  found = rank_correlation.correlate(_noisy(a), _noisy(b, 2), method)
  assert found == pytest.approx(expected, rel=1e-12)
  weights = np.ones(len(a))
  rho = rank_correlation.WeightedSpearman(_noisy(a), _noisy(b, 2))(weights)
  assert rho == pytest.approx(stats.spearmanr(a, b).statistic, rel=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "dot"])
def test_equal_images_have_equal_entries_in_an_rdm(kind):
  """Many pairs of few different images: nearly all entries are ties."""
  different = _RNG.standard_normal((4, 501))
  which = np.repeat(np.arange(4), 6)
  model = rsa.upper(rsa.rdm(different[which], kind))
  wanted = rsa.upper(rsa.rdm(different, kind)[np.ix_(which, which)])
  wanted = stats.rankdata(np.round(wanted, 9), method="dense") - 1
  np.testing.assert_array_equal(ties.dense_ranks(model), wanted)


def test_a_model_that_sees_no_difference_has_no_correlation():
  z = np.broadcast_to(_RNG.standard_normal(300), (6, 300))
  human = rsa.upper(_RNG.random((6, 6)))
  rdm = rsa.upper(rsa.rdm(z))
  for method in rank_correlation.METHODS:
    with pytest.raises(ValueError, match="undefined"):
      rank_correlation.correlate(_noisy(rdm + 1), human, method)


def test_certainty_is_the_entropy_where_that_is_exact():
  s = _RNG.standard_normal((100, 3))
  for temperature in (1e-3, 0.1, 1, 20):
    found = probabilistic.certainty(s, temperature)
    log_p = probabilistic.log_probabilities(s, temperature)
    expected = np.log(3) - probabilistic.entropy(log_p)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("temperature", [10, 1e3, 1e6, 1e9])
def test_certainty_near_uniform(temperature):
  """Half the variance of the logits, and the next term of the series."""
  t = _RNG.standard_normal((100, 3)).astype(np.longdouble)
  t = (t - t.mean(axis=1, keepdims=True)) / temperature
  expected = (t**2).mean(axis=1) / 2 + (t**3).mean(axis=1) / 3
  found = probabilistic.certainty(np.float64(t * temperature), temperature)
  np.testing.assert_allclose(
      found, np.float64(expected), rtol=max(9 / temperature**2, 1e-9)
  )


@pytest.mark.parametrize("temperature", [0.1, 1e6])
def test_certainty_does_not_see_the_order(temperature):
  s = _RNG.standard_normal((200, 3))
  found = probabilistic.certainty(s, temperature)
  for order in ([0, 2, 1], [2, 1, 0], [1, 2, 0]):
    again = probabilistic.certainty(s[:, order], temperature)
    np.testing.assert_array_equal(again, found)


def test_uniform_confidence_is_on_one_side_of_an_edge():
  third = special.log_softmax(np.zeros(3))
  nearly = third + np.array([[-1], [0], [1]]) * 2.0**-52
  bins = calibration.of_width(np.exp(nearly).max(axis=1), 15)
  assert len(set(bins.tolist())) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_equal_rows_the_first_is_the_neighbour(dtype):
  """Equal rows anywhere, as CIFAR-100 holds them, under different labels."""
  d, n = 253, 9000  # More than a block, and no multiple of a vector.
  different = _RNG.standard_normal((40, d)).astype(dtype)
  which = _RNG.integers(0, 40, n)
  labels = np.arange(n)  # The prediction names the neighbour.
  queries = different + dtype(0.01) * _RNG.standard_normal((40, d)).astype(
      dtype
  )
  first = np.array([np.flatnonzero(which == i)[0] for i in range(40)])
  found = knn.predict(different[which], labels, queries, k=1)
  np.testing.assert_array_equal(found, first)
  # With a permutation of the queries, in blocks of another size.
  for rows in (_RNG.permutation(40), np.array([7]), np.arange(3)):
    again = knn.predict(different[which], labels, queries[rows], k=1)
    np.testing.assert_array_equal(again, first[rows])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_retrieved_in_random_order(dtype):
  d, copies = 253, 5
  different = _RNG.standard_normal((30, d)).astype(dtype)
  which = np.tile(np.arange(30), copies)
  labels = np.repeat(np.arange(copies), 30)  # The c-th copies are class c.
  for c in range(copies):
    found = retrieval.retrieve(
        different[:1], np.array([c]), different[which], labels, ks=(1, 3, 5)
    )
    # The copies of the query come first, the one of its class anywhere.
    for k in (1, 3, 5):
      np.testing.assert_allclose(found.recall[k], k / copies, atol=1e-12)


def test_of_equal_prototypes_each_may_win():
  d = 253
  different = _RNG.standard_normal((6, d)).astype(np.float32)
  train = np.concatenate([different, different])
  found = few_shot.accuracy(
      train,
      np.arange(12),
      different,
      np.arange(6),
      shots=1,
      rng=np.random.default_rng(0),
      repeats=1,
  )
  np.testing.assert_array_equal(found, 1 / 2)
