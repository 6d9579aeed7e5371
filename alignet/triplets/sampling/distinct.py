"""Triplets that come once: a pass over rows that tells which to leave out.

Two rows are the same triplet when they hold the same three images, in whatever
order. Of equal rows the first is kept, and none that other files hold. Rows are
drawn again rather than kept: they fall into parts by their images, and each
part is looked at in a walk of its own over all rows. That takes about 64 bytes
of memory for each of four million rows, and one bit a row.
"""

from collections.abc import Sequence

from alignet.errors import AlignetError
from alignet.triplets.sampling.plans import Plan
import numpy as np

PART = 2**22
"""Rows looked at together; the result does not depend on it."""

_BLOCK = 2**20
_MOST = 20  # Rows drawn for each that is kept, beyond which we give up.


def candidates(
    plan: Plan, n: int, *, seed: int, avoid: Sequence[np.ndarray] = ()
) -> np.ndarray:
  """Which rows of a seed to keep for n distinct triplets.

  Args:
    plan: what to draw from.
    n: triplets wanted.
    seed: of the rows.
    avoid: (m, 3) arrays of triplets to leave out, possibly memory maps.

  Returns:
    (ceil(rows / 8),) uint8, bits of the rows from 0 on, little endian, one set
    for each that is kept: n altogether, the last row among them.

  Raises:
    AlignetError: the labels do not allow n such triplets, or so few more that
      they would hardly be found.
  """
  taken = sum(map(len, avoid))
  # A few more at once: another walk costs as much as all of the first.
  rows = n + n // 64 + 64
  while True:
    kept = _first_times(plan, rows, seed, avoid)
    found = int(np.bitwise_count(kept).sum())
    if found >= n:
      return _first(kept, n)
    if rows > _MOST * n + taken + 10_000:
      raise AlignetError(
          f"{rows} rows hold {found} distinct triplets, expected {n}; ask for"
          " fewer, or sample without the demand that they be distinct"
      )
    wanted = int(1.1 * (n - found) * rows / max(found, 1)) + 64
    # What few rows foretell may be far off: those to avoid may be the very rows
    # this seed begins with. So no step goes much beyond what is there.
    rows += min(wanted, rows + taken)


def _first_times(
    plan: Plan, rows: int, seed: int, avoid: Sequence[np.ndarray]
) -> np.ndarray:
  """Bits of the rows that are the first of their triplet, and not avoided."""
  bits = np.full(-(-rows // 8), 255, np.uint8)
  if rows % 8:
    bits[-1] = (1 << rows % 8) - 1
  parts = -(-(rows + sum(map(len, avoid))) // PART)
  for part in range(parts):
    keys, numbers = [], []
    for array in avoid:
      for start in range(0, len(array), _BLOCK):
        found, which = _keys(array[start : start + _BLOCK], part, parts)
        keys.append(found)
        numbers.append(np.full(len(which), -1))
    for start in range(0, rows, _BLOCK):
      block = plan.rows(seed, start, min(start + _BLOCK, rows))
      found, which = _keys(block, part, parts)
      keys.append(found)
      numbers.append(which + start)
    keys, numbers = np.concatenate(keys), np.concatenate(numbers)
    # Stable: of equal triplets the avoided one, then the earliest, is first.
    order = np.lexsort(keys.T)
    keys = keys[order]
    again = (keys[1:] == keys[:-1]).all(axis=1)
    repeats = numbers[order[1:][again]]
    repeats = repeats[repeats >= 0]
    np.bitwise_and.at(
        bits, repeats >> 3, ~(1 << (repeats & 7)).astype(np.uint8)
    )
  return bits


def _keys(
    rows: np.ndarray, part: int, parts: int
) -> tuple[np.ndarray, np.ndarray]:
  """Sorted image numbers of the rows of a part, two words each; which rows."""
  i, j, k = np.sort(np.asarray(rows), axis=1).astype(np.uint64).T
  low = i << np.uint64(32) | j
  mixed = (low ^ k * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(
      0xBF58476D1CE4E5B9
  )
  which = np.flatnonzero((mixed >> np.uint64(32)) % np.uint64(parts) == part)
  return np.stack([k[which], low[which]], axis=1), which


def _first(bits: np.ndarray, n: int) -> np.ndarray:
  """The bits up to the n-th that is set."""
  counts = np.cumsum(np.bitwise_count(bits), dtype=np.int64)
  byte = int(np.searchsorted(counts, n))
  bits = bits[: byte + 1].copy()
  surplus = int(counts[byte]) - n
  while surplus:
    bits[-1] &= (1 << int(bits[-1]).bit_length() - 1) - 1
    surplus -= 1
  return bits
