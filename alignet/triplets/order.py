"""Canonical order of triplets, one row at a time."""

from alignet.triplets.compiling import kernel
import numpy as np


def canonical(
    indices: np.ndarray, similarities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """What `alignet.triplets.layout.canonical_order` gives, as int32 and float32.

  Args:
    indices: (n, 3) integers that fit int32, three distinct ones a row.
    similarities: (n, 3) float32, finite.

  Returns:
    (n, 3) int32 indices and (n, 3) float32 similarities, s01 >= s02 >= s12, of
    the orders that satisfy it the first by indices.
  """
  new_indices = np.empty((len(indices), 3), np.int32)
  new_similarities = np.empty((len(indices), 3), np.float32)
  _canonical(indices, similarities, new_indices, new_similarities)
  return new_indices, new_similarities


@kernel
def _canonical(indices, similarities, new_indices, new_similarities):
  for row in range(len(indices)):
    i, j, k = indices[row, 0], indices[row, 1], indices[row, 2]
    ij, ik, jk = (
        similarities[row, 0],
        similarities[row, 1],
        similarities[row, 2],
    )
    # Ascending indices first: exchanging two images exchanges two pairs.
    if j < i:
      i, j, ik, jk = j, i, jk, ik
    if k < j:
      j, k, ij, ik = k, j, ik, ij
    if j < i:
      i, j, ik, jk = j, i, jk, ik
    # The six orders of the three, by indices; the first that is sorted.
    if ij >= ik >= jk:
      pass
    elif ik >= ij >= jk:  # i k j
      j, k, ij, ik = k, j, ik, ij
    elif ij >= jk >= ik:  # j i k
      i, j, ik, jk = j, i, jk, ik
    elif jk >= ij >= ik:  # j k i
      i, j, k, ij, ik, jk = j, k, i, jk, ij, ik
    elif ik >= jk >= ij:  # k i j
      i, j, k, ij, ik, jk = k, i, j, ik, jk, ij
    else:  # k j i
      i, k, ij, jk = k, i, jk, ij
    new_indices[row, 0], new_indices[row, 1], new_indices[row, 2] = i, j, k
    new_similarities[row, 0] = ij
    new_similarities[row, 1] = ik
    new_similarities[row, 2] = jk
