"""Concept vectors straight from judgments, where no embedding is given."""

from alignet.triplets import PAIRS
import numpy as np
from uncertainty_distillation.judgments import Judgments


def embedding(judgments: Judgments, width: int) -> np.ndarray:
  """Classical scaling of how often a pair is judged the most similar one.

  The similarity of a pair is its mean probability over the triplets that hold
  it, shrunk to 1/3 by one imagined judgment; the doubly centred matrix is
  replaced by its `width` leading eigenvectors, scaled by the roots of their
  (positive) eigenvalues.

  Args:
    judgments: of n concepts.
    width: number of dimensions at most.

  Returns:
    (n_concepts, min(width, n_concepts)) float32; a concept without judgments
    lies at the origin, nearly.
  """
  n = judgments.n_concepts
  chosen, seen = np.zeros((2, n * n))
  for column, (a, b) in enumerate(PAIRS):
    pair = judgments.triplets[:, a].astype(np.int64) * n
    pair += judgments.triplets[:, b]
    chosen += np.bincount(
        pair, judgments.probabilities[:, column], minlength=n * n
    )
    seen += np.bincount(pair, minlength=n * n)
  chosen, seen = chosen.reshape(n, n), seen.reshape(n, n)
  chosen, seen = chosen + chosen.T, seen + seen.T
  s = (chosen + 1 / 3) / (seen + 1) - 1 / 3
  np.fill_diagonal(s, 0)
  s = s - s.mean(axis=0) - s.mean(axis=1, keepdims=True) + s.mean()
  values, vectors = np.linalg.eigh(s)
  values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
  return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)
