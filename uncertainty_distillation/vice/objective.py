"""VICE's objective, and which dimensions it leaves in use.

    mean over triplets of -sum_c pi_c log p_c  +  (log q(x) - log p(x)) / n

x = mu + sigma * eps, eps standard normal, is one sample of the embedding of all
objects; p_c = softmax of the three dot products of max(x, 0); q(x) the density
of N(mu, sigma^2) and p(x) of the prior, both summed over objects and
dimensions; n the number of judgments (Muttenthaler et al. 2022).
"""

from alignet.triplets import similarity
from alignet.triplets.layout import PAIRS
import jax
import jax.numpy as jnp
import numpy as np
from uncertainty_distillation.vice.config import Config

Params = dict[str, jax.Array]
"""mu [n, k] and log_sigma [n, k], float32."""

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def sample(params: Params, eps: jax.Array) -> jax.Array:
  """x = mu + sigma * eps, [n, k]."""
  return params["mu"] + jnp.exp(params["log_sigma"]) * eps


def log_q(params: Params, eps: jax.Array) -> jax.Array:
  """log N(x; mu, sigma^2) of each entry of x = mu + sigma * eps, [n, k]."""
  return -0.5 * eps**2 - params["log_sigma"] - _HALF_LOG_2PI


def log_prior(x: jax.Array, config: Config) -> jax.Array:
  """log(pi N(x; 0, spike^2) + (1 - pi) N(x; 0, slab^2)) of each entry."""
  spike, slab = (
      _log(weight) - 0.5 * (x / width) ** 2 - np.log(width)
      for weight, width in (
          (config.spike_weight, config.spike),
          (1 - config.spike_weight, config.slab),
      )
  )
  return jnp.logaddexp(spike, slab) - _HALF_LOG_2PI


def similarities(x: jax.Array, triplets: jax.Array) -> jax.Array:
  """Dot products [b, 3] of max(x, 0) [n, k], rows gathered once."""
  z = jax.nn.relu(x)[triplets]
  return jnp.stack([(z[:, a] * z[:, b]).sum(axis=-1) for a, b in PAIRS], -1)


def cross_entropy(
    x: jax.Array, triplets: jax.Array, targets: jax.Array
) -> jax.Array:
  """-sum_c pi_c log p_c [b] in nats of targets pi [b, 3]."""
  log_p = similarity.log_choice_probabilities(similarities(x, triplets))
  return -(targets * log_p).sum(axis=-1)


def loss(
    params: Params,
    eps: jax.Array,
    triplets: jax.Array,
    targets: jax.Array,
    *,
    n: int | jax.Array,
    weight: float | jax.Array = 1.0,
    config: Config,
) -> jax.Array:
  """The whole objective on one sample.

  Args:
    params: mu and log_sigma, [n_objects, k].
    eps: [n_objects, k] standard normal.
    triplets: [b, 3] object numbers.
    targets: [b, 3] probabilities of the pairs.
    n: number of judgments to learn from.
    weight: of the divergence from the prior.
    config: the prior.

  Returns:
    A scalar in nats a judgment.
  """
  x = sample(params, eps)
  divergence = (log_q(params, eps) - log_prior(x, config)).sum()
  fit = cross_entropy(x, triplets, targets).mean()
  return fit + weight * divergence / n


def objects_per_dimension(params: Params, *, alpha: float = 0.05) -> jax.Array:
  """How many objects have a weight on each dimension.

  An object has none if mu <= 0 is not rejected: the p-value is the posterior
  probability of x <= 0, Phi(-mu / sigma), and the false discovery rate over the
  objects of a dimension is held at `alpha` (Benjamini and Hochberg 1995).

  Args:
    params: means and standard deviations.
    alpha: false discovery rate.

  Returns:
    [k] int32 counts; the dimensions to keep are those with more than a few.
  """
  p = jax.scipy.special.ndtr(-params["mu"] / jnp.exp(params["log_sigma"]))
  rank = 1 + jnp.arange(len(p))[:, None]
  small = jnp.sort(p, axis=0) <= alpha * rank / len(p)
  return jnp.where(small, rank, 0).max(axis=0)


def _log(weight: float) -> float:
  return np.log(weight) if weight else -np.inf
