"""Similarities of pairs of objects from odd-one-out choices.

Of the choices in which two objects were shown together, the share in which
they were kept together (neither was the odd one): an estimate of how similar
people find them, averaged over the third object (Hebart et al. 2020, Nature
Human Behaviour 4). Triplets that were drawn at random give most pairs a few
choices only, so pairs count by the number of theirs, or need a minimum.
"""

import dataclasses

from alignet.errors import AlignetError
from alignet.io import files
from alignet.triplets import layout
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
  """Pairs of objects that were shown together.

  Attributes:
    objects: (p, 2) int64, the smaller number first, sorted.
    kept: (p,) float64, share of the choices that kept them together.
    shown: (p,) int64, number of choices.
  """

  objects: np.ndarray
  kept: np.ndarray
  shown: np.ndarray


def pairs(triplets: np.ndarray, *, minimum: int = 1) -> Pairs:
  """Counts each pair of objects.

  Args:
    triplets: (n, 3) object numbers, the odd one last.
    minimum: fewest choices of a pair that is to count.

  Returns:
    The pairs with that many choices.

  Raises:
    AlignetError: no triplets, numbers that are not three different ones.
  """
  triplets = files.check_array(triplets, "triplets", shape=(None, 3))
  if not len(triplets):
    raise AlignetError("triplets: expected at least one, found none")
  n = int(triplets.max()) + 1
  triplets = layout.check(triplets, n).astype(np.int64)
  codes = np.concatenate(
      [
          np.minimum(triplets[:, a], triplets[:, b]) * n
          + np.maximum(triplets[:, a], triplets[:, b])
          for a, b in layout.PAIRS
      ]
  )
  # The first column of similarities is that of the pair kept together.
  together = np.zeros(len(codes))
  together[: len(triplets)] = 1
  names, place = np.unique(codes, return_inverse=True)
  shown = np.bincount(place)
  kept = np.bincount(place, together) / shown
  used = shown >= minimum
  return Pairs(
      objects=np.stack([names // n, names % n], axis=1)[used],
      kept=kept[used],
      shown=shown[used],
  )
