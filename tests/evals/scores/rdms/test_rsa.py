"""RSA against SciPy, explicit loops and enlarged matrices."""

from alignet.errors import AlignetError
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
import numpy as np
import pytest
from scipy import stats


def _symmetric(values):
  return (values + np.swapaxes(values, -1, -2)) / 2


@pytest.fixture(name="human")
def _human():
  """Five subjects, rounded so that ties occur, around a common structure."""
  rng = np.random.default_rng(0)
  common = rng.random((12, 12))
  noise = rng.random((5, 12, 12))
  human = np.round(_symmetric(common + noise) * 10)
  human[:, range(12), range(12)] = 0
  return human


def _pairs(matrix):
  n = len(matrix)
  return np.array([matrix[i, j] for i in range(n) for j in range(i + 1, n)])


def test_rdm_by_hand():
  x = np.array([[1.0, 0], [1, 1], [0, -2]], np.float16)
  r = np.sqrt(0.5)
  np.testing.assert_allclose(
      rsa.rdm(x),
      [[0, 1 - r, 1], [1 - r, 0, 1 + r], [1, 1 + r, 0]],
      atol=1e-15,
  )
  np.testing.assert_array_equal(
      rsa.rdm(x, "dot"), [[-1, -1, 0], [-1, -2, 2], [0, 2, -4]]
  )
  with pytest.raises(AlignetError, match="row 1 holds a NaN"):
    rsa.rdm(np.array([[0.0], [np.nan]]))


def test_upper_goes_row_by_row(human):
  np.testing.assert_array_equal(rsa.upper(human[0]), _pairs(human[0]))
  np.testing.assert_array_equal(rsa.upper(human)[3], _pairs(human[3]))


def test_correlations_are_scipys(human):
  model = rsa.rdm(np.random.default_rng(1).normal(size=(12, 4)))
  a, b = _pairs(model), _pairs(human[0])
  assert rank_correlation.correlate(a, b, "spearman") == pytest.approx(
      stats.spearmanr(a, b).statistic, abs=1e-12
  )
  assert rank_correlation.correlate(a, b, "pearson") == pytest.approx(
      np.corrcoef(a, b)[0, 1], abs=1e-12
  )
  np.testing.assert_allclose(
      rsa.per_subject(model, human),
      [stats.spearmanr(a, _pairs(h)).statistic for h in human],
      atol=1e-12,
  )
  np.testing.assert_allclose(
      rsa.per_subject(model, human, "pearson"),
      [np.corrcoef(a, _pairs(h))[0, 1] for h in human],
      atol=1e-12,
  )


def test_constant_rdm_is_an_error():
  with pytest.raises(AlignetError, match="found 0.5 everywhere in the second"):
    rank_correlation.correlate(np.arange(3), np.full(3, 0.5), "spearman")


def test_noise_ceiling_spearman_by_loops(human):
  ranks = [stats.rankdata(_pairs(h)) for h in human]
  upper = [stats.spearmanr(r, np.mean(ranks, axis=0)).statistic for r in ranks]
  lower = []
  for i, r in enumerate(ranks):
    others = np.mean([o for j, o in enumerate(ranks) if j != i], axis=0)
    lower.append(stats.spearmanr(r, others).statistic)
  found = rsa.noise_ceiling(human)
  assert found.upper == pytest.approx(np.mean(upper), abs=1e-12)
  assert found.lower == pytest.approx(np.mean(lower), abs=1e-12)
  assert found.lower < found.upper


def test_noise_ceiling_pearson_bounds_every_model(human):
  found = rsa.noise_ceiling(human, "pearson")
  z = np.stack([stats.zscore(_pairs(h)) for h in human])
  upper = [np.corrcoef(v, z.mean(0))[0, 1] for v in z]
  lower = [
      np.corrcoef(v, np.delete(z, i, 0).mean(0))[0, 1] for i, v in enumerate(z)
  ]
  assert found.upper == pytest.approx(np.mean(upper), abs=1e-12)
  assert found.lower == pytest.approx(np.mean(lower), abs=1e-12)
  rng = np.random.default_rng(0)
  for _ in range(50):
    # Models near the best one, which no model passes.
    model = np.zeros((12, 12))
    i, j = np.triu_indices(12, 1)
    model[i, j] = z.mean(0) + 0.1 * rng.normal(size=z.shape[1])
    score = rsa.per_subject(model, human, "pearson").mean()
    assert score <= found.upper + 1e-12


def test_noise_ceiling_of_equal_subjects_is_one(human):
  same = np.stack([human[0]] * 3)
  for method in ("spearman", "pearson"):
    found = rsa.noise_ceiling(same, method)
    assert (found.lower, found.upper) == pytest.approx((1, 1))
  with pytest.raises(AlignetError, match="at least two subjects"):
    rsa.noise_ceiling(human[:1])


def test_check_accepts(human):
  assert rsa.check(human, 12).shape == (5, 12, 12)
  one = human[0].copy()
  one[range(12), range(12)] = np.nan  # never read
  one[0, 1] += 1e-6  # rounding
  assert rsa.check(one, 12).shape == (1, 12, 12)


def test_check_refuses(human):
  with pytest.raises(AlignetError, match=r"shape \(11, 11\).*\(5, 12, 12\)"):
    rsa.check(human, 11)
  with pytest.raises(AlignetError, match="found"):
    rsa.check(human[:0], 12)
  with pytest.raises(AlignetError, match="at least 3 stimuli"):
    rsa.check(human[0, :2, :2], 2)
  bad = human.copy()
  bad[2, 3, 4] = np.nan
  with pytest.raises(AlignetError, match=r"subject 2: entry \(3, 4\) is nan"):
    rsa.check(bad, 12)
  bad = human[0].copy()
  bad[3, 4] += 1
  with pytest.raises(AlignetError, match=r"symmetric.*\(3, 4\)"):
    rsa.check(bad, 12)
  bad = human.copy()
  bad[4] = 7
  with pytest.raises(AlignetError, match="subject 4: all dissimilarities"):
    rsa.check(bad, 12)
  with pytest.raises(AlignetError, match="pass 1 - R"):
    rsa.check(20 - human, 12)
