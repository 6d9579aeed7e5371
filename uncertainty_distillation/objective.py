"""The teacher's objective, one implementation for every trainer.

    mean over triplets of KL(pi || p)  +  weight * regulariser(W)

pi are the human probabilities of the three pairs, p = softmax([s01, s02, s12])
of the dot products of transformed representations z = x @ W + b (Muttenthaler
et al. 2023, 2025). KL is cross-entropy minus the entropy of pi: for hard
choices, pi = (1, 0, 0), it is the cross-entropy itself.
"""

from typing import Literal, get_args

from alignet import similarity
from alignet.errors import AlignetError
import jax
import jax.numpy as jnp

Regulariser = Literal["identity", "l2"]


def triplet_similarities(z: jax.Array, triplets: jax.Array) -> jax.Array:
  """Dot products of triplets, read from z z'.

  Objects are few and triplets many: all pairs cost one matrix product, and a
  triplet three look-ups.

  Args:
    z: [v, n, k] representations of n objects, seen in v views (say, another
      image of each object).
    triplets: [b, 3] object numbers; row r is looked up in view r modulo v.

  Returns:
    [b, 3] similarities [s01, s02, s12].
  """
  pairs = similarity.matrix(z)
  view = jnp.arange(len(triplets)) % len(z)
  i, j, k = triplets.T
  return jnp.stack(
      [pairs[view, i, j], pairs[view, i, k], pairs[view, j, k]], axis=-1
  )


def divergence(similarities: jax.Array, targets: jax.Array) -> jax.Array:
  """KL(pi || p) in nats of each triplet.

  Args:
    similarities: [..., 3] dot products.
    targets: [..., 3] probabilities pi; 0 log 0 = 0.

  Returns:
    [...] at least 0; finite, as its gradient, whatever the similarities.
  """
  return similarity.kl_divergence(
      jnp.log(targets), similarity.log_choice_probabilities(similarities)
  )


def regulariser(weights: jax.Array, kind: Regulariser) -> jax.Array:
  """What keeps a map small or near a multiple of the identity.

  Args:
    weights: [d, d'].
    kind: "identity": sum of (W - mean(diag W) I)^2; "l2": the Frobenius norm
      of W, not squared (both as in gLocal).

  Returns:
    A scalar.

  Raises:
    AlignetError: another kind.
  """
  check_regulariser(kind)
  if kind == "identity":
    scale = jnp.mean(jnp.diagonal(weights))
    eye = jnp.eye(*weights.shape, dtype=weights.dtype)
    return jnp.sum((weights - scale * eye) ** 2)
  squares = jnp.sum(weights**2)
  # The norm has no gradient at zero; there it is taken to be 0.
  return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def check_regulariser(kind: str) -> None:
  """Fails with the names there are, if `kind` is none of them."""
  if kind not in get_args(Regulariser):
    raise AlignetError(
        f"regulariser: expected one of {', '.join(get_args(Regulariser))},"
        f" found {kind!r}"
    )


def loss(
    params: dict[str, jax.Array],
    x: jax.Array,
    triplets: jax.Array,
    targets: jax.Array,
    *,
    kind: Regulariser,
    weight: float,
) -> jax.Array:
  """The whole objective.

  Args:
    params: "weights" [d, d'] and "bias" [d'].
    x: [v, n, d] standardised representations of n objects in v views.
    triplets: [b, 3] object numbers.
    targets: [b, 3] human probabilities of the pairs.
    kind: which regulariser.
    weight: its weight, lambda.

  Returns:
    A scalar in nats.
  """
  z = x @ params["weights"] + params["bias"]
  fit = jnp.mean(divergence(triplet_similarities(z, triplets), targets))
  return fit + weight * regulariser(params["weights"], kind)
