"""k-NN against a loop over rows in float64."""

import collections
import itertools
import math

from alignet.errors import AlignetError
from alignet.evals.scores.classes import knn
import numpy as np
import pytest
from sklearn import neighbors
from sklearn import preprocessing


def _brute_force(train, labels, test, k, leave_one_out=False):
  out = []
  train = np.asarray(train, np.float64)
  for row, x in enumerate(np.asarray(test, np.float64)):
    norms = np.linalg.norm(train, axis=1) * np.linalg.norm(x)
    cosine = train @ x / np.where(norms > 0, norms, 1)
    order = sorted(range(len(train)), key=lambda i: (-cosine[i], i))
    if leave_one_out:
      order.remove(row)
    votes = [labels[i] for i in order[:k]]
    counts = collections.Counter(votes)
    out.append(next(v for v in votes if counts[v] == max(counts.values())))
  return np.array(out)


@pytest.fixture(name="data", params=[np.float16, np.float32, np.float64])
def _data(request):
  rng = np.random.default_rng(0)
  labels = rng.integers(5, size=130)
  centres = rng.normal(size=(5, 8))
  x = centres[labels] + 1.5 * rng.normal(size=(130, 8))
  return x.astype(request.param), labels


@pytest.mark.parametrize("k", [1, 2, 10, 90])
def test_train_and_test_equal_brute_force(data, k):
  x, y = data
  expected = _brute_force(x[:90], y[:90], x[90:], k)
  np.testing.assert_array_equal(
      knn.predict(x[:90], y[:90], x[90:], k=k), expected
  )
  np.testing.assert_array_equal(
      knn.accuracy(x[:90], y[:90], x[90:], y[90:], k=k), expected == y[90:]
  )


@pytest.mark.parametrize("k", [1, 5, 20])
def test_equals_scikit_learn(k):
  """Where no vote is tied: scikit-learn takes the lower class, ours the nearer.

  By distances of unit-length rows, which rank as cosines do.
  """
  rng = np.random.default_rng(1)
  y = rng.integers(5, size=400)
  x = rng.normal(size=(5, 8))[y] + 1.5 * rng.normal(size=(400, 8))
  for metric, rows in (
      ("cosine", x),
      ("euclidean", preprocessing.normalize(x)),
  ):
    model = neighbors.KNeighborsClassifier(k, metric=metric, algorithm="brute")
    model.fit(rows[:300], y[:300])
    votes = np.sort(model.predict_proba(rows[300:]), axis=1)
    clear = votes[:, -1] > votes[:, -2]
    assert clear.sum() > 50
    found = knn.predict(x[:300], y[:300], x[300:], k=k)
    np.testing.assert_array_equal(
        found[clear], model.predict(rows[300:])[clear]
    )


@pytest.mark.parametrize("k", [1, 10, 129])
def test_leave_one_out_equals_brute_force(data, k):
  x, y = data
  expected = _brute_force(x, y, x, k, leave_one_out=True)
  np.testing.assert_array_equal(knn.leave_one_out(x, y, k=k), expected == y)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_blocks_do_not_matter(data, rows, monkeypatch):
  x, y = data
  expected = knn.predict(x, y, x, k=10)
  loo = knn.leave_one_out(x, y, k=10)
  monkeypatch.setattr(knn, "_QUERY_ROWS", rows)
  monkeypatch.setattr(knn, "_BASE_ROWS", 13)
  np.testing.assert_array_equal(knn.predict(x, y, x, k=10), expected)
  np.testing.assert_array_equal(knn.leave_one_out(x, y, k=10), loo)


@pytest.mark.parametrize("block", [3, 100])
def test_predictions_of_equal_cosines_go_by_row_and_nearness(
    block, monkeypatch
):
  monkeypatch.setattr(knn, "_BASE_ROWS", block)
  # Rows along the axes: a query along one axis ties with all of its rows.
  rng = np.random.default_rng(0)
  x = np.eye(3)[rng.integers(3, size=40)] * 2.0
  y = rng.integers(4, size=40)
  for k in (1, 2, 3, 4, 7, 20):
    np.testing.assert_array_equal(
        knn.predict(x, y, x, k=k), _brute_force(x, y, x, k)
    )


@pytest.mark.parametrize("seed", range(12))
def test_accuracy_is_the_mean_over_all_orders_of_ties(seed):
  rng = np.random.default_rng(seed)
  x = np.array([[4, 0], [4, 1], [4, 2]])[np.sort(rng.integers(3, size=7))]
  y = rng.integers(3, size=7)
  query = np.array([[4.0, 0]])
  for k in range(1, 8):
    chances = np.zeros(3)
    for order in itertools.permutations(range(7)):
      predicted = _brute_force(x[[*order]], y[[*order]], query, k)
      chances[predicted] += 1 / math.factorial(7)
    found = [knn.accuracy(x, y, query, np.array([c]), k=k)[0] for c in range(3)]
    np.testing.assert_allclose(found, chances, atol=1e-12)


def test_a_network_that_sees_no_difference_is_right_by_chance():
  y = np.repeat(np.arange(5), 40)
  rows = np.random.default_rng(0).permutation(200)
  x = np.full((200, 3), 0.7, np.float32)
  for k in (1, 10, 30):
    found = knn.accuracy(x, y[rows], x, y, k=k)
    np.testing.assert_allclose(found, 1 / 5, atol=1e-12)
    # Own class has one neighbour fewer.
    assert (knn.leave_one_out(x, y, k=k) < 1 / 5).all()


def test_many_neighbours_that_all_tie():
  """More draws than a float can count."""
  y = np.repeat(np.arange(2), 2000)
  x = np.ones((4000, 2))
  found = knn.accuracy(x, y, x[:2], np.array([0, 1]), k=401)
  np.testing.assert_allclose(found, 1 / 2, atol=1e-12)


def test_a_tied_vote_goes_to_the_nearest():
  train = np.array([[1, 0.3], [1, 0.2], [1, 0.1], [1, 0.0]])
  labels = np.array([7, 7, 9, 9])
  assert knn.predict(train, labels, np.array([[1.0, 0]]), k=4) == 9
  assert knn.predict(train, labels, np.array([[1.0, 0.4]]), k=4) == 7


def test_bad_input():
  x, y = np.zeros((4, 2)), np.zeros(4, int)
  with pytest.raises(AlignetError, match="4 rows and 3 labels"):
    knn.predict(x, y[:3], x, k=1)
  with pytest.raises(AlignetError, match="k from 1 to 4.*found 10"):
    knn.predict(x, y, x)
  with pytest.raises(AlignetError, match="k from 1 to 3.*found 4"):
    knn.leave_one_out(x, y, k=4)
  with pytest.raises(AlignetError, match="2 dimensions and test 3"):
    knn.predict(x, y, np.zeros((4, 3)), k=1)
  with pytest.raises(AlignetError, match="row 2 holds a NaN"):
    bad = x.copy()
    bad[2] = np.nan
    knn.leave_one_out(bad, y, k=1)
  with pytest.raises(AlignetError, match="test has no rows"):
    knn.predict(x, y, x[:0], k=1)
  with pytest.raises(AlignetError, match="integers"):
    knn.leave_one_out(x, y.astype(float), k=1)
