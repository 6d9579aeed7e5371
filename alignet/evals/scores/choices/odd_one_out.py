"""Odd-one-out accuracy: against choices, and against choice probabilities.

A model judges the pair with the largest similarity to be the most similar one,
and so the third object to be the odd one. All functions take the similarities
(n, 3) in the order [s01, s02, s12] and return one number a row; their mean is
the accuracy. Maxima that differ by rounding only tie (see `scores.ties`), and a
model with k tied maxima is scored as if it picked one of them at random: chance
is 1/3, whatever the ties. A NaN or infinite similarity is an error, never a
zero.
"""

from alignet.evals.scores import ties
from alignet.triplets import checks
import numpy as np


def accuracy(similarities: np.ndarray) -> np.ndarray:
  """Agreement with the human choice, where that is column 0 (odd one last).

  Args:
    similarities: (n, 3) [s01, s02, s12].

  Returns:
    (n,) float64: 1/k where column 0 is among the k maxima, else 0.

  Raises:
    AlignetError: another shape, no rows, a NaN or infinite value.
  """
  checks.similarities(similarities)
  return _picks(similarities)[:, 0]


def modal(similarities: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
  """Agreement with the pair that people most likely judge most similar.

  Where m pairs are equally likely, one of them is taken at random: a model
  with k maxima, of which c are among the m, scores c / (k m). Without such
  ties the best possible mean is 1.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    probabilities: (n, 3) probability of each pair, same order.

  Returns:
    (n,) float64.

  Raises:
    AlignetError: shapes that differ, NaN, or no probabilities.
  """
  checks.similarities(similarities)
  picks = _picks(similarities)
  checks.probabilities(probabilities, len(picks))
  modes = _picks(probabilities)
  return (picks * modes).sum(axis=1)


def expected(similarities: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
  """Probability that a person judges as the model does.

  Args:
    similarities: (n, 3) [s01, s02, s12].
    probabilities: (n, 3) probability of each pair, same order.

  Returns:
    (n,) float64: probability of the pair chosen, the mean over tied maxima.

  Raises:
    AlignetError: shapes that differ, NaN, or no probabilities.
  """
  checks.similarities(similarities)
  picks = _picks(similarities)
  return (picks * checks.probabilities(probabilities, len(picks))).sum(axis=1)


def ceiling(probabilities: np.ndarray) -> np.ndarray:
  """Best possible `expected` of each row: its largest probability, (n,)."""
  n = len(np.atleast_1d(probabilities))
  return checks.probabilities(probabilities, n).max(axis=1)


def _picks(values: np.ndarray) -> np.ndarray:
  """(n, 3): 1/k at each of the k maxima of a row, 0 elsewhere."""
  tied = ties.is_largest(values)
  return tied / tied.sum(axis=1, keepdims=True)
