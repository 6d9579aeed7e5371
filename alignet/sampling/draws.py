"""Random numbers by counter: row r of seed s is the same in every process."""

import numpy as np

DRAWS = 8
"""Random numbers reserved for a row, more than any rule uses.

A constant: to change it is to change every sampled file.
"""

_PER_COUNTER = 4  # Philox yields four 64-bit numbers a counter value.


def uniforms(seed: int, start: int, stop: int) -> np.ndarray:
  """Uniform numbers of rows start to stop.

  Philox 4x64-10 (Salmon et al. 2011) with the seed as its key; row r has the
  counter values 2r and 2r + 1 for itself.

  Args:
    seed: key, from 0 to 2^128 - 1.
    start: first row.
    stop: row after the last.

  Returns:
    (stop - start, 8) float64, multiples of 2^-53 in [0, 1).
  """
  philox = np.random.Philox(key=seed)
  philox.advance(start * (DRAWS // _PER_COUNTER))
  raw = philox.random_raw((stop - start) * DRAWS)
  return (raw.reshape(-1, DRAWS) >> np.uint64(11)) * 2.0**-53


def integers(u: np.ndarray, m: np.ndarray | int) -> np.ndarray:
  """Maps uniform numbers in [0, 1) to integers in [0, m).

  floor(u * m) with u a multiple of 2^-53: the probability of each integer
  differs from 1 / m by less than 2^-52, which for a million images is one part
  in four billion. For m < 2^53 the product never rounds up to m.
  """
  return (u * m).astype(np.int64)


def distinct(u: np.ndarray, m: np.ndarray | int) -> np.ndarray:
  """Maps (n, c) uniform numbers, c <= 3, to c distinct integers in [0, m).

  All ordered choices are equally likely. Without rejection: the second integer
  is drawn from m - 1 values and moved up by one from the first on, and so on.

  Args:
    u: (n, c) in [0, 1).
    m: number of values, or (n,) of them; at least c.

  Returns:
    (n, c) int64.
  """
  drawn = []
  for column in range(u.shape[1]):
    x = integers(u[:, column], m - column)
    for taken in np.sort(np.array(drawn), axis=0) if drawn else ():
      x += x >= taken
    drawn.append(x)
  return np.stack(drawn, axis=1)


def skip(x: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
  """Moves integers past the interval [start, start + length).

  Integers drawn from m - length values become integers of m values outside of
  the interval. To skip several intervals, take them in ascending order.
  """
  return x + np.where(x >= start, length, 0)
