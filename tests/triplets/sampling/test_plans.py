"""Samplers against their rules and laws, written out by enumeration."""

import collections
import hashlib
import itertools

from alignet.errors import AlignetError
from alignet.triplets import sampling
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import scipy.stats

_RULES = ("random", "between", "border", "within")
_LAWS = ("groups", "images")
_MIN = {"random": 1, "between": 1, "border": 2, "within": 3}

_ROWS_OF_SEED_0 = {
    ("random", "groups"): [[407, 933, 115], [342, 155, 359]],
    ("random", "images"): [[407, 933, 115], [342, 155, 359]],
    ("between", "groups"): [[555, 490, 263], [120, 562, 248]],
    ("between", "images"): [[407, 675, 892], [342, 968, 914]],
    ("border", "groups"): [[111, 592, 490], [712, 120, 562]],
    ("border", "images"): [[407, 222, 5], [342, 194, 618]],
    ("within", "groups"): [[222, 111, 592], [194, 712, 120]],
    ("within", "images"): [[407, 222, 74], [342, 194, 712]],
}

_DIGESTS = {
    ("random", "groups"): "e6b701bb14f9c16b",
    ("random", "images"): "e6b701bb14f9c16b",
    ("between", "groups"): "ec783b75bebaf6f9",
    ("between", "images"): "c226c282db611518",
    ("border", "groups"): "61815f7c250108ce",
    ("border", "images"): "c2ab2482faceb085",
    ("within", "groups"): "b257ab4b856df58f",
    ("within", "images"): "2dd61e4ede31e47c",
}
"""Of rows that a compiled kernel of its own drew, at the size of ImageNet."""

_LABELS = st.lists(st.integers(-1, 6), min_size=1, max_size=40)


def _kept(labels, rule, exclude=()):
  """Image numbers by group, groups too small left out."""
  groups = collections.defaultdict(list)
  for image, label in enumerate(labels):
    if label >= 0 and image not in exclude:
      groups[label].append(image)
  return {g: x for g, x in groups.items() if len(x) >= _MIN[rule]}


def _possible(labels, rule, exclude=()):
  kept = _kept(labels, rule, exclude)
  if rule == "random":
    return sum(map(len, kept.values())) >= 3
  return len(kept) >= {"between": 3, "border": 2, "within": 1}[rule]


def _follows(row, labels, rule):
  """The rule, in the order in which rows are written."""
  i, j, k = (labels[image] for image in row)
  return {
      "random": True,
      "between": len({i, j, k}) == 3,
      "border": i == j != k,
      "within": i == j == k,
  }[rule]


@given(
    labels=_LABELS,
    rule=st.sampled_from(_RULES),
    law=st.sampled_from(_LAWS),
    seed=st.integers(0, 2**128 - 1),
    start=st.integers(0, 10**15),
    exclude=st.lists(st.integers(0, 39), max_size=4),
)
def test_rows_obey_the_rule(labels, rule, law, seed, start, exclude):
  exclude = [e for e in exclude if e < len(labels)]
  assume(_possible(labels, rule, exclude))
  plan = sampling.plan(np.array(labels), rule, law=law, exclude=exclude)
  rows = plan.rows(seed, start, start + 50)
  assert rows.shape == (50, 3) and rows.dtype == np.int32
  allowed = set(itertools.chain(*_kept(labels, rule, exclude).values()))
  for row in rows.tolist():
    assert len(set(row)) == 3
    assert set(row) <= allowed
    assert _follows(row, labels, rule)
  assert sampling.RULES[rule].obeyed(np.array(labels)[rows]).all()


@given(
    labels=_LABELS,
    rule=st.sampled_from(_RULES),
    law=st.sampled_from(_LAWS),
    cuts=st.lists(st.integers(0, 60), max_size=5).map(sorted),
)
def test_rows_do_not_depend_on_blocks(labels, rule, law, cuts):
  assume(_possible(labels, rule))
  plan = sampling.plan(np.array(labels), rule, law=law)
  bounds = [0, *cuts, 60]
  blocks = [plan.rows(3, a, b) for a, b in itertools.pairwise(bounds)]
  np.testing.assert_array_equal(np.concatenate(blocks), plan.rows(3, 0, 60))


