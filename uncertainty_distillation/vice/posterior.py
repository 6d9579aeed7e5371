"""The posterior predictive: what people answer, uncertainty included.

    p_c = E_q[softmax(s)_c],  s the dot products of max(mu + sigma * eps, 0)

estimated with M draws of the whole embedding: within a draw an object has the
same eps in every triplet. These are the targets of uncertainty distillation
(Muttenthaler et al. 2025).
"""

from collections.abc import Sequence
import functools
from typing import NamedTuple

from alignet import errors
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.triplets import layout
from alignet.triplets import similarity
import jax
import jax.numpy as jnp
import numpy as np
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice.embedding import Embedding

_MOST_PAIRS = 1 << 24
"""Entries of x x' that may be held, where reading pairs from it is cheaper:
where there are at most 64 of them a triplet."""

_BLOCK = {True: 1 << 18, False: 1 << 14}
"""Triplets of a block, by whether pairs are read from x x'."""


class Predictive(NamedTuple):
  """Probabilities of the pairs, and how precisely they are known.

  Attributes:
    probabilities: (n, 3) float32 of [s01, s02, s12].
    standard_error: (n, 3) float32, their Monte-Carlo standard error; NaN where
      there is one sample only.
  """

  probabilities: np.ndarray
  standard_error: np.ndarray


def posterior_predictive(
    mu: np.ndarray,
    sigma: np.ndarray,
    triplets: np.ndarray,
    *,
    samples: int = 50,
    seed: int = 0,
) -> Predictive:
  """The mean of the choice probabilities over draws of the embedding.

  Works on the device by blocks of triplets, with no more memory than a block
  needs. Draw m depends on (seed, m) only.

  Args:
    mu: (n_objects, k) means.
    sigma: (n_objects, k) positive standard deviations.
    triplets: (n, 3) integers, three distinct objects a row.
    samples: number of draws, M.
    seed: of the draws.

  Returns:
    Probabilities and their standard errors, those of a mean of M independent
    values.

  Raises:
    AlignetError: shapes, a NaN, a sigma that is not positive, an object out of
      range or repeated in a row, fewer than one sample.
  """
  embedding = Embedding(mu=mu, sigma=sigma)
  n = len(embedding.mu)
  triplets = layout.check(triplets, n)
  errors.check_least(1, samples=samples)
  by_pairs = n * n <= min(64 * len(triplets), _MOST_PAIRS)
  rows = min(_BLOCK[by_pairs], max(len(triplets), 1))
  params = {
      "mu": jnp.asarray(embedding.mu),
      "log_sigma": jnp.log(embedding.sigma),
  }
  key = jax.random.key(seed)
  mean, error = np.empty((2, len(triplets), 3), np.float32)
  for start in range(0, len(triplets), rows):
    block = triplets[start : start + rows].astype(np.int32)
    padded = np.zeros((rows, 3), np.int32)
    padded[: len(block)] = block
    out = _predict(params, padded, key, samples, by_pairs)
    for target, value in zip((mean, error), out):
      target[start : start + rows] = np.asarray(value)[: len(block)]
  return Predictive(mean, error)


@functools.partial(jax.jit, static_argnames=("by_pairs",))
def _predict(params, triplets, key, samples, by_pairs):
  """Mean and standard error over the draws, updated draw by draw."""
  i, j, k = triplets.T

  def draw(number, moments):
    mean, squares = moments
    noise = jax.random.fold_in(key, number)
    x = objective.sample(params, jax.random.normal(noise, params["mu"].shape))
    if by_pairs:
      z = jax.nn.relu(x)
      pairs = jnp.matmul(z, z.T, precision="highest")
      s = jnp.stack([pairs[i, j], pairs[i, k], pairs[j, k]], axis=-1)
    else:
      s = objective.similarities(x, triplets)
    p = similarity.choice_probabilities(s)
    change = p - mean
    mean = mean + change / (number + 1)
    return mean, squares + change * (p - mean)

  zeros = jnp.zeros(triplets.shape, jnp.float32)
  mean, squares = jax.lax.fori_loop(0, samples, draw, (zeros, zeros))
  return mean, jnp.sqrt(squares / (samples - 1) / samples)


def from_posterior(
    embedding: Embedding,
    triplets: np.ndarray | None = None,
    *,
    concepts: Sequence[int] | np.ndarray | None = None,
    max_triplets: int = 1_000_000,
    samples: int = 50,
    seed: int = 0,
) -> Judgments:
  """Judgments with the probabilities of the posterior predictive.

  Args:
    embedding: of n_concepts.
    triplets: (m, 3) concept numbers; None for those that
      `judgments.from_embedding` takes with the next two arguments.
    concepts: the concepts to use; None for all.
    max_triplets: all triplets of these concepts where there are no more than
      this, otherwise so many drawn uniformly, with replacement.
    samples: number of draws of the embedding.
    seed: of the triplets and of the draws.

  Returns:
    The judgments.

  Raises:
    AlignetError: a concept out of range or repeated in a row, fewer than three
      concepts, fewer than one sample, no triplets.
  """
  if triplets is None:
    triplets = judgments_lib.from_embedding(
        embedding.point,
        concepts=concepts,
        max_triplets=max_triplets,
        seed=seed,
    ).triplets
  p, _ = posterior_predictive(
      embedding.mu, embedding.sigma, triplets, samples=samples, seed=seed
  )
  return judgments_lib.from_choices(triplets, p, n_concepts=len(embedding.mu))
