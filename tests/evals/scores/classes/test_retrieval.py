"""Retrieval against scikit-learn's average precision and by hand."""

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


def test_ties_go_by_row():
  gallery = np.array([[1.0, 0], [1, 0], [0, 1]])
  found = retrieval.retrieve(
      np.array([[1.0, 0]]), np.array([7]), gallery, np.array([5, 7, 7]), ks=(1,)
  )
  # Ranks 2 and 3 are of the class: (1/2 + 2/3) / 2.
  assert found.average_precision[0] == pytest.approx((1 / 2 + 2 / 3) / 2)
  assert found.recall[1][0] == 0


def test_refused(data):
  x, y, gallery, labels = data
  with pytest.raises(AlignetError, match="k from 1 to 29"):
    retrieval.retrieve(x, y, ks=(30,))
  with pytest.raises(AlignetError, match="no query has an image"):
    retrieval.retrieve(x, y + 10, gallery, labels)
  with pytest.raises(AlignetError, match="NaN"):
    retrieval.retrieve(np.full_like(x, np.nan), y)
