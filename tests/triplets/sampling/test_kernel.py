"""The kernel against the same rules in NumPy, over numpy's own generator."""

from alignet.errors import AlignetError
from alignet.triplets import sampling
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from tests.triplets.sampling import reference

_RULES = ("random", "between", "border", "within")


@given(
    labels=st.lists(st.integers(-1, 6), min_size=1, max_size=40),
    rule=st.sampled_from(_RULES),
    law=st.sampled_from(["groups", "images"]),
    seed=st.integers(0, 2**128 - 1),
    start=st.integers(0, 10**15),
)
def test_same_rows_as_numpy(labels, rule, law, seed, start):
  try:
    plan = sampling.plan(np.array(labels), rule, law=law)
  except AlignetError:
    return  # Too few images for the rule.
  u = reference.uniforms(seed, start, start + 20)
  layout = reference.Layout.of_sizes(plan.sizes)
  wanted = plan.images[reference.draw(rule, plan.law, layout, u)]
  np.testing.assert_array_equal(plan.rows(seed, start, start + 20), wanted)


@pytest.mark.parametrize("law", ["groups", "images"])
@pytest.mark.parametrize("rule", _RULES)
def test_same_rows_as_numpy_at_the_size_of_imagenet(rule, law):
  sizes = np.random.default_rng(0).integers(3, 5000, 500)
  labels = np.repeat(np.arange(500), sizes)
  plan = sampling.plan(labels, rule, law=law)
  u = reference.uniforms(1, 10**9, 10**9 + 5000)
  layout = reference.Layout.of_sizes(plan.sizes)
  wanted = plan.images[reference.draw(rule, plan.law, layout, u)]
  np.testing.assert_array_equal(plan.rows(1, 10**9, 10**9 + 5000), wanted)
