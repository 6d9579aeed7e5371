"""Partial correlation against the precision matrix of SciPy's ranks."""

from alignet.errors import AlignetError
from alignet.evals.scores.rdms import rsa
from alignet.evals.scores.rdms import rsa_partial
import numpy as np
import pytest
from scipy import stats


def _rdm(rng, n=14):
  values = rng.random((n, n))
  return values + values.T


@pytest.mark.parametrize("method", ["spearman", "pearson"])
@pytest.mark.parametrize("given", [1, 2])
def test_is_that_of_the_precision_matrix(method, given):
  rng = np.random.default_rng(given)
  shared = _rdm(rng)
  rdms = [_rdm(rng) + shared for _ in range(2)]
  others = [shared, _rdm(rng)][:given]
  vectors = np.stack([rsa.upper(r) for r in (*rdms, *others)])
  if method == "spearman":
    vectors = stats.rankdata(vectors, axis=1)
  precision = np.linalg.inv(np.corrcoef(vectors))
  wanted = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
  found = rsa_partial.partial_correlation(*rdms, others, method)
  assert found == pytest.approx(wanted, abs=1e-10)


def test_without_others_it_is_the_correlation():
  rng = np.random.default_rng(0)
  a, b = _rdm(rng), _rdm(rng)
  wanted = stats.spearmanr(rsa.upper(a), rsa.upper(b)).statistic
  assert rsa_partial.partial_correlation(a, b, []) == pytest.approx(
      wanted, abs=1e-10
  )


def test_what_categories_explain_is_taken_out():
  rng = np.random.default_rng(0)
  categories = rsa_partial.category_rdm(np.repeat(["x", "y"], 7))
  assert categories[0, 6] == 0 and categories[0, 7] == 1
  a = categories + 0.01 * _rdm(rng)
  b = categories + 0.01 * _rdm(rng)
  plain = rsa_partial.partial_correlation(a, b, [], "pearson")
  partial = rsa_partial.partial_correlation(a, b, [categories], "pearson")
  assert plain > 0.99 and abs(partial) < 0.3
  with pytest.raises(AlignetError, match="nothing is left of the model"):
    rsa_partial.partial_correlation(2 * categories + 1, b, [categories])


def test_tau_has_no_residuals():
  a = _rdm(np.random.default_rng(0))
  with pytest.raises(AlignetError, match="found 'tau-a'"):
    rsa_partial.partial_correlation(a, a, [], "tau-a")
