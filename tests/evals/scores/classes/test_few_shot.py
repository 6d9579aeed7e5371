"""Few-shot accuracy against scikit-learn on the same draws."""

from alignet.errors import AlignetError
from alignet.evals.scores.classes import few_shot
import numpy as np
import pytest
from scipy import stats
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
  assert found.shape == (4, len(test))
  rng = np.random.default_rng(3)
  unit = preprocessing.normalize
  for of_draw in found:
    rows = few_shot.draw(y, shots, rng=rng)
    classes = np.repeat(np.unique(y), shots)
    # Cosine with a mean of any length ranks as distance to it at length 1.
    centroids = neighbors.NearestCentroid().fit(
        unit(train[rows.ravel()]), classes
    )
    model = neighbors.KNeighborsClassifier(1).fit(
        unit(centroids.centroids_), centroids.classes_
    )
    np.testing.assert_array_equal(of_draw, model.predict(unit(test)) == test_y)
  assert 0.3 < found.mean() < 1


@pytest.mark.parametrize("rows", [1.0, 0.1])
def test_error_is_that_of_other_draws_and_other_rows(rows):
  """Against brute force: how far means of new draws and rows spread."""
  rng = np.random.default_rng(0)
  means, errors, covered = [], [], []
  for _ in range(4000):
    table = 0.6 + 0.3 * rng.normal(size=(5, 1))
    table = table + rows * rng.normal(size=(1, 40)) + rng.normal(size=(5, 40))
    se, freedom = few_shot.error(table)
    half = se * stats.t.ppf(0.975, freedom)
    means.append(table.mean())
    errors.append(se)
    covered.append(abs(means[-1] - 0.6) < half)
  assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(
      np.std(means), rel=0.04
  )
  assert 0.92 < np.mean(covered) < 0.98
  # Over rows alone, as if the draws were all there are, it is far too small.
  truth = np.sqrt(0.3**2 / 5 + rows**2 / 40 + 1 / 200)
  alone = np.sqrt((rows**2 + 1 / 5) / 40)
  assert np.std(means) == pytest.approx(truth, rel=0.04)
  assert alone < 0.82 * truth


def test_error_on_features_by_brute_force():
  """Accuracies of new draws and new test images of the same classes."""
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(5, 8))

  def images(n):
    y = rng.integers(0, 5, n)
    return centres[y] + 1.5 * rng.normal(size=(n, 8)), y

  train, y = images(2000)
  means, errors, paired = [], [], []
  for _ in range(150):
    test, test_y = images(60)
    a, b = (
        few_shot.accuracy(
            train[:, :d],
            y,
            test[:, :d],
            test_y,
            shots=1,
            rng=np.random.default_rng(len(means)),
            repeats=6,
        )
        for d in (8, 5)
    )
    means.append((a.mean(), (a - b).mean()))
    errors.append(few_shot.error(a)[0])
    paired.append(few_shot.error(a - b)[0])
  spread = np.std(means, axis=0)
  for se, wanted in zip((errors, paired), spread):
    assert np.sqrt(np.mean(np.square(se))) == pytest.approx(wanted, rel=0.2)


def test_equal_tables_have_no_error():
  assert few_shot.error(np.ones((3, 4))) == (0, np.inf)


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
        ({"shots": 0}, "shots: expected at least 1"),
        ({"shots": 1, "repeats": 0}, "repeats: .*found 0"),
    ],
)
def test_refused(world, more, message):
  with pytest.raises(AlignetError, match=message):
    few_shot.accuracy(*world, rng=np.random.default_rng(0), **more)
