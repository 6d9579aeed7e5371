"""Relative distances within and across the levels of a hierarchy of classes.

Which images a model keeps together: of each pair of images the distance,
divided by the mean distance of all pairs, so that a model's scale does not
matter; averaged over the pairs of each level. A pair counts at the finest level
at which both images have one class: within a subordinate class, within a basic
one (but across subordinate ones), and so on; last come pairs that share no
class at all. How the paper on AligNet defines its change of relative distance
in detail is not public to us; this is its description, with the distance named
below.

The distance is 1 - cosine, half the squared distance of unit-length vectors, or
the squared Euclidean distance; neither it nor the ratio changes under rotation
or isotropic scaling of the features. Sums of squared distances over all pairs
of two classes follow from the sums of their vectors,

    sum_ij |x_i - y_j|^2 = m sum_i |x_i|^2 + n sum_j |y_j|^2 - 2 X . Y,

X and Y being the sums of the n and the m vectors: every pair counts, at the
cost of reading the features once.

Intervals draw classes of the finest level with replacement, as `bootstrap` does
for triplets: a pair counts the product of the multiplicities of its two
classes, or that of its one class. The mean that divides is that of the
resample.
"""

from collections.abc import Sequence
from typing import NamedTuple

from alignet.errors import AlignetError
from alignet.io import files
from alignet.triplets import similarity
import numpy as np

_ROWS = 4096


class Tree(NamedTuple):
  """Classes of images, and what pairs of classes share.

  Attributes:
    classes: (n,) number of each image's finest class from 0 to k - 1, or -1 for
      an image without a class at one of the levels.
    shared: (k, k) number of the finest level that two classes share, 0 for the
      finest; L, the number of levels, where they share none.
    n_levels: L.
  """

  classes: np.ndarray
  shared: np.ndarray
  n_levels: int


def tree(levels: Sequence[np.ndarray]) -> Tree:
  """The tree of the classes that images have at several levels.

  Args:
    levels: (n,) class numbers of all images, from the finest level to the
      coarsest; -1 for no class.

  Raises:
    AlignetError: no level, lengths that differ, fewer than two classes.
  """
  lengths = {len(ids) for ids in levels}
  if len(lengths) != 1:
    raise AlignetError(
        "hierarchy: expected at least one level, and a class number an image at"
        f" each, found levels of {sorted(lengths)} images"
    )
  ids = np.stack([np.asarray(one) for one in levels], axis=1)
  known = (ids >= 0).all(axis=1)
  names, numbers = np.unique(ids[known], axis=0, return_inverse=True)
  if len(names) < 2:
    raise AlignetError(
        f"hierarchy: expected images of two classes or more, found {len(names)}"
    )
  classes = np.full(len(ids), -1)
  classes[known] = numbers.reshape(-1)
  shared = np.full((len(names), len(names)), len(levels), np.int16)
  for level in reversed(range(len(levels))):
    of = names[:, level]
    shared[of[:, None] == of] = level
  return Tree(classes, shared, len(levels))


def pairs(of: Tree) -> np.ndarray:
  """(L + 1,) number of pairs at each level, across all levels last."""
  ones = np.ones((1, len(of.shared)))
  return np.rint(_by_level(_counts(of), of, ones)[0]).astype(np.int64)


