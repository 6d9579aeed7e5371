"""What two models disagree on most: pairs within classes, and triplets."""

from collections.abc import Iterator
import dataclasses
import itertools

from alignet import errors
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals.model import Model
from alignet.evals.scores import ties
from alignet.triplets import layout
from alignet.triplets import similarity
import numpy as np

_CONSTANT = 1e-9
"""Similarities that vary by less of their size are rounding, no structure."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
  """Pairs of images of one class, by class, the model's direction first.

  Attributes:
    images: (n, 2) rows of the representations, ascending in each pair.
    classes: (n,) number of the class.
    similarities: (n, 2) float64, of the model and of the baseline.
    z: (n, 2) float64, the same in standard deviations from the mean of all
      pairs of the class.
    left_out: numbers of classes with fewer than three images, or whose pairs
      are all alike to one of the models.
  """

  images: np.ndarray
  classes: np.ndarray
  similarities: np.ndarray
  z: np.ndarray
  left_out: tuple[int, ...]

  def __len__(self) -> int:
    return len(self.images)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Triplets:
  """Triplets whose odd one two models disagree on, the worst first.

  Attributes:
    rows: (n,) where they stand among the model's rows.
    baseline_rows: (n,) where they stand among the baseline's.
    images: (n, 3) image numbers, ascending in each triplet.
    odd: (n, 2) position (0, 1, 2) of the odd one of the model and of the
      baseline.
    divergence: (n,) float64 Jensen-Shannon divergence of the two choice
      probabilities, nats, at most log 2.
  """

  rows: np.ndarray
  baseline_rows: np.ndarray
  images: np.ndarray
  odd: np.ndarray
  divergence: np.ndarray

  def __len__(self) -> int:
    return len(self.rows)


def pairs(
    model: Model,
    baseline: Model,
    labels: Labels,
    *,
    n: int = 2,
    max_images: int = 2000,
    seed: int = 0,
) -> Pairs:
  """Pairs of each class whose z-scored similarities differ most.

  Similarities are z-scored over all pairs of a class, for each model on its
  own, so that neither the models' scales nor how tight a class is matter.

  Args:
    model: representations.
    baseline: another model's of the same images, in the same order.
    labels: (images,) classes; images without one are left out.
    n: pairs of each class that are more alike to the model than to the
      baseline, and as many that are less alike. No image is in two of them as
      long as there are others; a class with too few pairs gives fewer.
    max_images: a class with more is represented by so many, drawn at random.
    seed: of that draw.

  Returns:
    The pairs; equal input, equal output.

  Raises:
    AlignetError: n below one, lengths that differ, or no class that can be
      used.
  """
  errors.check_least(1, n=n)
  lengths = [len(model.features), len(baseline.features), len(labels.ids)]
  if len(set(lengths)) > 1:
    raise AlignetError(
        "expected two models and labels of the same images, found"
        f" {lengths[0]}, {lengths[1]} and {lengths[2]}"
    )
  order = np.argsort(labels.ids, kind="stable")
  ids, starts = np.unique(labels.ids[order], return_index=True)
  found, left_out = [], []
  for number, images in zip(ids.tolist(), np.split(order, starts[1:])):
    if number == UNLABELLED:
      continue
    if len(images) > max_images:
      rng = np.random.default_rng([seed, number])
      images = np.sort(rng.choice(images, max_images, replace=False))
    i, j = np.triu_indices(len(images), 1)
    s = np.stack([_matrix(m, images)[i, j] for m in (model, baseline)], axis=1)
    z = _z_scores(s)
    if z is None:
      left_out.append(number)
      continue
    shown = np.stack([images[i], images[j]], axis=1)
    rows = _largest(z[:, 0] - z[:, 1], shown, n)
    found.append((shown[rows], np.full(len(rows), number), s[rows], z[rows]))
  if not found:
    raise AlignetError(
        "no class has three images whose similarities differ; choose a coarser"
        " level of labels, or give more images"
    )
  images, classes, s, z = (np.concatenate(part) for part in zip(*found))
  return Pairs(
      images=images,
      classes=classes,
      similarities=s,
      z=z,
      left_out=tuple(left_out),
  )


def triplets(
    indices: np.ndarray,
    similarities: np.ndarray,
    baseline_indices: np.ndarray,
    baseline_similarities: np.ndarray,
    *,
    n: int = 20,
) -> Triplets:
  """Triplets with different odd ones, by divergence of the choices.

  The divergence, not the difference of one probability, so that triplets come
  first on which both are sure and contradict each other.

  Args:
    indices: (m, 3) image numbers.
    similarities: (m, 3) logits [s01, s02, s12] of the model.
    baseline_indices: (k, 3) the same of the baseline, rows and images of a row
      in any order; triplets that only one of them has are left out.
    baseline_similarities: (k, 3).
    n: how many; no image is in two as long as there are others.

  Returns:
    At most n triplets; equal input, equal output.

  Raises:
    AlignetError: n below one, no triplet in common, or none that they disagree
      on.
  """
  errors.check_least(1, n=n)
  size = 1 + max(indices.max(initial=0), baseline_indices.max(initial=0))
  common, rows, others = np.intersect1d(
      layout.keys_of_sets(indices, size),
      layout.keys_of_sets(baseline_indices, size),
      return_indices=True,
  )
  if not len(common):
    raise AlignetError(
        "the two files have no triplet in common; give answers of two models to"
        " the same triplets"
    )
  images, log_p = _ascending(indices[rows], similarities[rows])
  _, log_q = _ascending(baseline_indices[others], baseline_similarities[others])
  odd = np.array(layout.ODD)[
      np.stack([ties.first_largest(x) for x in (log_p, log_q)], axis=1)
  ]
  differ = np.flatnonzero(odd[:, 0] != odd[:, 1])
  if not len(differ):
    raise AlignetError(
        f"both models choose the same odd one in all {len(common)} triplets"
    )
  divergence = similarity.js_divergence(log_p[differ], log_q[differ])
  best = ties.descending(divergence)
  kept = list(itertools.islice(_picks(best, images[differ], set()), n))
  found = differ[np.array(kept)]
  return Triplets(
      rows=rows[found],
      baseline_rows=others[found],
      images=images[found],
      odd=odd[found],
      divergence=divergence[kept],
  )


def _matrix(model: Model, images: np.ndarray) -> np.ndarray:
  features = np.asarray(model.features[images], np.float64)
  return similarity.matrix(features, kind=model.kind)


def _z_scores(s: np.ndarray) -> np.ndarray | None:
  """Columns with mean 0 and deviation 1; None where one does not vary."""
  if len(s) < 3:
    return None
  deviation = s.std(axis=0)
  if (deviation <= _CONSTANT * np.abs(s).max(axis=0)).any():
    return None
  return (s - s.mean(axis=0)) / deviation


def _largest(difference: np.ndarray, shown: np.ndarray, n: int) -> list[int]:
  """Rows of the n largest positive, then the n largest negative differences."""
  orders = []
  for sign in (1, -1):
    order = ties.descending(sign * difference)
    orders.append(order[sign * difference[order] > 0])
  picked: list[list[int]] = [[], []]
  used: set[int] = set()
  picks = [_picks(order, shown, used) for order in orders]
  for _ in range(n):
    # In turn, so that neither direction has the first choice of all images.
    for rows, more in zip(picked, picks):
      rows.extend(itertools.islice(more, 1))
  return picked[0] + picked[1]


def _picks(
    order: np.ndarray, shown: np.ndarray, used: set[int]
) -> Iterator[int]:
  """Yields all of `order`: first those none of whose images is used by then.

  As `used` only grows, whoever is passed over has no second chance of these.
  """
  later = []
  for row in order.tolist():
    images = shown[row].tolist()
    if used.isdisjoint(images):
      used.update(images)
      yield row
    else:
      later.append(row)
  for row in later:
    used.update(shown[row].tolist())
    yield row


def _ascending(indices, similarities) -> tuple[np.ndarray, np.ndarray]:
  """Rows with ascending images, and float64 log choice probabilities."""
  order = np.argsort(indices, axis=1, kind="stable")
  s = layout.permute_similarities(similarities, order)
  return (
      np.take_along_axis(indices, order, axis=1),
      similarity.log_choice_probabilities(s.astype(np.float64)),
  )
