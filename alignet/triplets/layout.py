"""Odd-one-out triplets: layout, canonical order, other people's conventions.

In this project the odd one is **last**: a row (i, j, k) says that i and j are
the most similar pair. The three pair similarities of a row always stand in the
order [s01, s02, s12]. Readers convert once, at the edge, with the functions
here.
"""

from alignet import errors
from alignet.errors import AlignetError
import numpy as np

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Positions compared by each of the three similarities of a row."""

ODD = (2, 1, 0)
"""Position of the odd one when similarity 0, 1 or 2 is the largest."""

COLUMNS = ("last", "first", "middle")
"""Where others put the odd one."""

_ROWS = 2**18  # Rows checked at a time: an array may be a large memory map.


def check(
    triplets: np.ndarray, n: int, *, what: str = "triplets"
) -> np.ndarray:
  """Checks an (m, 3) array of three distinct integers in [0, n) a row.

  Args:
    triplets: (m, 3) integers.
    n: number of objects the integers refer to.
    what: name of the array, for the message.

  Returns:
    The array, unchanged.

  Raises:
    AlignetError: with the first row that breaks the rule.
  """
  triplets = np.asanyarray(triplets)
  if triplets.ndim != 2 or triplets.shape[1] != 3:
    raise AlignetError(
        f"{what}: expected shape (any, 3), found {triplets.shape}"
    )
  if triplets.dtype.kind not in "iu":
    raise AlignetError(
        f"{what}: expected integers, found dtype {triplets.dtype}"
    )
  for start in range(0, len(triplets), _ROWS):
    _check_rows(triplets[start : start + _ROWS], n, what, start)
  return triplets


def _check_rows(block: np.ndarray, n: int, what: str, start: int) -> None:
  outside = ((block < 0) | (block >= n)).any(axis=1)
  i, j, k = block.T
  repeated = (i == j) | (i == k) | (j == k)
  for bad, expected in (
      (outside, f"numbers from 0 to {n - 1}"),
      (repeated, "three distinct numbers"),
  ):
    if bad.any():
      row = int(np.argmax(bad))
      raise AlignetError(
          f"{what}: row {start + row} is {block[row].tolist()}; expected"
          f" {expected}"
      )


def arranged(
    triplets: np.ndarray,
    n: int,
    *,
    odd: str | None = None,
    numbered_from: int | None = None,
    what: str = "triplets",
) -> np.ndarray:
  """Triplets of others in our convention: from 0 on, the odd one last.

  Args:
    triplets: (m, 3) integers.
    n: number of objects the integers refer to.
    odd: column of the odd one, one of `COLUMNS`; None for last.
    numbered_from: number of the first object; None for 0.
    what: name of the array, for the message.

  Raises:
    AlignetError: as `check`; numbers from 1 to n where nobody said so.
  """
  triplets = np.asanyarray(triplets)
  if odd is not None:
    errors.check_choice("odd", odd, COLUMNS)
  if triplets.size and triplets.dtype.kind in "iu":
    low, high = triplets.min(), triplets.max()
    if numbered_from is None and low >= 1 and high == n:
      raise AlignetError(
          f"{what}: expected numbers from 0 to {n - 1}, found {low} to {high};"
          " if they count from 1, pass --numbered_from=1 (numbered_from=1)"
      )
    if numbered_from:
      triplets = triplets.astype(np.int64) - numbered_from
  check(triplets, n, what=what)
  order = {"first": (1, 2, 0), "middle": (0, 2, 1)}.get(odd)
  return triplets if order is None else triplets[:, order]


def check_agreement(
    right: np.ndarray, odd: str | None, *, what: object, flag: str = "--odd"
) -> None:
  """Fails where answers are met less often than by chance.

  Args:
    right: (m,) 1 where the answer is met, 0 where not, shares for ties.
    odd: as it was said; whoever said so is believed.
    what: the answers, for the message.
    flag: that says where the odd one is.

  Raises:
    AlignetError: four standard errors below a third.
  """
  right = np.asarray(right, np.float64)
  below = 1 / 3 - right.mean()
  if odd is None and below > 4 * np.sqrt(2 / 9 / len(right)):
    raise AlignetError(
        f"{what}: {right.mean():.3f} of {len(right)} answers are met, fewer"
        f" than by chance; is the odd one not last? Pass {flag}=first or"
        f" {flag}=middle, or {flag}=last if it is so"
    )


def canonical_order(
    indices: np.ndarray, similarities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Reorders each row so that s01 >= s02 >= s12, the odd one last.

  Ties are broken by index: of the orders that satisfy the inequality, the
  lexicographically smallest row of indices is taken, so that the result does
  not depend on the order of the input row.

  Args:
    indices: (n, 3) integers, three distinct ones a row.
    similarities: (n, 3) finite [s01, s02, s12] of those rows.

  Returns:
    Indices and similarities, both reordered, same dtypes.
  """
  # Start from ascending indices: then stable comparisons break ties by index.
  order = np.argsort(indices, axis=1, kind="stable")
  indices = np.take_along_axis(indices, order, axis=1)
  similarities = permute_similarities(similarities, order)
  # The six orders of three positions, lexicographically: the first one that
  # satisfies both inequalities wins.
  orders = np.array(
      [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
  )
  candidates = similarities[:, _pair_permutations(orders)]
  valid = (candidates[..., 0] >= candidates[..., 1]) & (
      candidates[..., 1] >= candidates[..., 2]
  )
  best = np.argmax(valid, axis=1)
  rows = np.arange(len(indices))
  return (
      np.take_along_axis(indices, orders[best], axis=1),
      candidates[rows, best],
  )


def permute_similarities(
    similarities: np.ndarray, order: np.ndarray
) -> np.ndarray:
  """Similarities of the rows `indices[order]`.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    order: (n, 3) or (3,), a permutation of (0, 1, 2) a row.

  Returns:
    (n, 3) [s01, s02, s12] of the permuted rows.
  """
  pairs = _pair_permutations(np.broadcast_to(order, similarities.shape))
  return np.take_along_axis(similarities, pairs, axis=1)


def _pair_permutations(order: np.ndarray) -> np.ndarray:
  """Columns of [s01, s02, s12] that a permutation of positions selects."""
  # Positions a and b are compared in column a + b - 1.
  return np.stack(
      [order[..., a] + order[..., b] - 1 for a, b in PAIRS], axis=-1
  )


def from_odd_first(triplets: np.ndarray) -> np.ndarray:
  """(n, 3) rows with the odd one first (cblearn's THINGS) -> odd one last."""
  return np.roll(np.asarray(triplets), -1, axis=1)


def from_odd_position(
    triplets: np.ndarray, position: np.ndarray, *, base: int = 1
) -> np.ndarray:
  """Rows plus the position of the odd one (OSF THINGS csv) -> odd one last.

  Args:
    triplets: (n, 3) object numbers counted from `base`.
    position: (n,) position of the odd one counted from `base`.
    base: 1 for the OSF file, 0 where counting starts at zero.

  Returns:
    (n, 3) object numbers from 0, the odd one last, the others in their order.

  Raises:
    AlignetError: a position that is none of the three.
  """
  triplets = np.asarray(triplets) - base
  position = np.asarray(position) - base
  bad = (position < 0) | (position > 2)
  if bad.any():
    row = int(np.argmax(bad))
    raise AlignetError(
        f"row {row}: the odd one's position is {position[row] + base};"
        f" expected {base}, {base + 1} or {base + 2}"
    )
  orders = np.array([(1, 2, 0), (0, 2, 1), (0, 1, 2)])
  return np.take_along_axis(triplets, orders[position], axis=1)


def keys_of_sets(indices: np.ndarray, n: int) -> np.ndarray:
  """A key for the three images of each row, whatever their order.

  Args:
    indices: (m, 3) integers in [0, n).
    n: number of images.

  Returns:
    (m,) keys that can be sorted and compared; equal sets have equal ones.
  """
  rows = np.sort(indices, axis=1).astype(np.int64)
  if n < 2**21:  # Three numbers fit one.
    return (rows[:, 0] * n + rows[:, 1]) * n + rows[:, 2]
  return rows.view([("", np.int64)] * 3).ravel()
