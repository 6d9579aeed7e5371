"""Equal in mathematics, equal in rank.

A sum in another order, a matrix product in blocks of another size, or another
processor gives a value another last bit. Ranks and maxima would make something
of that bit, so values that differ by rounding only are ties here.
"""

import numpy as np

# What rounding leaves of a thousand sums, as a share of the largest value. Of
# float32 no more than four units in the last place: representations that are
# nearly all alike tell images apart by little more.
_FLOAT64, _FLOAT32 = 1e-12, 2.0**-21


def dense_ranks(values: np.ndarray) -> np.ndarray:
  """Ranks along the last axis without gaps; ties share one.

  Neighbours in sorted order tie when they differ by less than float64's
  rounding, measured by the largest finite value of their row. Float32's would
  be too wide: of a million values all neighbours differ by less.

  Args:
    values: [..., n] numbers, infinite ones allowed; no NaN.

  Returns:
    [..., n] int64 from 0 (the smallest) on.
  """
  values = np.asarray(values, np.float64)
  ranks = np.zeros(values.shape, np.int64)
  if ranks.size:
    order = np.argsort(values, axis=-1, kind="stable")
    ascending = np.take_along_axis(values, order, -1)
    wide = _FLOAT64 * _largest(values)
    new = ascending[..., 1:] > ascending[..., :-1] + wide
    np.put_along_axis(ranks, order[..., 1:], np.cumsum(new, axis=-1), -1)
  return ranks


def descending(values: np.ndarray) -> np.ndarray:
  """Places from the largest to the smallest, [..., n]; ties as they stand."""
  return ordered(values)[0]


def ordered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Places as `descending`, and where each ties with the place before it.

  Args:
    values: [..., n] numbers, infinite ones allowed; no NaN.

  Returns:
    [..., n] places; [..., n] bool, false at the first of each group of ties.
  """
  values = np.asarray(values, np.float64)
  order = np.argsort(-values, axis=-1, kind="stable")
  sorted_ = np.take_along_axis(values, order, -1)
  first, second = sorted_[..., :-1], sorted_[..., 1:]
  tied = np.zeros(values.shape, bool)
  tied[..., 1:] = second >= first - _FLOAT64 * _largest(values)
  # Few rows have ties that their bits do not show.
  hidden = (tied[..., 1:] & (second < first)).any(axis=-1)
  if hidden.any():
    ranks = dense_ranks(values[hidden])
    order[hidden] = np.argsort(-ranks, axis=-1, kind="stable")
  return order, tied


def is_largest(values: np.ndarray) -> np.ndarray:
  """Where the largest of a row stands, [..., n] bool; ties all count."""
  values = np.asarray(values)
  single = values.dtype == np.float32
  values = values if single else values.astype(np.float64)
  wide = (_FLOAT32 if single else _FLOAT64) * _largest(values)
  return values >= values.max(axis=-1, keepdims=True) - wide


def first_largest(values: np.ndarray) -> np.ndarray:
  """Place of the largest of a row, [...] integers; of ties the first."""
  return is_largest(values).argmax(axis=-1)


def _largest(values: np.ndarray) -> np.ndarray:
  """[..., 1] largest finite size of a row."""
  sizes = np.where(np.isfinite(values), np.abs(values), 0)
  return sizes.max(axis=-1, keepdims=True, initial=0)
