from alignet.triplets import layout
from alignet.triplets import order
from hypothesis import given
from hypothesis import strategies as st
import numpy as np

_ROW = st.tuples(
    st.permutations(range(5)).map(lambda p: p[:3]),
    st.lists(
        st.integers(0, 2) | st.floats(-9, 9, width=32), min_size=3, max_size=3
    ),
)


@given(st.lists(_ROW, min_size=1, max_size=30), st.sampled_from("il"))
def test_same_as_numpy(rows, kind):
  indices = np.array([r[0] for r in rows]).astype(kind)
  similarities = np.array([r[1] for r in rows], np.float32)
  wanted = layout.canonical_order(indices, similarities)
  found = order.canonical(indices, similarities)
  np.testing.assert_array_equal(found[0], wanted[0])
  np.testing.assert_array_equal(found[1], wanted[1])
  assert (found[0].dtype, found[1].dtype) == (np.int32, np.float32)
