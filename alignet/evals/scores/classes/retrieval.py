"""Retrieval of images of the same class, by cosine.

For each query all images of a gallery are ranked by their cosine. Average
precision is the mean, over the images of the query's class, of the share of
that class among the images up to and including it; its mean over queries is
mAP. Recall at k is whether any of the first k is of the class, as is usual in
metric learning. Images with equal cosines count as in random order: both scores
are expectations over it (McSherry and Najork 2008, ECIR).
"""

from collections.abc import Mapping, Sequence
import dataclasses

from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.io import files
from alignet.io import progress
from alignet.triplets import similarity
import numpy as np

_CELLS = 2**24


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Retrieval:
  """Scores of each query that has something to find.

  Attributes:
    rows: (q,) int64, these queries.
    average_precision: (q,) float64.
    recall: k to (q,) float64, 0 or 1 but for ties.
  """

  rows: np.ndarray
  average_precision: np.ndarray
  recall: Mapping[int, np.ndarray]


def retrieve(
    queries: np.ndarray,
    query_labels: np.ndarray,
    gallery: np.ndarray | None = None,
    gallery_labels: np.ndarray | None = None,
    *,
    ks: Sequence[int] = (1, 5, 10),
) -> Retrieval:
  """Ranks the gallery for each query.

  Args:
    queries: (m, d) floats.
    query_labels: (m,) integers.
    gallery: (n, d) floats; None for the other queries.
    gallery_labels: (n,) integers.
    ks: for recall at k.

  Returns:
    The scores of the queries whose class the gallery has.

  Raises:
    AlignetError: lengths that differ, NaN, k outside 1 to the size of the
      gallery, no query with something to find.
  """
  own = gallery is None
  if own:
    gallery, gallery_labels = queries, query_labels
  for what, x, y in (
      ("queries", queries, query_labels),
      ("gallery", gallery, gallery_labels),
  ):
    files.check_matrix(x, what, columns=queries.shape[1])
    files.check_array(y, f"labels of {what}", shape=(len(x),), kinds="iu")
  n = len(gallery) - own
  if not ks or min(ks) < 1 or max(ks) > n:
    raise AlignetError(
        f"retrieval: expected k from 1 to {n}, the number of images to find,"
        f" found {list(ks)}"
    )
  gallery_labels = np.asarray(gallery_labels)
  classes, counts = np.unique(gallery_labels, return_counts=True)
  place = np.searchsorted(classes, query_labels)
  place = np.minimum(place, len(classes) - 1)
  known = classes[place] == query_labels
  rows = np.flatnonzero(known & (counts[place] - own > 0))
  if not len(rows):
    raise AlignetError(
        "retrieval: no query has an image of its class to find; give labels"
        " that queries and gallery share"
    )
  unit = _unit(gallery)
  precision = np.empty(len(rows))
  recall = {k: np.empty(len(rows)) for k in ks}
  step = max(1, _CELLS // len(gallery))
  for start in progress.bar(
      range(0, len(rows), step), desc="retrieval", unit="block"
  ):
    block = rows[start : start + step]
    cosine = _unit(queries[block]) @ unit.T
    if own:
      cosine[np.arange(len(block)), block] = -np.inf  # Comes last.
    order, tied = (x[:, :n] for x in ties.ordered(cosine))
    hit = gallery_labels[order] == query_labels[block, None]
    out = slice(start, start + len(block))
    precision[out], misses = _expected(hit, tied)
    for k in ks:
      recall[k][out] = 1 - misses[:, k - 1]
  return Retrieval(rows=rows, average_precision=precision, recall=recall)


def _expected(hit, tied) -> tuple[np.ndarray, np.ndarray]:
  """(q,) average precision, (q, n) chance of no hit so far; ties at random.

  Where a group of `size` ties follows `before` hits and holds `hits`, its j-th
  place is a hit with chance hits / size, and of the j - 1 places before it in
  the group (hits - 1) / (size - 1) are hits then.
  """
  n = hit.shape[1]
  found = np.cumsum(hit, axis=1)
  places = np.broadcast_to(np.arange(n), hit.shape)
  first = np.maximum.accumulate(np.where(tied, 0, places), axis=1)
  ends = np.ones_like(tied)
  ends[:, :-1] = ~tied[:, 1:]
  last = np.where(ends, places, n - 1)[:, ::-1]
  last = np.minimum.accumulate(last, axis=1)[:, ::-1]
  size, j = last - first + 1, places - first
  before = np.take_along_axis(found - hit, first, 1)
  hits = np.take_along_axis(found, last, 1) - before
  among = 1 + before + j * (hits - 1) / np.maximum(size - 1, 1)
  terms = hits / size * among / (places + 1)
  # Given no hit so far, the next place is one with chance hits / those left.
  misses = np.cumprod(np.maximum(1 - hits / (size - j), 0), axis=1)
  return terms.sum(axis=1) / found[:, -1], misses


def _unit(features: np.ndarray) -> np.ndarray:
  """Rows of length 1 in float64, in which equal cosines can be told."""
  return similarity.normalise(np.asarray(features, np.float64))
