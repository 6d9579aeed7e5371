"""A small simulated problem for teachers: no file, a known answer."""

import numpy as np


def make(
    n_concepts: int = 120,
    images: int = 4,
    *,
    dims: int = 6,
    features: int = 32,
    noise: float = 0.3,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Concepts with a sparse embedding, images that are a noisy linear map of it.

  Args:
    n_concepts: number of concepts.
    images: of each.
    dims: dimensions of the embedding.
    features: dimensions of the features, at least `dims` for the embedding to
      be recoverable.
    noise: standard deviation of what images add to each feature; what concepts
      contribute has a standard deviation near 1.
    seed: of everything.

  Returns:
    Features (n_concepts * images, features) float32, the concept (int32) of
    each row, and the embedding (n_concepts, dims) float32, non-negative.
  """
  rng = np.random.default_rng(seed)
  embedding = rng.gamma(0.5, 1.5, (n_concepts, dims))
  mixing = rng.normal(size=(dims, features)) / np.sqrt(dims)
  concepts = np.repeat(np.arange(n_concepts, dtype=np.int32), images)
  x = embedding[concepts] @ mixing
  x += noise * rng.normal(size=x.shape)
  return x.astype(np.float32), concepts, embedding.astype(np.float32)
