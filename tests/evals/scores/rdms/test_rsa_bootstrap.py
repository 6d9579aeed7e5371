"""Bootstrap of RDMs against enlarged matrices."""

from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.evals.scores.rdms import rsa_bootstrap
from alignet.evals.scores.rdms import rsa_partial
import numpy as np
import pytest
from scipy import stats


def _symmetric(values):
  return (values + np.swapaxes(values, -1, -2)) / 2


@pytest.fixture(name="human")
def _human():
  """Five subjects, rounded so that ties occur, around a common structure."""
  rng = np.random.default_rng(0)
  human = np.round(
      _symmetric(rng.random((12, 12)) + rng.random((5, 12, 12))) * 10
  )
  human[:, range(12), range(12)] = 0
  return human


def _enlarged(models, human, given, rng, resamples):
  """Each statistic of enlarged matrices, as scipy and `rsa_partial` give it."""
  n = human.shape[-1]
  found = {name: [] for name in rsa_bootstrap.STATISTICS}
  for _ in range(resamples):
    drawn = rng.integers(n, size=n)
    i, j = np.triu_indices(n, 1)
    keep = drawn[i] != drawn[j]
    i, j = drawn[i[keep]], drawn[j[keep]]
    mean = human.mean(axis=0)[i, j]
    for method in rank_correlation.METHODS:
      name = method.replace("-", "_")
      of = lambda x, y, method=method: rank_correlation.correlate(x, y, method)
      found[name].append([of(m[i, j], mean) for m in models])
      if method != "tau-a":
        found[f"subjects_{name}"].append(
            [np.mean([of(m[i, j], h[i, j]) for h in human]) for m in models]
        )
    x, *design = (
        stats.rankdata(v)
        for v in (mean, *(g[i, j] for g in given), np.ones(len(i)))
    )
    design = np.stack(design, axis=1)
    rest = lambda v, d=design: v - d @ np.linalg.lstsq(d, v)[0]
    found["spearman_given_categories"].append(
        [
            stats.pearsonr(rest(stats.rankdata(m[i, j])), rest(x)).statistic
            for m in models
        ]
    )
  return found


def test_bootstrap_equals_enlarged_matrices(human):
  """Weights give what drawing rows and columns gives, ties included."""
  rng = np.random.default_rng(1)
  models = [np.round(rsa.rdm(rng.normal(size=(12, 4))), 1) for _ in range(2)]
  given = [
      rsa_partial.category_rdm(np.arange(12) % 2),
      rsa_partial.category_rdm(np.arange(12) // 4),
  ]
  found = rsa_bootstrap.draws(
      models, human, given=given, rng=np.random.default_rng(7), resamples=40
  )
  wanted = _enlarged(models, human, given, np.random.default_rng(7), 40)
  assert set(found) == set(rsa_bootstrap.STATISTICS)
  for name, values in found.items():
    np.testing.assert_allclose(values, wanted[name], atol=1e-10, err_msg=name)


def test_what_is_not_asked_for_is_not_computed(human):
  model = rsa.rdm(np.random.default_rng(1).normal(size=(12, 4)))
  found = rsa_bootstrap.draws(
      [model],
      human[:1],
      ("spearman",),
      rng=np.random.default_rng(0),
      resamples=5,
  )
  assert {k: v.shape for k, v in found.items()} == {"spearman": (5, 1)}


def test_undefined_resamples():
  rng = np.random.default_rng(0)
  model = _symmetric(rng.random((3, 3)))
  ask = lambda *a, **more: rsa_bootstrap.draws(*a, ("spearman",), **more)
  draws = ask([model], model[None], rng=rng, resamples=200)["spearman"]
  found = bootstrap.of_draws(1.0, draws[:, 0])
  # All three stimuli must be drawn: 6 of 27 draws.
  assert found.resamples + found.skipped == 200
  assert 20 < found.resamples < 70
  assert found.low == pytest.approx(1) and found.high == pytest.approx(1)
  with pytest.raises(AlignetError, match="resamples: expected at least 2"):
    ask([model], model[None], rng=rng, resamples=1)
  nothing = ask([model[:2, :2]], model[None, :2, :2], rng=rng, resamples=20)
  assert bootstrap.of_draws(1.0, nothing["spearman"][:, 0]) is None


def test_a_category_model_leaves_nothing():
  """What the categories explain in full has no partial correlation."""
  rng = np.random.default_rng(0)
  category = rsa_partial.category_rdm(np.arange(12) % 3)
  human = _symmetric(rng.random((12, 12)))[None]
  found = rsa_bootstrap.draws(
      [category],
      human,
      given=[category],
      rng=rng,
      resamples=20,
      statistics=("spearman", "spearman_given_categories"),
  )
  assert np.isnan(found["spearman_given_categories"]).all()
  assert np.isfinite(found["spearman"]).all()
