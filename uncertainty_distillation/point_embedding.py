"""A point embedding of the concepts, where only judgments are given."""

from alignet.human.judgments import Judgments
from alignet.triplets.layout import PAIRS
import jax.numpy as jnp
import numpy as np
from uncertainty_distillation import training_loop

_OPTIMISATION = training_loop.Optimisation(
    regulariser="l2", regulariser_weight=3e-3, learning_rate=0.03
)
_STEPS = 400


def embedding(judgments: Judgments, width: int, *, seed: int) -> np.ndarray:
  """Concept vectors whose dot products explain the judgments.

  The teacher's objective itself, with a one-hot vector for each concept in
  place of features, from the start of `spectral`.

  Args:
    judgments: of n concepts.
    width: number of dimensions at most.
    seed: of the draw of triplets.

  Returns:
    (n_concepts, min(width, n_concepts)) float32.
  """
  start = spectral(judgments, width)
  n = judgments.n_concepts
  params = training_loop.train(
      {"weights": jnp.asarray(start), "bias": jnp.zeros(start.shape[1])},
      training_loop.make_objects(np.eye(n, dtype=np.float32), np.arange(n)),
      training_loop.make_pool(judgments.triplets, judgments.probabilities),
      steps=_STEPS,
      seed=seed,
      optimisation=_OPTIMISATION,
  )[-1]
  return np.asarray(params["weights"] + params["bias"])


def spectral(judgments: Judgments, width: int) -> np.ndarray:
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
