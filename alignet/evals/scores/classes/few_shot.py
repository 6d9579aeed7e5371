"""Classification from a few images a class.

Each repeat draws `shots` training rows of every class. A test row goes to the
class whose mean of unit-length rows is nearest by cosine (Snell et al. 2017,
with cosine).

Other training rows could have been drawn, and other test rows taken: the error
of the mean is that of a table of r draws by m rows, both of them random
(two-way random effects, one observation a cell). With the mean squares of
draws, of rows and of what is left,

  se^2 = (MS_draws + MS_rows - MS_rest) / (r m),

unbiased for what other draws and other rows would give; at least either of the
first two alone, which chance may undercut. Degrees of freedom are
Satterthwaite's (1946, Biometrics Bulletin 2(6)). The pool that training rows
are drawn from stays what it is.
"""

from alignet import errors
from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.io import files
from alignet.io import progress
from alignet.triplets import similarity
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
  """Whether each test row is classified correctly, in each repeat.

  Args:
    train: (n, d) floats.
    train_labels: (n,) integers.
    test: (m, d) floats.
    test_labels: (m,) integers; a class without training rows is never right.
    shots: rows of each class.
    rng: draws them; equal generators draw equal rows for every model.
    repeats: number of draws.

  Returns:
    (repeats, m) float64 0 or 1; the mean is the accuracy, see `error`.

  Raises:
    AlignetError: lengths that differ, NaN, a class with fewer than `shots`
      training rows.
  """
  for what, x, y in (
      ("train", train, train_labels),
      ("test", test, test_labels),
  ):
    files.check_matrix(x, what, columns=train.shape[1])
    files.check_array(y, f"labels of {what}", shape=(len(x),), kinds="iu")
  errors.check_least(1, shots=shots, repeats=repeats)
  right = np.empty((repeats, len(test)))
  for of_draw in progress.bar(right, desc=f"{shots}-shot", unit="draw"):
    rows = draw(train_labels, shots, rng=rng)
    # Sorted, so that a memory map is read in order.
    rows = np.sort(rows.ravel())
    x, y = np.asarray(train[rows]), train_labels[rows]
    of_draw[:] = _by_prototype(x, y, test, test_labels)
  return right


def error(table: np.ndarray) -> tuple[float, float]:
  """Standard error of a table's mean, and its degrees of freedom.

  Args:
    table: (r, m) of r draws and m rows, such as `accuracy` or the difference of
      two models' on the same draws; two of each or more.
  """
  r, m = table.shape
  grand = table.mean()
  draws = table.mean(axis=1, keepdims=True)
  rows = table.mean(axis=0, keepdims=True)
  degrees = np.array([r - 1, m - 1, (r - 1) * (m - 1)])
  squares = (
      np.array(
          [
              m * ((draws - grand) ** 2).sum(),
              r * ((rows - grand) ** 2).sum(),
              ((table - draws - rows + grand) ** 2).sum(),
          ]
      )
      / degrees
  )
  total = max(squares[0] + squares[1] - squares[2], *squares[:2])
  spread = (squares**2 / degrees).sum()
  freedom = total**2 / spread if spread else np.inf
  return float(np.sqrt(total / (r * m))), float(freedom)


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


def _by_prototype(x, labels, test, test_labels) -> np.ndarray:
  """(m,) chance of the right class; of equally near prototypes any is taken."""
  classes, places = np.unique(labels, return_inverse=True)
  unit = similarity.normalise(x)
  means = np.zeros((len(classes), unit.shape[1]), unit.dtype)
  np.add.at(means, places, unit)
  means = similarity.normalise(means)
  out = np.empty(len(test))
  for start in range(0, len(test), _ROWS):
    rows = slice(start, start + _ROWS)
    block = similarity.normalise(np.asarray(test[rows]))
    nearest = ties.is_largest(block @ means.T)
    right = nearest & (classes == test_labels[rows, None])
    out[rows] = right.sum(axis=1) / nearest.sum(axis=1)
  return out
