"""Human odd-one-out judgments of concepts, with their uncertainty.

A row is a triplet of concept numbers, the odd one last, and the probability
that each pair is judged the most similar one, in the order [s01, s02, s12]. A
hard choice is the row (1, 0, 0).
"""

from collections.abc import Sequence
import dataclasses
import itertools
import math

from alignet.errors import AlignetError
from alignet.io import files
from alignet.triplets import checks
from alignet.triplets import layout
from alignet.triplets import similarity
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judgments:
  """Checked judgments; build them with the functions of this module.

  Attributes:
    triplets: (n, 3) int32 concept numbers, three distinct ones a row.
    probabilities: (n, 3) float32 of [s01, s02, s12], rows sum to one.
    n_concepts: concept numbers are below it.
    participants: (n,) integers, who chose, or None where that is not known or
      where rows are no single person's.
  """

  triplets: np.ndarray
  probabilities: np.ndarray
  n_concepts: int
  participants: np.ndarray | None = None

  def __post_init__(self):
    n = len(self.triplets)
    for name, shape in (
        ("triplets", (n, 3)),
        ("probabilities", (n, 3)),
        ("participants", (n,)),
    ):
      found = getattr(self, name)
      if found is not None and found.shape != shape:
        raise AlignetError(
            f"{name}: expected shape {shape}, one row a judgment, found"
            f" {found.shape}"
        )

  def __len__(self) -> int:
    return len(self.triplets)


def from_choices(
    triplets: np.ndarray,
    probabilities: np.ndarray | None = None,
    *,
    n_concepts: int,
    participants: np.ndarray | None = None,
) -> Judgments:
  """Judgments from choices, or from triplets with their probabilities.

  Args:
    triplets: (n, 3) integers in [0, n_concepts), the odd one last.
    probabilities: (n, 3) of [s01, s02, s12]; None for hard choices.
    n_concepts: number of concepts.
    participants: (n,) integers, who chose; None where that is not known.

  Returns:
    The judgments; rows of probabilities are rescaled to sum to one exactly.

  Raises:
    AlignetError: with the row: a number out of range, a repeated concept,
      probabilities that are negative, NaN or do not sum to one, lengths that
      differ, no rows.
  """
  triplets = layout.check(triplets, n_concepts)
  if not len(triplets):
    raise AlignetError("triplets: expected at least one row, found none")
  if probabilities is None:
    probabilities = np.zeros(triplets.shape, np.float32)
    probabilities[:, 0] = 1
  else:
    probabilities = checks.probabilities(probabilities, len(triplets))
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities = (probabilities / total).astype(np.float32)
  if participants is not None:
    files.check_array(
        participants, "participants", shape=(len(triplets),), kinds="iu"
    )
  return Judgments(
      triplets=triplets.astype(np.int32),
      probabilities=probabilities,
      n_concepts=n_concepts,
      participants=participants,
  )


def from_embedding(
    embedding: np.ndarray,
    *,
    concepts: Sequence[int] | np.ndarray | None = None,
    max_triplets: int = 1_000_000,
    seed: int = 0,
) -> Judgments:
  """What a point embedding says about triplets of concepts (`soft_point`).

  The probabilities are the softmax of the three dot products. They carry no
  posterior uncertainty: uncertainty distillation proper (Muttenthaler et al.
  2025) averages this softmax over the embedding's posterior.

  Args:
    embedding: (n_concepts, k) floats.
    concepts: the concepts to use; None for all.
    max_triplets: all triplets of these concepts where there are no more than
      this, otherwise so many drawn uniformly, with replacement.
    seed: of that draw.

  Returns:
    The judgments.

  Raises:
    AlignetError: another shape, a NaN, fewer than three concepts.
  """
  embedding = files.check_matrix(embedding, "embedding", kinds="f")
  n = len(embedding)
  concepts = np.arange(n) if concepts is None else np.unique(concepts)
  if len(concepts) < 3:
    raise AlignetError(
        f"embedding: expected at least 3 concepts, found {len(concepts)}"
    )
  if math.comb(len(concepts), 3) <= max_triplets:
    rows = np.array(list(itertools.combinations(range(len(concepts)), 3)))
  else:
    rows = random_triplets(len(concepts), max_triplets, seed=seed)
  return of_embedding(embedding, concepts[rows])


def of_embedding(embedding: np.ndarray, triplets: np.ndarray) -> Judgments:
  """What a point embedding says about given triplets, see `from_embedding`.

  Args:
    embedding: (n_concepts, k) finite floats.
    triplets: (m, 3) integers in [0, n_concepts), three distinct ones a row.

  Returns:
    The judgments, in the order of the triplets.
  """
  s = similarity.of_triplets(embedding, triplets, "dot")
  return Judgments(
      triplets=triplets.astype(np.int32),
      probabilities=similarity.choice_probabilities(s).astype(np.float32),
      n_concepts=len(embedding),
  )


