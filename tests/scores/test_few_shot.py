"""Few-shot accuracy against scikit-learn on the same draws."""

from alignet.errors import AlignetError
from alignet.scores import few_shot
import numpy as np
import pytest
from sklearn import neighbors
from sklearn import preprocessing


@pytest.fixture(name="world")
def _world():
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(5, 8))
  labels = rng.integers(0, 5, 200) * 2 + 1
  x = centres[labels // 2] + rng.normal(size=(200, 8))
  return x[:120], labels[:120], x[120:], labels[120:]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("shots", [1, 3])
def test_prototypes_are_the_nearest_centroids(world, shots):
  train, y, test, test_y = world
  found = few_shot.accuracy(
      train,
      y,
      test,
      test_y,
      shots=shots,
      rng=np.random.default_rng(3),
      repeats=4,
  )
  rng, total = np.random.default_rng(3), np.zeros(len(test))
  unit = preprocessing.normalize
  for _ in range(4):
    rows = few_shot.draw(y, shots, rng=rng)
    classes = np.repeat(np.unique(y), shots)
    # Cosine with a mean of any length ranks as distance to it at length 1.
    centroids = neighbors.NearestCentroid().fit(
        unit(train[rows.ravel()]), classes
    )
    model = neighbors.KNeighborsClassifier(1).fit(
        unit(centroids.centroids_), centroids.classes_
    )
    total += model.predict(unit(test)) == test_y
  np.testing.assert_allclose(found, total / 4, atol=1e-10)
  assert 0.3 < found.mean() < 1


def test_draws_are_fair_and_equal_for_equal_generators(world):
  _, y, _, _ = world
  rows = few_shot.draw(y, 6, rng=np.random.default_rng(0))
  assert rows.shape == (5, 6) and len(set(rows.ravel().tolist())) == 30
  assert (y[rows] == np.unique(y)[:, None]).all()
  again = few_shot.draw(y, 6, rng=np.random.default_rng(0))
  np.testing.assert_array_equal(rows, again)
  rng = np.random.default_rng(0)
  seen = np.zeros(len(y))
  for _ in range(300):
    np.add.at(seen, few_shot.draw(y, 2, rng=rng).ravel(), 1)
  expected = 600 / np.bincount(y)[y]
  assert (abs(seen - expected) < 6 * np.sqrt(expected)).all()


@pytest.mark.parametrize(
    "more, message",
    [
        ({"shots": 100}, "at least 100 training rows of each class, found"),
        ({"shots": 0}, "at least one shot"),
        ({"shots": 1, "repeats": 0}, "found 1 and 0"),
    ],
)
def test_refused(world, more, message):
  with pytest.raises(AlignetError, match=message):
    few_shot.accuracy(*world, rng=np.random.default_rng(0), **more)
