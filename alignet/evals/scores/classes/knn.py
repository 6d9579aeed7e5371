"""k-nearest-neighbour classification of frozen representations, by cosine.

Exact search with matrix products over blocks of both the rows that are
classified and the rows that are searched, so that memory does not grow with
either and both may be memory maps.

The k neighbours with the largest cosine vote, one vote each. Of classes with
equally many votes the one whose nearest member is nearest wins. Matrix products
select a few more candidates than k; sums in float64 decide among them, so that
equal rows have equal cosines wherever they stand.

Neighbours with equal cosines count as in random order: an accuracy is the
chance of the right class. A prediction is of the order in which they stand.
"""

from collections.abc import Iterator
import fractions
import functools
import math

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
  _check_both(train, train_labels, test, k)
  return _predict(train, np.asarray(train_labels), test, k)


def _check_both(train, train_labels, test, k) -> None:
  _check(train, train_labels, "train", k)
  _check(test, None, "test", 1)
  if test.shape[1] != train.shape[1]:
    raise AlignetError(
        f"k-NN: train has {train.shape[1]} dimensions and test"
        f" {test.shape[1]}; expected the same representations"
    )


def accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    *,
    k: int = 10,
) -> np.ndarray:
  """Whether each test row is classified correctly, (m,) float64 from 0 to 1.

  Arguments and errors as in `predict`; `test_labels` is (m,) integers. The
  mean is the accuracy.
  """
  _check_both(train, train_labels, test, k)
  _check(test, test_labels, "test", 1)
  return _right(train, np.asarray(train_labels), test, test_labels, k)


def leave_one_out(
    features: np.ndarray, labels: np.ndarray, *, k: int = 10
) -> np.ndarray:
  """Whether each row is classified correctly by the others, (n,) from 0 to 1.

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
  return _right(features, labels, features, labels, k, leave_one_out=True)


def _right(
    base, labels, queries, truth, k, *, leave_one_out=False
) -> np.ndarray:
  """(m,) chance that each query is given its class."""
  out = np.empty(len(queries))
  for block, query, rows, tied in _nearest(base, queries, k, leave_one_out):
    right = (_vote(labels[rows[:, :k]]) == truth[block]).astype(np.float64)
    for i in np.flatnonzero(tied[:, : k + 1].any(axis=1)):
      row, ties_ = rows[i], tied[i]
      if ties_[k:].all():  # More than the candidates may tie.
        own = block.start + i if leave_one_out else None
        row, ties_ = _all_in_order(base, query[i], own)
      right[i] = _chance(labels[row] == truth[block][i], labels[row], ties_, k)
    out[block] = right
  return out


def _all_in_order(base, query, own) -> tuple[np.ndarray, np.ndarray]:
  """All rows, nearest first, and where each ties with the one before it."""
  query = similarity.normalise(np.asarray(query, np.float64))
  cosine = np.concatenate(
      [
          (similarity.normalise(np.asarray(x, np.float64)) * query).sum(axis=-1)
          for x in (
              base[start : start + _EXACT_ROWS]
              for start in range(0, len(base), _EXACT_ROWS)
          )
      ]
  )
  rows = np.arange(len(base))
  if own is not None:
    cosine, rows = np.delete(cosine, own), np.delete(rows, own)
  order, tied = ties.ordered(cosine)
  return rows[order], tied


def _chance(own, labels, tied, k) -> float:
  """Chance that the class of `own` wins among the k first, ties at random.

  Args:
    own: (c,) bool, neighbours of the right class, nearest first.
    labels: (c,) their classes.
    tied: (c,) bool, whether each ties with the one before.
    k: how many vote.
  """
  group = np.cumsum(~tied)
  inside = group <= group[k - 1]  # Up to the group of the k-th, and all of it.
  classes, place = np.unique(labels[inside], return_inverse=True)
  table = np.zeros((group[k - 1], len(classes)), np.int64)
  np.add.at(table, (group[inside] - 1, place), 1)
  if not own[inside].any():
    return 0.0
  right = int(place[np.flatnonzero(own[inside])[0]])
  # What one class contributes: votes before the last group, how many it has in
  # that, the first group it is in, and how many it has there.
  first = (table > 0).argmax(axis=0)
  before, there = table[:-1].sum(axis=0), table[first, np.arange(len(classes))]
  what = np.stack([before, table[-1], first, there], axis=1).tolist()
  own_counts = tuple(what.pop(right))
  others = tuple(sorted(map(tuple, what)))
  m = k - int(before.sum())
  return _of_counts(own_counts, others, m, len(table) - 1)


@functools.lru_cache(maxsize=4096)
def _of_counts(own, others, m: int, last: int) -> float:
  """As `_chance`: m of the last group vote, drawn without replacement.

  For each number of votes of the right class, counts the draws of the others in
  which none has more. Classes with equally many votes whose nearest members are
  in one group come first with chances as their numbers of members there.
  """
  base, some, first, members = own
  total = some + sum(n for _, n, _, _ in others)
  chance = fractions.Fraction()  # Numbers of draws overflow a float.
  for x in range(min(m, some) + 1):
    votes = base + x
    if not votes:
      continue
    ways = {(0, 0): math.comb(some, x)}  # (drawn, rivals' members).
    for b, n, f, w in others:
      ways = _with_class(ways, (b, n, f, w), votes, m - x, first, last)
    mine = members if first != last else votes
    for (drawn, rivals), number in ways.items():
      if drawn == m - x:
        chance += fractions.Fraction(number * mine, mine + rivals)
  return float(chance / math.comb(total, m))


def _with_class(ways, other, votes, most, first, last) -> dict:
  """Draws so far, with those of another class that does not win outright."""
  b, n, f, w = other
  out: dict[tuple[int, int], int] = {}
  for x in range(min(n, most, votes - b) + 1):
    rivals = 0
    if b + x == votes:
      if f < first:
        continue  # Its nearest member is nearer.
      if f == first:
        rivals = w if f != last else votes
    number = math.comb(n, x)
    for (drawn, before), count in ways.items():
      if drawn + x <= most:
        key = drawn + x, before + rivals
        out[key] = out.get(key, 0) + count * number
  return out


def _predict(base, labels, queries, k) -> np.ndarray:
  out = np.empty(len(queries), labels.dtype)
  for block, _, rows, _ in _nearest(base, queries, k, False):
    out[block] = _vote(labels[rows[:, :k]])
  return out


def _nearest(base, queries, k, leave_one_out):
  """Blocks of queries: slice, (q, d), (q, c) nearest rows and their ties."""
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
    yield block, query, *_in_order(base, query, candidates)


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


def _in_order(base, query, rows) -> tuple[np.ndarray, np.ndarray]:
  """The given rows (q, c), nearest first, and where each ties with the last."""
  out, tied = np.empty(rows.shape, np.int64), np.empty(rows.shape, bool)
  for start in range(0, len(rows), _EXACT_ROWS):
    block = slice(start, start + _EXACT_ROWS)
    x, y = (
        similarity.normalise(np.asarray(z, np.float64))
        for z in (query[block, None], base[rows[block]])
    )
    order, tied[block] = ties.ordered((x * y).sum(axis=-1))
    out[block] = np.take_along_axis(rows[block], order, 1)
  return out, tied


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
