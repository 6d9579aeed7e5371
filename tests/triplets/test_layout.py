import itertools

from alignet.errors import AlignetError
from alignet.triplets import layout
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

_ORDERS = list(itertools.permutations(range(3)))

# A small range of values, so that ties are common.
_TIED = st.integers(-2, 2).map(float)
_ANY = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def _row(draw, values=_TIED | _ANY):
  """Three distinct numbers and the similarity of each unordered pair."""
  indices = draw(
      st.lists(st.integers(0, 9), min_size=3, max_size=3, unique=True)
  )
  by_pair = {
      frozenset(pair): draw(values)
      for pair in itertools.combinations(indices, 2)
  }
  return indices, by_pair


def _similarities(indices, by_pair):
  i, j, k = indices
  return [by_pair[frozenset(p)] for p in ((i, j), (i, k), (j, k))]


@given(st.lists(_row(), min_size=1, max_size=8))
def test_canonical_order_is_the_smallest_sorted_order(rows):
  indices = np.array([r[0] for r in rows])
  similarities = np.array([_similarities(*r) for r in rows])

  found, found_s = layout.canonical_order(indices, similarities)

  for row, row_s, (numbers, by_pair) in zip(found, found_s, rows):
    candidates = [
        order
        for order in itertools.permutations(numbers)
        if (s := _similarities(order, by_pair)) == sorted(s, reverse=True)
    ]
    assert tuple(row) == min(candidates)
    assert row_s.tolist() == _similarities(row.tolist(), by_pair)


@given(_row())
def test_canonical_order_ignores_the_order_of_the_input(row):
  numbers, by_pair = row
  inputs = list(itertools.permutations(numbers))

  found, found_s = layout.canonical_order(
      np.array(inputs), np.array([_similarities(p, by_pair) for p in inputs])
  )

  assert (found == found[0]).all()
  assert (found_s == found_s[0]).all()


@given(_row())
def test_canonical_order_is_idempotent(row):
  numbers, by_pair = row
  once = layout.canonical_order(
      np.array([numbers]), np.array([_similarities(numbers, by_pair)])
  )
  twice = layout.canonical_order(*once)
  for a, b in zip(once, twice):
    np.testing.assert_array_equal(a, b)


def test_canonical_order_keeps_dtypes_and_takes_no_rows():
  indices = np.zeros((0, 3), np.int16)
  similarities = np.zeros((0, 3), np.float16)
  found, found_s = layout.canonical_order(indices, similarities)
  assert (found.shape, found.dtype) == ((0, 3), np.int16)
  assert (found_s.shape, found_s.dtype) == ((0, 3), np.float16)


def test_odd_one_is_last_in_canonical_order():
  # 7 and 9 are the most similar pair; 8 is closer to 9 than to 7.
  found, found_s = layout.canonical_order(
      np.array([[7, 8, 9]]), np.array([[1.0, 5.0, 2.0]])
  )
  assert found.tolist() == [[9, 7, 8]]
  assert found_s.tolist() == [[5.0, 2.0, 1.0]]


@given(_row(), st.sampled_from(_ORDERS), st.booleans())
def test_permute_similarities_follows_the_rows(row, order, one_for_all):
  numbers, by_pair = row
  permuted = [numbers[p] for p in order]
  similarities = np.array([_similarities(numbers, by_pair)] * 2)
  orders = np.array(order if one_for_all else [order] * 2)

  found = layout.permute_similarities(similarities, orders)

  assert found.tolist() == [_similarities(permuted, by_pair)] * 2


def test_odd_names_the_object_outside_of_each_pair():
  for pair, odd in zip(layout.PAIRS, layout.ODD):
    assert sorted([*pair, odd]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "n", "message"),
    [
        ([[0, 1, 2], [0, 1, 5]], 5, "row 1 is .*from 0 to 4"),
        ([[0, 1, -1]], 5, "row 0 is .*from 0 to 4"),
        ([[0, 1, 2], [3, 4, 3]], 5, "row 1 is .*distinct"),
        ([[0, 0, 1]], 5, "distinct"),
        ([[0, 1, 1]], 5, "distinct"),
        ([[0.0, 1.0, 2.0]], 5, "integers"),
        ([[0, 1]], 5, "shape"),
        ([0, 1, 2], 5, "shape"),
    ],
)
def test_check_names_the_row(rows, n, message):
  with pytest.raises(AlignetError, match=message):
    layout.check(np.array(rows), n)


def test_check_passes_triplets_on():
  rows = np.array([[0, 4, 2]], np.uint16)
  assert layout.check(rows, 5) is rows


def test_from_odd_first():
  assert layout.from_odd_first([[9, 1, 2]]).tolist() == [[1, 2, 9]]


@given(
    st.permutations([10, 20, 30]), st.integers(0, 2), st.sampled_from([0, 1])
)
def test_from_odd_position(row, odd, base):
  found = layout.from_odd_position(
      np.array([row]) + base, np.array([odd]) + base, base=base
  )[0].tolist()
  assert found == [x for x in row if x != row[odd]] + [row[odd]]


@pytest.mark.parametrize("position", [0, 4])
def test_from_odd_position_refuses_others(position):
  with pytest.raises(AlignetError, match="row 1.*expected 1, 2 or 3"):
    layout.from_odd_position(np.array([[1, 2, 3]] * 2), np.array([1, position]))


@given(hnp.arrays(np.int64, (4, 3), elements=st.integers(0, 5)))
def test_check_agrees_with_sets(rows):
  good = all(len(set(row)) == 3 for row in rows.tolist())
  if good:
    layout.check(rows, 6)
  else:
    with pytest.raises(AlignetError):
      layout.check(rows, 6)


@pytest.mark.parametrize("n", [50, 2**21 + 7])
def test_keys_of_sets(n):
  rng = np.random.default_rng(0)
  rows = np.stack([rng.choice(6, 3, replace=False) for _ in range(300)])
  rows[rows == 5] = n - 1
  keys = layout.keys_of_sets(rows, n)
  sets = [frozenset(row) for row in rows.tolist()]
  _, number = np.unique(keys, return_inverse=True)
  assert len(set(zip(sets, number))) == len(set(sets)) == number.max() + 1 == 20
