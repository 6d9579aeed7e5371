"""Relative distances against a loop over all pairs."""

import itertools

from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores import hierarchy
import numpy as np
import pytest
from scipy.spatial import distance


def _world(seed=0, n=60, d=7):
  rng = np.random.default_rng(seed)
  fine = rng.integers(0, 8, n)
  fine[:2] = 0, 7
  levels = [fine, fine // 2, fine // 4]
  levels[0] = np.where(np.arange(n) == 5, -1, levels[0])
  x = rng.normal(size=(n, d)) + rng.normal(size=(8, d))[fine]
  return x, levels


def _loop(x, levels, metric):
  """Each pair at the finest level it shares; distances of scipy."""
  d = distance.squareform(distance.pdist(x, metric))
  groups = [[] for _ in range(len(levels) + 1)]
  for i, j in itertools.combinations(range(len(x)), 2):
    if any(ids[i] < 0 or ids[j] < 0 for ids in levels):
      continue
    shared = [k for k, ids in enumerate(levels) if ids[i] == ids[j]]
    groups[shared[0] if shared else len(levels)].append(d[i, j])
  overall = np.mean(np.concatenate(groups))
  return [np.mean(g) / overall for g in groups], list(map(len, groups))


@pytest.mark.parametrize(
    "kind, metric", [("cosine", "cosine"), ("dot", "sqeuclidean")]
)
def test_is_the_mean_over_pairs(kind, metric, monkeypatch):
  monkeypatch.setattr(hierarchy, "_ROWS", 11)
  x, levels = _world()
  tree = hierarchy.tree(levels)
  wanted, n = _loop(x, levels, metric)
  found = hierarchy.relative_distances(x, tree, kind=kind)
  np.testing.assert_allclose(found, wanted, rtol=1e-10)
  assert hierarchy.pairs(tree).tolist() == n


def test_levels_that_are_not_nested():
  """A pair may share a coarse class and no finer one, or the reverse."""
  x, levels = _world(1)
  levels[2] = np.random.default_rng(2).integers(0, 3, len(x))
  wanted, n = _loop(x, levels, "sqeuclidean")
  tree = hierarchy.tree(levels)
  found = hierarchy.relative_distances(x, tree, kind="dot")
  np.testing.assert_allclose(found, wanted, rtol=1e-10)
  assert hierarchy.pairs(tree).tolist() == n


@pytest.mark.parametrize(
    "kind, metric", [("cosine", "cosine"), ("dot", "sqeuclidean")]
)
def test_distances_of_class_means(kind, metric):
  x, levels = _world(7)
  tree = hierarchy.tree(levels)
  unit = x / np.linalg.norm(x, axis=1, keepdims=True)
  z = unit if kind == "cosine" else x
  means = [z[tree.classes == c].mean(axis=0) for c in range(8)]
  wanted = distance.pdist(means, metric)
  wanted = distance.squareform(wanted / wanted.mean())
  found = hierarchy.class_distances(x, tree, kind=kind)
  np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
  flat = hierarchy.class_distances(np.full((60, 2), 0.1), tree, kind=kind)
  assert not flat.any()


@pytest.mark.parametrize("kind", ["cosine", "dot"])
def test_rotation_and_scale_do_not_matter(kind):
  x, levels = _world(3)
  tree = hierarchy.tree(levels)
  rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(7, 7)))[0]
  before = hierarchy.relative_distances(x, tree, kind=kind)
  after = hierarchy.relative_distances(1e3 * x @ rotation, tree, kind=kind)
  np.testing.assert_allclose(after, before, rtol=1e-10)


def test_weights_repeat_classes():
  """A class that is drawn twice meets others twice, itself never."""
  x, levels = _world(5)
  tree = hierarchy.tree(levels)
  weights = np.array([[2, 1, 0, 1, 3, 0, 1, 1.0]])
  found = hierarchy.relative_distances(x, tree, kind="dot", weights=weights)
  total, n = np.zeros(4), np.zeros(4)
  for i, j in itertools.combinations(range(len(x)), 2):
    a, b = tree.classes[i], tree.classes[j]
    if a < 0 or b < 0:
      continue
    w = weights[0, a] * (weights[0, b] if a != b else 1)
    total[tree.shared[a, b]] += w * ((x[i] - x[j]) ** 2).sum()
    n[tree.shared[a, b]] += w
  wanted = total / n / (total.sum() / n.sum())
  np.testing.assert_allclose(found[0], wanted, rtol=1e-10)


def test_draws_of_one_class_do_not_count():
  x = np.random.default_rng(0).normal(size=(20, 3))
  tree = hierarchy.tree([np.repeat([0, 1], 10)])
  draws = hierarchy.relative_distances(
      x, tree, kind="dot", weights=np.array([[2.0, 0], [1, 1], [0, 2], [1, 1]])
  )
  assert np.isfinite(draws).all(axis=1).tolist() == [False, True] * 2
  assert bootstrap.of_draws(1.0, draws[:, 0]).skipped == 2


def test_interval_covers_the_mean_of_many_classes():
  """Classes drawn from one law: 95 % intervals hold the law's value."""
  rng = np.random.default_rng(6)
  hits = []
  for _ in range(60):
    fine = np.repeat(np.arange(40), 3)
    # Within a class 2 s^2, across 2 (s^2 + 1), per dimension.
    centres = rng.normal(size=(40, 5))
    x = centres[fine] + 0.5 * rng.normal(size=(120, 5))
    tree = hierarchy.tree([fine])
    draws = hierarchy.relative_distances(
        x,
        tree,
        kind="dot",
        weights=hierarchy.resample(tree, rng=rng, resamples=200),
    )
    mean = hierarchy.relative_distances(x, tree, kind="dot")
    n = hierarchy.pairs(tree)
    truth = 0.25 / (0.25 * n[0] + 1.25 * n[1]) * n.sum()
    found = bootstrap.of_draws(mean[0], draws[:, 0])
    hits.append(found.low <= truth <= found.high)
  assert 0.85 <= np.mean(hits) <= 1


def test_what_is_undefined_is_nan():
  tree = hierarchy.tree([np.array([0, 1, 2]), np.array([0, 0, 1])])
  found = hierarchy.relative_distances(
      np.eye(3, dtype=np.float32), tree, kind="dot"
  )
  np.testing.assert_allclose(found, [np.nan, 1, 1])
  flat = hierarchy.relative_distances(np.full((3, 4), 0.1), tree, kind="dot")
  assert np.isnan(flat).all()
  assert bootstrap.of_draws(np.nan, np.ones(5)) is None
  assert bootstrap.of_draws(1.0, np.array([1, np.nan])) is None


@pytest.mark.parametrize(
    "levels, message",
    [
        ([], "at least one level"),
        ([np.zeros(3, int), np.zeros(4, int)], "levels of"),
        ([np.zeros(3, int)], "two classes or more, found 1"),
    ],
)
def test_refuses(levels, message):
  with pytest.raises(AlignetError, match=message):
    hierarchy.tree(levels)
