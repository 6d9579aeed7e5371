"""Classification from a few images a class.

Each repeat draws `shots` training rows of every class. A test row goes to the
class whose mean of unit-length rows is nearest by cosine (Snell et al. 2017,
with cosine).
"""

from alignet import files
from alignet import progress
from alignet import similarity
from alignet.errors import AlignetError
import numpy as np

_ROWS = 8192


def accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    *,
    shots: int,
    rng: np.random.Generator,
    repeats: int = 10,
) -> np.ndarray:
  """How often each test row is classified correctly, over repeats.

  Args:
    train: (n, d) floats.
    train_labels: (n,) integers.
    test: (m, d) floats.
    test_labels: (m,) integers; a class without training rows is never right.
    shots: rows of each class.
    rng: draws them; equal generators draw equal rows for every model.
    repeats: number of draws.

  Returns:
    (m,) float64 from 0 to 1; the mean is the accuracy.

  Raises:
    AlignetError: lengths that differ, NaN, a class with fewer than `shots`
      training rows.
  """
  for what, x, y in (
      ("train", train, train_labels),
      ("test", test, test_labels),
  ):
    files.check_array(x, what, shape=(None, train.shape[1]))
    files.check_array(y, f"labels of {what}", shape=(len(x),), kinds="iu")
    files.check_finite(x, what)
  if shots < 1 or repeats < 1:
    raise AlignetError(
        "few-shot: expected at least one shot and one repeat, found"
        f" {shots} and {repeats}"
    )
  right = np.zeros(len(test))
  for _ in progress.bar(range(repeats), desc=f"{shots}-shot", unit="draw"):
    rows = draw(train_labels, shots, rng=rng)
    # Sorted, so that a memory map is read in order.
    rows = np.sort(rows.ravel())
    x, y = np.asarray(train[rows]), train_labels[rows]
    right += _by_prototype(x, y, test) == test_labels
  return right / repeats


def draw(
    labels: np.ndarray, shots: int, *, rng: np.random.Generator
) -> np.ndarray:
  """(classes, shots) rows, without replacement, classes ascending.

  Raises:
    AlignetError: a class has fewer rows than that.
  """
  counts = check_shots(labels, shots)
  order = np.argsort(labels, kind="stable")
  ends = np.cumsum(counts)
  return np.stack(
      [
          rng.permutation(order[end - n : end])[:shots]
          for end, n in zip(ends, counts)
      ]
  )


def check_shots(labels: np.ndarray, shots: int) -> np.ndarray:
  """(classes,) rows of each class, ascending, if each has enough.

  Raises:
    AlignetError: a class has fewer rows than `shots`.
  """
  classes, counts = np.unique(labels, return_counts=True)
  if not len(classes) or counts.min() < shots:
    found = (
        "none"
        if not len(classes)
        else f"{counts.min()} of class {classes[counts.argmin()]}"
    )
    raise AlignetError(
        f"few-shot: expected at least {shots} training rows of each class,"
        f" found {found}"
    )
  return counts


def _by_prototype(x, labels, test) -> np.ndarray:
  classes, places = np.unique(labels, return_inverse=True)
  unit = similarity.normalise(x)
  means = np.zeros((len(classes), unit.shape[1]), unit.dtype)
  np.add.at(means, places, unit)
  means = similarity.normalise(means)
  out = np.empty(len(test), classes.dtype)
  for start in range(0, len(test), _ROWS):
    block = similarity.normalise(np.asarray(test[start : start + _ROWS]))
    out[start : start + _ROWS] = classes[(block @ means.T).argmax(axis=1)]
  return out
