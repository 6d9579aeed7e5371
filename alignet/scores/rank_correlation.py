"""Correlations of two vectors of dissimilarities: Spearman, Pearson, tau-a."""

from typing import Literal

from alignet import files
from alignet.errors import AlignetError
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
  if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
    if not len(a):
      found = "none"
    else:
      first = np.ptp(a) == 0
      found = (
          f"{(a if first else b)[0]:g} everywhere in the"
          f" {'first' if first else 'second'} one"
      )
    raise AlignetError(
        "the correlation of two RDMs is undefined: expected dissimilarities"
        f" that differ, found {found}"
    )
  if method == "tau-a":
    return _tau_a(a, b)
  if method == "spearman":
    a, b = stats.rankdata(a), stats.rankdata(b)
  elif method != "pearson":
    raise AlignetError(
        f"method: expected one of {', '.join(METHODS)}, found {method!r}"
    )
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
