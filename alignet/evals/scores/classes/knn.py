"""k-nearest-neighbour classification of frozen representations, by cosine.

Exact search with matrix products over blocks of both the rows that are
classified and the rows that are searched, so that memory does not grow with
either and both may be memory maps.

The k neighbours with the largest cosine vote, one vote each; of neighbours with
equal cosines the one with the lower row number comes first. Of classes with
equally many votes the one whose nearest member is nearest wins. Matrix products
select a few more candidates than k; sums in float64 decide among them, so that
equal rows have equal cosines wherever they stand.
"""

from collections.abc import Iterator

from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.io import files
from alignet.io import progress
from alignet.triplets import similarity
import numpy as np

_QUERY_ROWS = 2048
_BASE_ROWS = 8192
_EXACT_ROWS = 64
_SPARE = 6  # Candidates beyond k: float32 may confuse a few at the border.
_ROUNDING = 1e-6  # Of cosines in float32.


def predict(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    *,
    k: int = 10,
) -> np.ndarray:
  """Labels of test rows from their k nearest training rows.

  Args:
    train: (n, d) floats.
    train_labels: (n,) integers.
    test: (m, d) floats.
    k: number of neighbours.

  Returns:
    (m,) labels, dtype of `train_labels`.

  Raises:
    AlignetError: lengths that differ, NaN, k outside 1 to n.
  """
  _check(train, train_labels, "train", k)
  _check(test, None, "test", 1)
  if test.shape[1] != train.shape[1]:
    raise AlignetError(
        f"k-NN: train has {train.shape[1]} dimensions and test"
        f" {test.shape[1]}; expected the same representations"
    )
  return _predict(train, np.asarray(train_labels), test, k, leave_one_out=False)


def accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    *,
    k: int = 10,
) -> np.ndarray:
  """Whether each test row is classified correctly, (m,) float64 0 or 1.

  Arguments and errors as in `predict`; `test_labels` is (m,) integers. The
  mean is the accuracy.
  """
  _check(test, test_labels, "test", 1)
  predicted = predict(train, train_labels, test, k=k)
  return (predicted == test_labels).astype(np.float64)


def leave_one_out(
    features: np.ndarray, labels: np.ndarray, *, k: int = 10
) -> np.ndarray:
  """Whether each row is classified correctly by the others, (n,) 0 or 1.

  Args:
    features: (n, d) floats.
    labels: (n,) integers.
    k: number of neighbours, the row itself left out.

  Returns:
    (n,) float64.

  Raises:
    AlignetError: lengths that differ, NaN, k outside 1 to n - 1.
  """
  _check(features, labels, "features", k, spare=1)
  labels = np.asarray(labels)
  predicted = _predict(features, labels, features, k, leave_one_out=True)
  return (predicted == labels).astype(np.float64)


def _predict(base, labels, queries, k, *, leave_one_out) -> np.ndarray:
  out = np.empty(len(queries), labels.dtype)
  starts = range(0, len(queries), _QUERY_ROWS)
  for start in progress.bar(starts, desc="k-NN", unit="block"):
    block = slice(start, start + _QUERY_ROWS)
    query = np.asarray(queries[block])
    candidates = _search(
        base,
        similarity.normalise(query),
        min(k + _SPARE, len(base) - leave_one_out),
        start if leave_one_out else None,
    )
    out[block] = _vote(labels[_nearest(base, query, candidates, k)])
  return out


def _search(base, query, k, own_row: int | None) -> np.ndarray:
  """(q, k) rows of the nearest, ascending; row own_row + r left out."""
  best = np.empty((len(query), 0), query.dtype)
  rows = np.empty((len(query), 0), np.int64)
  for start, block in _blocks(base):
    cosine = query @ block.T
    if own_row is not None:
      own = own_row + np.arange(len(query)) - start
      inside = (own >= 0) & (own < len(block))
      cosine[np.flatnonzero(inside), own[inside]] = -np.inf
    top = _top(cosine, min(k, len(block)))
    best = np.concatenate([best, np.take_along_axis(cosine, top, 1)], axis=1)
    rows = np.concatenate([rows, start + top], axis=1)
    top = _top(best, min(k, best.shape[1]))
    best = np.take_along_axis(best, top, 1)
    rows = np.take_along_axis(rows, top, 1)
  return rows


def _nearest(base, query, rows, k) -> np.ndarray:
  """(q, k) of the given rows (q, c), nearest first; ties as they stand."""
  out = np.empty((len(rows), k), np.int64)
  for start in range(0, len(rows), _EXACT_ROWS):
    block = slice(start, start + _EXACT_ROWS)
    x, y = (
        similarity.normalise(np.asarray(z, np.float64))
        for z in (query[block, None], base[rows[block]])
    )
    nearest = ties.descending((x * y).sum(axis=-1))[:, :k]
    out[block] = np.take_along_axis(rows[block], nearest, 1)
  return out


def _blocks(base) -> Iterator[tuple[int, np.ndarray]]:
  for start in range(0, len(base), _BASE_ROWS):
    yield start, similarity.normalise(
        np.asarray(base[start : start + _BASE_ROWS])
    )


def _top(values: np.ndarray, k: int) -> np.ndarray:
  """Columns of the k largest of each row, ascending; ties by column."""
  n = values.shape[1]
  if k == n:
    return np.broadcast_to(np.arange(n), values.shape)
  top = np.argpartition(values, n - k, axis=1)[:, n - k :]
  smallest = np.take_along_axis(values, top, 1).min(axis=1, keepdims=True)
  # Where more than k are as large as the k-th, but for rounding, the partition
  # may have taken any of them.
  for row in np.flatnonzero((values >= smallest - _ROUNDING).sum(axis=1) > k):
    larger = values[row] > smallest[row] + _ROUNDING
    tied = np.flatnonzero((values[row] >= smallest[row] - _ROUNDING) & ~larger)
    larger = np.flatnonzero(larger)
    top[row] = np.concatenate([larger, tied[: k - len(larger)]])
  return np.sort(top, axis=1)


def _vote(labels: np.ndarray) -> np.ndarray:
  """(q, k) labels, nearest first -> (q,) labels."""
  votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
  # argmax takes the first of equal counts: the nearest.
  return labels[np.arange(len(labels)), votes.argmax(axis=1)]


def _check(features, labels, what: str, k: int, spare: int = 0) -> None:
  files.check_matrix(features, what)
  if not len(features):
    raise AlignetError(f"k-NN: {what} has no rows; expected at least one")
  if labels is not None:
    labels = files.check_array(
        labels, f"labels of {what}", shape=(None,), kinds="iu"
    )
    if len(labels) != len(features):
      raise AlignetError(
          f"k-NN: {what} has {len(features)} rows and {len(labels)} labels;"
          " expected one label a row"
      )
  if not 1 <= k <= len(features) - spare:
    raise AlignetError(
        f"k-NN: expected k from 1 to {len(features) - spare}, the number of"
        f" rows that can be neighbours, found {k}"
    )
