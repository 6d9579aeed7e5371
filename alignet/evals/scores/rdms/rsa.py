"""Representational similarity analysis: a model's RDM against people's.

An RDM (representational dissimilarity matrix) is a symmetric (n, n) matrix over
n stimuli. Only pairs of two different stimuli count: the diagonal is never
read. Correlations are over the n (n - 1) / 2 pairs of the upper triangle.

Noise ceilings follow Nili et al. 2014 (A toolbox for representational
similarity analysis, PLOS Computational Biology 10(4)).
"""

import dataclasses

from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.evals.scores.rdms import rank_correlation
from alignet.io import files
from alignet.triplets import similarity as similarities
import numpy as np
from scipy import stats


def rdm(
    features: np.ndarray, similarity: similarities.Kind = "cosine"
) -> np.ndarray:
  """The model's RDM, computed in float64.

  Args:
    features: (n, d), one row a stimulus.
    similarity: "cosine" for 1 - cosine, "dot" for minus the dot product.

  Returns:
    (n, n) float64.

  Raises:
    AlignetError: not a matrix, a NaN or infinite value.
  """
  features = files.check_matrix(features, "features")
  s = similarities.matrix(features.astype(np.float64), kind=similarity)
  return 1 - s if similarity == "cosine" else -s


def check(human: np.ndarray, n: int, what: str = "human RDM") -> np.ndarray:
  """Checks one RDM (n, n) or one a subject (subjects, n, n).

  Args:
    human: dissimilarities; the diagonal is ignored.
    n: number of stimuli.
    what: name of the array, for the message.

  Returns:
    (subjects, n, n) float64, one subject where one RDM was given.

  Raises:
    AlignetError: another size, not symmetric, NaN, constant, similarities.
  """
  human = np.asarray(human)
  if human.ndim not in (2, 3) or human.shape[-2:] != (n, n) or not human.size:
    raise AlignetError(
        f"{what}: expected shape ({n}, {n}) or (subjects, {n}, {n}), one row of"
        f" features a stimulus, found {human.shape}"
    )
  if n < 3:
    raise AlignetError(f"{what}: expected at least 3 stimuli, found {n}")
  human = human.reshape(-1, n, n).astype(np.float64)
  off = ~np.eye(n, dtype=bool)
  for subject, m in enumerate(human):
    where = f"{what}, subject {subject}" if len(human) > 1 else what
    if not np.isfinite(m[off]).all():
      i, j = np.argwhere(~np.isfinite(m) & off)[0]
      raise AlignetError(
          f"{where}: entry ({i}, {j}) is {m[i, j]}; expected a finite"
          " dissimilarity for every pair"
      )
    if np.ptp(m[off]) == 0:
      raise AlignetError(
          f"{where}: all dissimilarities are {m[0, 1]:g}; a correlation with"
          " them is undefined"
      )
    difference = np.where(off, abs(m - m.T), 0)
    if difference.max() > 1e-4 * abs(m[off]).max():
      i, j = np.unravel_index(difference.argmax(), m.shape)
      raise AlignetError(
          f"{where}: expected a symmetric matrix, found {m[i, j]:g} at"
          f" ({i}, {j}) and {m[j, i]:g} at ({j}, {i}); average it with its"
          " transpose if both are measurements of the pair"
      )
    if np.diag(m).min() > m[off].max():
      raise AlignetError(
          f"{where}: expected dissimilarities, found a diagonal larger than"
          " every other entry, as in a matrix of similarities; pass 1 - R"
      )
  return human


def upper(matrix: np.ndarray) -> np.ndarray:
  """Upper triangle without the diagonal, [..., n, n] -> [..., n (n - 1) / 2].

  Row by row: (0, 1), (0, 2), ..., (1, 2), ...
  """
  i, j = np.triu_indices(np.shape(matrix)[-1], k=1)
  return np.asarray(matrix)[..., i, j]


def per_subject(
    model: np.ndarray,
    human: np.ndarray,
    method: rank_correlation.Method = "spearman",
) -> np.ndarray:
  """Correlation of the model's RDM with each subject's.

  Args:
    model: (n, n).
    human: (subjects, n, n).
    method: "spearman", "pearson" or "tau-a".

  Returns:
    (subjects,) float64.
  """
  x = upper(model)
  return np.array(
      [rank_correlation.correlate(x, upper(h), method) for h in human]
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ceiling:
  """Bounds on the mean correlation with the subjects that a model can reach.

  Attributes:
    lower: mean over subjects of the correlation of a subject's RDM with the
      mean RDM of all the others.
    upper: the same with the mean RDM of all subjects, itself included.
  """

  lower: float
  upper: float


def noise_ceiling(
    human: np.ndarray, method: rank_correlation.Method = "spearman"
) -> Ceiling:
  """Noise ceiling of Nili et al. 2014, of the mean of `per_subject`.

  Before averaging, each subject's upper triangle is replaced by its ranks
  (spearman and tau-a; ties share the mean rank) or by its z-scores (pearson).
  The mean over subjects of these vectors correlates best with the subjects on
  average: the upper bound is exact for pearson, and for spearman, where the
  correlation ranks the mean of ranks once more, very nearly so. For tau-a the
  mean rank is Nili's start of a search that is not done here: the upper bound
  may be a little low.

  Args:
    human: (subjects, n, n), two subjects or more.
    method: "spearman", "pearson" or "tau-a".

  Returns:
    The lower and the upper bound.

  Raises:
    AlignetError: fewer than two subjects, a constant RDM.
  """
  subjects = len(human)
  if np.ndim(human) != 3 or subjects < 2:
    raise AlignetError(
        "noise ceiling: expected RDMs of at least two subjects, found shape"
        f" {np.shape(human)}"
    )
  values = upper(human).astype(np.float64)
  if method != "pearson":
    values = stats.rankdata(ties.dense_ranks(values), axis=1)
  else:
    spread = values.std(axis=1, keepdims=True)
    values = values - values.mean(axis=1, keepdims=True)
    values = values / np.where(spread > 0, spread, 1)
  total = values.sum(axis=0)
  return Ceiling(
      lower=float(
          np.mean(
              [rank_correlation.correlate(v, total - v, method) for v in values]
          )
      ),
      upper=float(
          np.mean(
              [rank_correlation.correlate(v, total, method) for v in values]
          )
      ),
  )