def relative_distances(
    features: np.ndarray,
    of: Tree,
    *,
    kind: similarity.Kind,
    weights: np.ndarray | None = None,
) -> np.ndarray:
  """Mean distance of the pairs at each level over that of all pairs.

  Args:
    features: (n, d) finite floats, may be a memory map.
    of: classes of the n images.
    kind: "cosine", distance 1 - cosine; "dot", squared Euclidean distance.
    weights: (r, k) how often each class counts; None for once.

  Returns:
    (L + 1,) float64, or (r, L + 1) with weights: from the finest level on,
    across all levels last. NaN where a level has no pairs, all images are
    alike, or weights leave a single class, within which all is 1.

  Raises:
    AlignetError: not a row of features an image.
  """
  given = np.ones((1, len(of.shared))) if weights is None else weights
  sums = _by_level(_distances(features, of, kind), of, given)
  n = _by_level(_counts(of), of, given)
  with np.errstate(invalid="ignore", divide="ignore"):
    overall = sums.sum(axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
    relative = sums / n / overall
  relative[(given > 0).sum(axis=1) < 2] = np.nan
  return relative[0] if weights is None else relative


def resample(
    of: Tree, *, rng: np.random.Generator, resamples: int
) -> np.ndarray:
  """(resamples, k) how often each draw with replacement holds each class."""
  k = len(of.shared)
  return rng.multinomial(k, np.full(k, 1 / k), resamples).astype(np.float64)


def class_distances(
    features: np.ndarray, of: Tree, *, kind: similarity.Kind
) -> np.ndarray:
  """Distances between the means of classes, over their mean.

  For pictures: matrices, trees and maps of classes. With cosine the mean of a
  class is that of its unit-length vectors.

  Args:
    features: as in `relative_distances`.
    of: as there.
    kind: as there.

  Returns:
    (k, k) float64, symmetric, 0 on the diagonal, 1 on average off it (0 where
    all means are alike). Either kind is a squared Euclidean distance.
  """
  counts, sums, _, first = _sums(features, of, kind)
  means = sums / counts[:, None]
  if kind == "cosine":
    means = similarity.normalise(means + first)
    means = means - means[0]
  squares = np.einsum("ij,ij->i", means, means)
  out = np.maximum(squares[:, None] + squares - 2 * means @ means.T, 0)
  np.fill_diagonal(out, 0)
  k = len(out)
  mean = out.sum() / (k * (k - 1))
  return (out + out.T) / 2 / (mean if mean > 0 else 1)


def _distances(features, of: Tree, kind) -> np.ndarray:
  """(k, k) sums of distances over the pairs of two classes, or of one."""
  counts, sums, squares, _ = _sums(features, of, kind)
  out = np.outer(squares, counts)
  out = out + out.T - 2 * sums @ sums.T
  np.fill_diagonal(out, counts * squares - np.einsum("ij,ij->i", sums, sums))
  return np.maximum(out, 0) / (2 if kind == "cosine" else 1)


def _sums(features, of: Tree, kind):
  """Of each class: number, sum and sum of squares; seen from one image."""
  features = files.check_array(
      features, "features", shape=(len(of.classes), None)
  )
  rows = np.flatnonzero(of.classes >= 0)
  k = len(of.shared)
  sums = np.zeros((k, features.shape[1]))
  squares = np.zeros(k)
  # From one of the images, so that nothing cancels where all are alike.
  first = _rows(features, rows[:1], kind)
  for start in range(0, len(rows), _ROWS):
    block = rows[start : start + _ROWS]
    x = _rows(features, block, kind) - first
    np.add.at(sums, of.classes[block], x)
    squares += np.bincount(
        of.classes[block], weights=np.einsum("ij,ij->i", x, x), minlength=k
    )
  return _sizes(of), sums, squares, first


def _sizes(of: Tree) -> np.ndarray:
  """(k,) number of images of each class."""
  return np.bincount(of.classes[of.classes >= 0], minlength=len(of.shared))


def _rows(features, rows, kind) -> np.ndarray:
  x = np.asarray(features[rows], np.float64)
  return similarity.normalise(x) if kind == "cosine" else x


def _counts(of: Tree) -> np.ndarray:
  """(k, k) number of pairs of two classes, or within one."""
  counts = _sizes(of).astype(np.float64)
  out = np.outer(counts, counts)
  np.fill_diagonal(out, counts * (counts - 1) / 2)
  return out


def _by_level(matrix: np.ndarray, of: Tree, weights) -> np.ndarray:
  """(r, L + 1) weighted sums of a symmetric matrix, each pair once."""
  out = np.empty((len(weights), of.n_levels + 1))
  for level in range(of.n_levels + 1):
    part = np.where(of.shared == level, matrix, 0)
    own = np.diagonal(part).copy()
    np.fill_diagonal(part, 0)
    out[:, level] = ((weights @ part) * weights).sum(axis=1) / 2 + weights @ own
  return out