def take(judgments: Judgments, rows: np.ndarray | slice) -> Judgments:
  """Some of the rows, in that order."""
  who = judgments.participants
  return dataclasses.replace(
      judgments,
      triplets=judgments.triplets[rows],
      probabilities=judgments.probabilities[rows],
      participants=None if who is None else who[rows],
  )


def within(judgments: Judgments, kept: np.ndarray) -> Judgments:
  """The judgments of which all three concepts are among the `kept` ones.

  Args:
    judgments: any.
    kept: (n_concepts,) bool.

  Returns:
    Those rows in their order; concept numbers do not change. How many were
    dropped is the difference of the lengths.
  """
  return take(judgments, kept[judgments.triplets].all(axis=1))


def renumber(judgments: Judgments, number: np.ndarray) -> Judgments:
  """The judgments under new numbers of the concepts.

  Args:
    judgments: any.
    number: (n_concepts,) new number of each, from 0 on; -1 for concepts whose
      judgments are left out.

  Returns:
    Those rows in their order.
  """
  kept = within(judgments, number >= 0)
  return dataclasses.replace(
      kept,
      triplets=number[kept.triplets].astype(np.int32),
      n_concepts=int(number.max()) + 1,
  )


def folds(concepts: np.ndarray, n_folds: int, *, seed: int) -> list[np.ndarray]:
  """Splits concepts at random into disjoint folds of nearly equal size."""
  order = np.random.default_rng([seed, 0x666F6C64]).permutation(concepts)
  return [np.sort(fold) for fold in np.array_split(order, n_folds)]


def blocked_folds(
    concepts: np.ndarray, blocks: np.ndarray, n_folds: int, *, seed: int
) -> list[np.ndarray]:
  """Disjoint folds of concepts that keep each block in one fold.

  Blocks, the large ones first and equal ones in a random order, go to the fold
  that has the fewest concepts.

  Args:
    concepts: (n,) concept numbers.
    blocks: (n,) category of each.
    n_folds: number of folds.
    seed: of the order.

  Raises:
    AlignetError: fewer blocks than folds.
  """
  names, place = np.unique(blocks, return_inverse=True)
  if len(names) < n_folds:
    raise AlignetError(
        f"expected at least {n_folds} categories of concepts, one a fold, found"
        f" {len(names)}"
    )
  rng = np.random.default_rng([seed, 0x626C6F63])
  sizes, fold_of = np.zeros(n_folds, int), np.empty(len(names), int)
  count = np.bincount(place)
  # Large ones first, so that the folds come out nearly equal.
  for block in sorted(rng.permutation(len(names)), key=lambda b: -count[b]):
    fold_of[block] = sizes.argmin()
    sizes[fold_of[block]] += count[block]
  return [np.sort(concepts[fold_of[place] == f]) for f in range(n_folds)]


def inner_folds(
    n: int, most: int, *, seed: int, blocks: np.ndarray | None
) -> list[np.ndarray]:
  """Disjoint folds of concepts 0 to n - 1, as many as there can be.

  Args:
    n: number of concepts.
    most: folds at most.
    seed: of the order.
    blocks: (n,) category of each, each in one fold; None deals concepts out one
      by one.
  """
  if blocks is None:
    return folds(np.arange(n), min(most, n), seed=seed)
  most = min(most, len(np.unique(blocks)))
  return blocked_folds(np.arange(n), blocks, most, seed=seed)


def split(
    judgments: Judgments, held_out: np.ndarray
) -> tuple[Judgments, Judgments, int]:
  """Object-disjoint split of judgments.

  Args:
    judgments: any.
    held_out: (n_concepts,) bool.

  Returns:
    The judgments of training concepts only, those of held-out concepts only,
    and the number of rows dropped because they mix the two.
  """
  train, held = within(judgments, ~held_out), within(judgments, held_out)
  return train, held, len(judgments) - len(train) - len(held)


def sample_choices(judgments: Judgments, *, seed: int) -> Judgments:
  """Hard choices drawn from the probabilities: what single people would say.

  Args:
    judgments: with probabilities.
    seed: of the draw; row r depends on it and r only.

  Returns:
    As many rows, the pair chosen first and the odd one last.
  """
  rng = np.random.default_rng([seed, 0x63686F69])
  cumulative = judgments.probabilities.astype(np.float64).cumsum(axis=1)
  u = rng.random((len(judgments), 1)) * cumulative[:, -1:]
  pair = (u >= cumulative).sum(axis=1).clip(0, 2)
  order = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[pair]
  return from_choices(
      np.take_along_axis(judgments.triplets, order, axis=1),
      n_concepts=judgments.n_concepts,
  )


def random_triplets(n: int, m: int, *, seed: int) -> np.ndarray:
  """(m, 3) integers below n, three distinct ones a row; rows may repeat."""
  rng = np.random.default_rng([seed, 0x74726970])
  i, j, k = rng.integers(0, [n, n - 1, n - 2], (m, 3)).T
  # The j-th of the others, then the k-th of those that are left.
  j = j + (j >= i)
  low, high = np.minimum(i, j), np.maximum(i, j)
  k = k + (k >= low)
  k = k + (k >= high)
  return np.stack([i, j, k], axis=1)
