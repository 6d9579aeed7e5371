"""Correlations of two vectors of dissimilarities: Spearman, Pearson, tau-a.

Also with weights, as resamples have them: an entry of weight m counts as m
equal entries would, ties included. Values that differ by rounding only are ties
(see `scores.ties`).
"""

from typing import Literal

from alignet import errors
from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.io import files
import numpy as np
from scipy import stats

Method = Literal["spearman", "pearson", "tau-a"]

METHODS: tuple[Method, ...] = ("spearman", "pearson", "tau-a")


def correlate(a: np.ndarray, b: np.ndarray, method: Method) -> float:
  """Correlation of two vectors.

  Kendall's tau-a is (concordant - discordant pairs) / all pairs, without a
  correction for ties: the one to take where a model predicts ties (Nili et al.
  2014), since it does not favour such a model.

  Args:
    a: (n,) numbers.
    b: (n,) numbers.
    method: "spearman", "pearson" or "tau-a".

  Raises:
    AlignetError: lengths that differ, or the correlation is undefined because
      one of them is constant.
  """
  a = files.check_array(a, "dissimilarities", shape=(None,)).astype(np.float64)
  b = files.check_array(b, "dissimilarities", shape=(len(a),))
  b = b.astype(np.float64)
  ranks = ties.dense_ranks(a), ties.dense_ranks(b)
  if not len(a) or not ranks[0].any() or not ranks[1].any():
    if not len(a):
      found = "none"
    else:
      first = not ranks[0].any()
      found = (
          f"{(a if first else b)[0]:g} everywhere in the"
          f" {'first' if first else 'second'} one"
      )
    raise AlignetError(
        "the correlation of two RDMs is undefined: expected dissimilarities"
        f" that differ, found {found}"
    )
  if method == "tau-a":
    return _tau_a(*ranks)
  if method == "spearman":
    a, b = map(stats.rankdata, ranks)
  else:
    errors.check_choice("method", method, METHODS)
  return float(stats.pearsonr(a, b).statistic)


def _tau_a(a: np.ndarray, b: np.ndarray) -> float:
  """tau-b with its correction for ties taken back."""
  all_pairs = len(a) * (len(a) - 1) / 2
  tau_b = stats.kendalltau(a, b, variant="b").statistic
  return float(tau_b * np.sqrt(_untied(a) * _untied(b)) / all_pairs)


def _untied(values: np.ndarray) -> float:
  """Number of pairs whose values differ."""
  n = np.unique(values, return_counts=True)[1].astype(np.float64)
  return len(values) * (len(values) - 1) / 2 - (n * (n - 1) / 2).sum()


class Ranks:
  """Mean ranks of values that are repeated `weights` times each.

  Sorted once; a call costs a cumulative sum.

  Args:
    values: (n,) numbers.
  """

  def __init__(self, values: np.ndarray):
    self._group = ties.dense_ranks(values)
    self._order = np.argsort(self._group, kind="stable")
    ascending = self._group[self._order]
    self._starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])

  def __call__(self, weights: np.ndarray) -> np.ndarray:
    """(n,) mean ranks; those of weight 0 are of no use."""
    tied = np.add.reduceat(weights[self._order], self._starts)
    ranks = np.cumsum(tied) - tied + (tied + 1) / 2
    return ranks[self._group]


def weighted(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """Pearson correlations of rows with weights.

  Args:
    a: (i, n) floats.
    b: (j, n) floats.
    weights: (n,), 0 or more.

  Returns:
    (i, j) float64, NaN where a row is constant or nothing has a weight.
  """
  used = weights > 0
  rows, total = [], weights.sum()
  for matrix in (a, b):
    matrix = matrix[:, used]
    if not matrix.size or not total:
      return np.full((len(a), len(b)), np.nan)
    constant = ~ties.dense_ranks(matrix).any(axis=1)
    matrix = matrix - (matrix @ weights[used] / total)[:, None]
    matrix *= np.sqrt(weights[used])
    norm = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    matrix /= np.where(constant, np.nan, norm)[:, None]
    rows.append(matrix)
  return rows[0] @ rows[1].T


class WeightedSpearman:
  """Spearman's rho of two vectors as a function of their entries' weights.

  Args:
    a: (n,) numbers.
    b: (n,) numbers.
  """

  def __init__(self, a: np.ndarray, b: np.ndarray):
    self._ranks = Ranks(a), Ranks(b)

  def __call__(self, weights: np.ndarray) -> float:
    """The correlation, NaN where one of the vectors is constant."""
    a, b = (ranks(weights)[None] for ranks in self._ranks)
    return float(weighted(a, b, weights)[0, 0])
