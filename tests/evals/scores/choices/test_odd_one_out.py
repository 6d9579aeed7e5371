"""Odd-one-out accuracies against hand-computed values and properties."""

from alignet.errors import AlignetError
from alignet.evals.scores.choices import odd_one_out
import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

# Few distinct values, so that ties are common.
_SIMILARITIES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 20), st.just(3)),
    elements=st.integers(-3, 3).map(float),
)


def test_accuracy_counts_ties_by_hand():
  s = np.array([[3, 1, 2], [1, 3, 2], [2, 2, 1], [1, 2, 2], [5, 5, 5]])
  np.testing.assert_allclose(
      odd_one_out.accuracy(s), [1, 0, 1 / 2, 0, 1 / 3], rtol=1e-15
  )


def test_rounding_is_a_tie_and_anything_more_is_none():
  one = np.float32(1)
  s = np.array([[one, np.nextafter(one, np.float32(2)), 0]], np.float32)
  assert odd_one_out.accuracy(s) == 0.5
  s[0, 1] += 1e-6
  assert odd_one_out.accuracy(s) == 0
  assert odd_one_out.accuracy([[1.0, 1 + 1e-15, 0]]) == 0.5
  assert odd_one_out.accuracy([[1.0, 1 + 1e-11, 0]]) == 0


def test_modal_by_hand():
  s = np.array([[3, 1, 2], [3, 3, 2], [0, 1, 0], [1, 1, 1], [2, 2, 0]])
  pi = np.array(
      [
          [0.2, 0.5, 0.3],
          [0.2, 0.5, 0.3],
          [0.4, 0.4, 0.2],
          [0.2, 0.5, 0.3],
          [0.4, 0.4, 0.2],
      ]
  )
  np.testing.assert_allclose(
      odd_one_out.modal(s, pi), [0, 1 / 2, 1 / 2, 1 / 3, 1 / 2], rtol=1e-15
  )


def test_expected_by_hand():
  s = np.array([[3, 1, 2], [3, 3, 2], [1, 1, 1]])
  pi = np.array([[0.2, 0.5, 0.3]] * 3)
  np.testing.assert_allclose(
      odd_one_out.expected(s, pi), [0.2, 0.35, 1 / 3], rtol=1e-15
  )
  np.testing.assert_array_equal(odd_one_out.ceiling(pi), [0.5] * 3)


@hypothesis.given(_SIMILARITIES, st.randoms(use_true_random=False))
def test_invariant_under_increasing_maps_and_permutation(s, random):
  pi = np.random.default_rng(random.randrange(2**32)).dirichlet([1] * 3, len(s))
  columns = random.sample(range(3), 3)
  for score in (odd_one_out.modal, odd_one_out.expected):
    expected = score(s, pi)
    np.testing.assert_array_equal(score(np.exp(s), pi), expected)
    np.testing.assert_array_equal(score(s**3 + 2 * s - 7, pi), expected)
    np.testing.assert_allclose(
        score(s[:, columns], pi[:, columns]), expected, rtol=1e-12
    )
  np.testing.assert_array_equal(
      odd_one_out.accuracy(np.exp(s)), odd_one_out.accuracy(s)
  )


@hypothesis.given(_SIMILARITIES)
def test_the_three_choices_share_one(s):
  total = sum(
      odd_one_out.accuracy(np.roll(s, shift, axis=1)) for shift in range(3)
  )
  np.testing.assert_allclose(total, 1, rtol=1e-12)


@hypothesis.given(_SIMILARITIES)
def test_choices_are_the_one_hot_case_of_probabilities(s):
  choice = np.broadcast_to([1.0, 0, 0], s.shape)
  np.testing.assert_array_equal(
      odd_one_out.expected(s, choice), odd_one_out.accuracy(s)
  )
  np.testing.assert_array_equal(
      odd_one_out.modal(s, choice), odd_one_out.accuracy(s)
  )


def test_ceiling_is_reached_by_the_probabilities_and_never_passed():
  rng = np.random.default_rng(0)
  pi = rng.dirichlet([1, 1, 1], 500)
  ceiling = odd_one_out.ceiling(pi)
  np.testing.assert_array_equal(odd_one_out.expected(pi, pi), ceiling)
  assert odd_one_out.modal(pi, pi).mean() == 1
  assert (odd_one_out.expected(rng.normal(size=(500, 3)), pi) <= ceiling).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_an_error(bad):
  s = np.zeros((4, 3))
  s[2, 1] = bad
  pi = np.full((4, 3), 1 / 3)
  with pytest.raises(AlignetError, match="row 2 holds a NaN"):
    odd_one_out.accuracy(s)
  with pytest.raises(AlignetError, match="row 2 holds a NaN"):
    odd_one_out.modal(pi, s)
  with pytest.raises(AlignetError, match="row 2 holds a NaN"):
    odd_one_out.expected(s, pi)


def test_bad_shapes_and_probabilities():
  s = np.zeros((4, 3))
  with pytest.raises(AlignetError, match=r"expected shape \(any, 3\)"):
    odd_one_out.accuracy(np.zeros((4, 2)))
  with pytest.raises(AlignetError, match="at least one row"):
    odd_one_out.accuracy(np.zeros((0, 3)))
  with pytest.raises(AlignetError, match="expected 4 rows.*found 3"):
    odd_one_out.expected(s, np.full((3, 3), 1 / 3))
  with pytest.raises(AlignetError, match="row 0.*sum to 1"):
    odd_one_out.modal(s, np.ones((4, 3)))
  with pytest.raises(AlignetError, match="sum to 1"):
    odd_one_out.ceiling(np.array([[1.5, -0.5, 0]]))
