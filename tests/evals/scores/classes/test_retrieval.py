"""Retrieval against scikit-learn's average precision and by hand."""

import itertools

from alignet.errors import AlignetError
from alignet.evals.scores.classes import retrieval
import numpy as np
import pytest
from sklearn import metrics


@pytest.fixture(name="data")
def _data():
  rng = np.random.default_rng(0)
  return (
      rng.normal(size=(30, 5)),
      rng.integers(0, 4, 30),
      rng.normal(size=(50, 5)),
      rng.integers(0, 4, 50),
  )


@pytest.mark.parametrize("cells", [1, 2**24])
def test_is_scikit_learns(data, cells, monkeypatch):
  monkeypatch.setattr(retrieval, "_CELLS", cells)
  x, y, gallery, labels = data
  y = y.copy()
  y[3] = 9  # Nothing to find.
  found = retrieval.retrieve(x, y, gallery, labels)
  assert found.rows.tolist() == [i for i in range(30) if i != 3]
  cosine = metrics.pairwise.cosine_similarity(x, gallery)
  for i, row in enumerate(found.rows):
    wanted = metrics.average_precision_score(labels == y[row], cosine[row])
    assert found.average_precision[i] == pytest.approx(wanted, abs=1e-10)
    order = np.argsort(-cosine[row])
    for k in (1, 5, 10):
      assert found.recall[k][i] == (y[row] in labels[order[:k]])


def test_among_themselves(data):
  x, y, _, _ = data
  found = retrieval.retrieve(x, y, ks=(1, 29))
  cosine = metrics.pairwise.cosine_similarity(x)
  for i, row in enumerate(found.rows):
    others = np.arange(30) != row
    wanted = metrics.average_precision_score(
        (y == y[row])[others], cosine[row][others]
    )
    assert found.average_precision[i] == pytest.approx(wanted, abs=1e-10)
  assert (found.recall[29] == 1).all()


def _one_order(hit, ks):
  found = np.cumsum(hit)
  precision = (found / np.arange(1, len(hit) + 1))[hit].mean()
  return [precision, *(found[k - 1] > 0 for k in ks)]


@pytest.mark.parametrize("seed", range(10))
def test_is_the_mean_over_all_orders_of_ties(seed):
  rng = np.random.default_rng(seed)
  gallery = np.array([[4, 0], [4, 1], [4, 2.0]])[rng.integers(3, size=7)]
  labels = rng.integers(2, size=7)
  labels[0] = 1
  query, ks = np.array([[4.0, 0]]), (1, 2, 3, 5, 7)
  found = retrieval.retrieve(query, np.array([1]), gallery, labels, ks=ks)
  orders = []
  for order in itertools.permutations(range(7)):
    of_nearness = np.argsort(gallery[[*order], 1], kind="stable")
    orders.append(_one_order(labels[[*order]][of_nearness] == 1, ks))
  wanted = np.mean(orders, axis=0)
  np.testing.assert_allclose(found.average_precision, wanted[0], atol=1e-12)
  for k, recall in zip(ks, wanted[1:]):
    np.testing.assert_allclose(found.recall[k], recall, atol=1e-12)


def test_refused(data):
  x, y, gallery, labels = data
  with pytest.raises(AlignetError, match="k from 1 to 29"):
    retrieval.retrieve(x, y, ks=(30,))
  with pytest.raises(AlignetError, match="no query has an image"):
    retrieval.retrieve(x, y + 10, gallery, labels)
  with pytest.raises(AlignetError, match="NaN"):
    retrieval.retrieve(np.full_like(x, np.nan), y)