def test_rows_do_not_depend_on_internal_blocks(monkeypatch):
  plan = sampling.plan(np.arange(60) % 7, "border")
  expected = plan.rows(3, 5, 1000)
  monkeypatch.setattr("alignet.triplets.sampling.plans._ROWS", 64)
  np.testing.assert_array_equal(plan.rows(3, 5, 1000), expected)


def test_sample_is_a_stretch_of_the_plans_rows():
  labels = np.arange(60) % 7
  plan = sampling.plan(labels, "within_class", law="images", exclude=[3])
  found = sampling.sample(
      labels, "within_class", 5, seed=9, start=8, law="images", exclude=[3]
  )
  np.testing.assert_array_equal(found, plan.rows(9, 8, 13))


def test_rows_of_a_seed_do_not_change():
  """What seed 0 gives; a change of this changes every sampled file."""
  labels = np.arange(1000) % 37
  found = {
      (rule, law): sampling.sample(labels, rule, 2, seed=0, law=law).tolist()
      for rule in _RULES
      for law in _LAWS
  }
  assert found == _ROWS_OF_SEED_0


@pytest.mark.parametrize("rule, law", _DIGESTS)
def test_rows_far_down_do_not_change(rule, law):
  sizes = np.random.default_rng(0).integers(3, 5000, 500)
  plan = sampling.plan(np.repeat(np.arange(500), sizes), rule, law=law)
  rows = plan.rows(2**100 + 1, 10**9, 10**9 + 5000).astype("<i4")
  digest = hashlib.sha256(rows.tobytes()).hexdigest()
  assert digest.startswith(_DIGESTS[rule, law])


def test_seeds_and_rows_differ():
  plan = sampling.plan(np.arange(10_000) % 100, "border")
  a, b = plan.rows(0, 0, 100), plan.rows(1, 0, 100)
  assert (a == b).mean() < 0.01
  assert len(np.unique(a, axis=0)) == 100


def _laws(labels, rule, law):
  """Probability of each row (in written order), by enumeration of the law."""
  kept = _kept(labels, rule)
  images = sorted(itertools.chain(*kept.values()))
  group = {image: labels[image] for image in images}
  law = "images" if rule == "random" else law

  def allowed(chosen):
    """Images that may come next."""
    groups = [group[c] for c in chosen]
    for image in images:
      if image in chosen:
        continue
      same = groups and group[image] == groups[0]
      if rule == "between" and group[image] in groups:
        continue
      if rule == "within" and groups and not same:
        continue
      if rule == "border" and len(groups) == 1 and not same:
        continue
      if rule == "border" and len(groups) == 2 and same:
        continue
      yield image

  probabilities = collections.Counter()

  def walk(chosen, p):
    if len(chosen) == 3:
      probabilities[chosen] += p
      return
    options = list(allowed(chosen))
    per_group = collections.Counter(group[o] for o in options)
    for image in options:
      if law == "images":
        q = 1 / len(options)
      else:
        q = 1 / len(per_group) / per_group[group[image]]
      walk((*chosen, image), p * q)

  walk((), 1.0)
  return probabilities


@pytest.mark.parametrize("law", _LAWS)
@pytest.mark.parametrize("rule", _RULES)
def test_laws_by_frequency(rule, law):
  labels = [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, -1, 0]
  n = 60_000
  expected = _laws(labels, rule, law)
  assert abs(sum(expected.values()) - 1) < 1e-12

  rows = sampling.sample(np.array(labels), rule, n, seed=5, law=law)

  counts = collections.Counter(map(tuple, rows.tolist()))
  assert set(counts) <= set(expected)
  observed = np.array([counts[row] for row in expected])
  result = scipy.stats.chisquare(observed, n * np.array([*expected.values()]))
  assert result.pvalue > 1e-3
  # The test would tell the laws apart.
  other = _laws(labels, rule, "groups" if law == "images" else "images")
  if rule != "random":
    wrong = scipy.stats.chisquare(
        observed, n * np.array([other[row] for row in expected])
    )
    assert wrong.pvalue < 1e-6


