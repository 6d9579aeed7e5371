"""The reported dictionaries against formulas written out."""

import json

from alignet.errors import AlignetError
from alignet.evals.scores import summary
import numpy as np
import pytest
from scipy import stats


@pytest.fixture(name="x")
def _x():
  return np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)


@pytest.fixture(name="triplets")
def _triplets():
  rng = np.random.default_rng(1)
  return np.stack([rng.permutation(30)[:3] for _ in range(300)])


@pytest.mark.parametrize("kind", ["dot", "cosine"])
def test_triplets_against_a_loop(x, triplets, kind):
  z = x.astype(np.float64)
  if kind == "cosine":
    z /= np.linalg.norm(z, axis=1, keepdims=True)
  s = np.array(
      [[z[i] @ z[j], z[i] @ z[k], z[j] @ z[k]] for i, j, k in triplets.tolist()]
  )
  correct = s[:, 0] > s[:, 1:].max(axis=1)
  nll = np.log(np.exp(s).sum(axis=1)) - s[:, 0]
  found = summary.of_triplets(x, triplets, similarity=kind)
  assert found["similarity"] == kind
  assert found["n"] == 300
  acc = correct.mean()
  assert found["accuracy"] == pytest.approx(acc)
  assert found["se"] == pytest.approx(np.sqrt(acc * (1 - acc) / 300))
  assert found["nll"] == pytest.approx(nll.mean(), rel=1e-5)
  # Random features know nothing: the fitted temperature says so.
  assert found["nll_fitted"] == pytest.approx(np.log(3), abs=0.03)
  json.dumps(found, allow_nan=False)


def test_fitted_nll_does_not_depend_on_the_scale(x, triplets):
  a = summary.of_triplets(x, triplets, similarity="dot")
  b = summary.of_triplets(x * 32, triplets, similarity="dot")
  assert b["nll"] > a["nll"] + 100
  assert b["nll_fitted"] == pytest.approx(a["nll_fitted"], rel=1e-5)
  assert b["accuracy"] == a["accuracy"]


def test_ties_of_equal_features():
  x = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
  triplets = np.array([[0, 1, 2], [0, 1, 3], [0, 3, 1], [3, 0, 1]])
  found = summary.of_triplets(x, triplets, similarity="cosine")
  assert found["accuracy"] == pytest.approx((1 / 3 + 1) / 4)


def test_triplets_bad_input(x, triplets):
  with pytest.raises(AlignetError, match="from 0 to 9"):
    summary.of_triplets(x[:10], triplets, similarity="dot")
  with pytest.raises(AlignetError, match="at least 2 rows, found 1"):
    summary.of_triplets(x, triplets[:1], similarity="dot")
  x[7, 2] = np.nan
  with pytest.raises(AlignetError, match="row 7 holds a NaN"):
    summary.of_triplets(x, triplets, similarity="dot")


def _human(x, subjects):
  rng = np.random.default_rng(2)
  shape = (subjects, len(x), len(x))
  human = 1 - np.corrcoef(x) + rng.random(shape)
  return human + human.transpose(0, 2, 1)


def test_rdm_against_scipy(x):
  human = _human(x, 4)
  found = summary.of_rdm(x, human, similarity="cosine", resamples=200)
  z = x.astype(np.float64)
  z /= np.linalg.norm(z, axis=1, keepdims=True)
  i, j = np.triu_indices(30, 1)
  model = 1 - (z @ z.T)[i, j]
  mean = human.mean(0)[i, j]
  spearman = stats.spearmanr(model, mean).statistic
  assert found["mean_rdm"]["spearman"] == pytest.approx(spearman)
  assert found["mean_rdm"]["pearson"] == pytest.approx(
      np.corrcoef(model, mean)[0, 1]
  )
  low, high = found["mean_rdm"]["ci"]
  assert low < spearman < high
  values = [stats.spearmanr(model, h[i, j]).statistic for h in human]
  np.testing.assert_allclose(found["per_subject"]["values"], values)
  assert found["per_subject"]["mean"] == pytest.approx(np.mean(values))
  assert 0 < found["ceiling"]["lower"] < found["ceiling"]["upper"] < 1
  json.dumps(found, allow_nan=False)


def test_no_resamples_no_interval(x):
  human = _human(x, 4)
  found = summary.of_rdm(x, human, similarity="cosine", resamples=0)
  with_interval = summary.of_rdm(x, human, similarity="cosine", resamples=20)
  assert with_interval["mean_rdm"].pop("ci")
  assert found == with_interval
  # The correlations alone are those.
  alone = summary.correlations(x, human, similarity="cosine")
  assert alone == {key: found[key] for key in alone}
  assert set(found) - set(alone) == {"ceiling", "mean_ceiling"}


def test_a_single_rdm_has_no_ceiling(x):
  human = _human(x, 1)
  a = summary.of_rdm(x, human[0], similarity="dot", resamples=50)
  b = summary.of_rdm(x, human, similarity="dot", resamples=50)
  assert a == b
  assert a["ceiling"] == {"lower": None, "upper": None}
  assert a["per_subject"]["values"] == [
      pytest.approx(a["mean_rdm"]["spearman"])
  ]
