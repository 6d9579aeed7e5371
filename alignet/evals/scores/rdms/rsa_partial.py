"""What a model explains of people beyond categories: partial correlation."""

from collections.abc import Sequence

from alignet import errors
from alignet.errors import AlignetError
from alignet.evals.scores import ties
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.io import files
import numpy as np
from scipy import stats


def category_rdm(labels: np.ndarray) -> np.ndarray:
  """The RDM of a category model: 0 within a category, 1 between two.

  Args:
    labels: (n,) integers or strings.

  Returns:
    (n, n) float64.
  """
  labels = files.check_array(labels, "categories", shape=(None,))
  return (labels[:, None] != labels[None, :]).astype(np.float64)


def partial_correlation(
    model: np.ndarray,
    human: np.ndarray,
    given: Sequence[np.ndarray],
    method: rank_correlation.Method = "spearman",
) -> float:
  """Correlation of two RDMs with what others predict taken out of both.

  The vectors of dissimilarities (their ranks, for spearman) are regressed on
  those of the other RDMs and a constant; the residuals are correlated.

  Args:
    model: (n, n).
    human: (n, n).
    given: RDMs to hold constant, such as those of category models; (n, n) each.
    method: "spearman" or "pearson"; tau-a has no such residuals.

  Returns:
    The partial correlation.

  Raises:
    AlignetError: another method, sizes that differ, or nothing is left of the
      model or of the human RDM.
  """
  errors.check_choice("method", method, ("spearman", "pearson"))
  n = len(model)
  vectors = []
  for matrix in (model, human, *given):
    matrix = files.check_array(matrix, "RDM", shape=(n, n))
    vector = rsa.upper(matrix).astype(np.float64)
    files.check_finite(vector, "RDM")
    if method == "spearman":
      vector = stats.rankdata(ties.dense_ranks(vector))
    vectors.append(vector)
  a, b, *rest = vectors
  design = np.stack([np.ones_like(a), *(_scaled(v) for v in rest)], axis=1)
  left = []
  for name, vector in (("model", a), ("human RDM", b)):
    scaled = _scaled(vector)
    residual = scaled - design @ np.linalg.lstsq(design, scaled)[0]
    if residual.std() < 1e-9:
      raise AlignetError(
          f"partial correlation: nothing is left of the {name} once the given"
          " RDMs are taken out; leave out those that determine it"
      )
    left.append(residual)
  return float(stats.pearsonr(*left).statistic)


def _scaled(vector: np.ndarray) -> np.ndarray:
  """Mean 0 and standard deviation 1, so that no scale hides another."""
  spread = vector.std()
  return (vector - vector.mean()) / (spread if spread > 0 else 1)