def test_small_groups_are_dropped_counted_and_listed():
  labels = np.array([5, 5, 5, 9, 7, 7, 7, 7, 2, 2, -1, 8, 8, 8])
  plan = sampling.plan(labels, "within_class", exclude=[13])
  assert plan.dropped.tolist() == [2, 8, 9]
  assert plan.groups.tolist() == [5, 7]
  assert plan.sizes.tolist() == [3, 4]
  assert plan.images.tolist() == [0, 1, 2, 4, 5, 6, 7]
  meta = plan.meta()
  assert meta["groups_dropped"] == [2, 8, 9]
  assert meta["n_groups_dropped"] == 3
  assert meta["n_images"] == 14
  assert meta["n_images_excluded"] == 2
  assert meta["n_images_dropped"] == 5
  assert meta["n_images_used"] == 7


def test_a_single_image_is_no_odd_one_of_a_border():
  labels = np.array([0, 0, 1, 1, 2])
  rows = sampling.sample(labels, "class_border", 500, seed=0)
  assert 4 not in rows
  assert sampling.plan(labels, "class_border").dropped.tolist() == [2]


@given(labels=_LABELS, rule=st.sampled_from(_RULES))
def test_error_only_if_too_few_groups_remain(labels, rule):
  if _possible(labels, rule):
    sampling.plan(np.array(labels), rule)
  else:
    with pytest.raises(AlignetError, match=f"strategy {rule} needs at least"):
      sampling.plan(np.array(labels), rule)


@pytest.mark.parametrize(
    ("labels", "kwargs", "message"),
    [
        ([0, 1, 2], {"strategy": "nearest"}, "unknown sampling strategy"),
        ([0, 1, 2], {"law": "pairs"}, "law: expected one of groups, images"),
        ([0.0, 1.0], {}, "labels: expected integers"),
        ([[0, 1, 2]], {}, r"labels: expected shape \(any\)"),
        ([0, 1, -2], {}, "labels: .*found -2"),
        ([0, 1, 2], {"exclude": [3]}, "from 0 to 2, found 3"),
        ([0, 1, 2], {"exclude": [-1]}, "from 0 to 2, found -1"),
        ([0, 1, 2], {"exclude": [True, False, False]}, "exclude: .*bool"),
        (
            [0, 0, 1, 1, 5, 5],
            {"strategy": "cluster_border_5"},
            "promises 5 clusters, found cluster 5",
        ),
    ],
)
def test_bad_arguments(labels, kwargs, message):
  with pytest.raises(AlignetError, match=message):
    sampling.plan(np.array(labels), **{"strategy": "between", **kwargs})


@pytest.mark.parametrize(
    "arguments", [(-1, 0, 1), (2**128, 0, 1), (0, -1, 1), (0, 2, 1)]
)
def test_bad_rows(arguments):
  with pytest.raises(AlignetError, match="expected"):
    sampling.plan(np.arange(3), "between").rows(*arguments)


@given(st.permutations([3, 3, 4]), st.permutations([0, 1, 2]))
def test_obeys_ignores_the_order_of_a_row(border, between):
  for rule, row in (
      ("border", border),
      ("between", between),
      ("within", [5, 5, 5]),
  ):
    for other in ("border", "between", "within"):
      found = sampling.RULES[other].obeyed(np.array([row]))
      assert found.tolist() == [rule == other]
    assert sampling.RULES["random"].obeyed(np.array([row])).all()


def test_excluded_images_obey_no_rule():
  for rule in _RULES:
    rows = np.array([[-1, -1, -1], [0, 0, -1]])
    assert not sampling.RULES[rule].obeyed(rows).any()


def test_number_of_threads_is_of_no_consequence(monkeypatch):
  plan = sampling.plan(np.arange(60) % 7, "border")
  monkeypatch.setattr("alignet.triplets.sampling.plans._ROWS", 64)
  np.testing.assert_array_equal(
      plan.rows(3, 5, 1000, workers=1), plan.rows(3, 5, 1000, workers=3)
  )
