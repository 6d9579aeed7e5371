"""The teacher's objective, one implementation for every trainer.

    (1 - alpha) * mean over triplets of KL(pi || p)
      + alpha * local term  +  weight * regulariser(W)

pi are the human probabilities of the three pairs, p = softmax([s01, s02, s12])
of the dot products of transformed representations z = x @ W + b (Muttenthaler
et al. 2023, 2025). KL is cross-entropy minus the entropy of pi: for hard
choices, pi = (1, 0, 0), it is the cross-entropy itself. The local term keeps
the neighbourhoods that images had before (gLocal, Muttenthaler et al. 2023);
alpha 0 leaves it out.
"""

from typing import NamedTuple, get_args

from alignet import errors
from alignet.triplets import similarity
from alignet.triplets.layout import PAIRS
import jax
import jax.numpy as jnp
from uncertainty_distillation.config import Regulariser

_TABLE = 40
"""Entries of z z' that cost what gathering one object of a triplet does: 30 on
the processor measured, and more where products are cheaper."""

_CACHEFUL = 512
"""Triplets whose objects stay in a core's cache."""


class Local(NamedTuple):
  """Images whose neighbourhoods a transform shall keep.

  Attributes:
    original: [m, p] representations that define the neighbourhoods: after the
      input map, and not standardised, as gLocal's.
    inputs: [m, d] what the transform is applied to: the same, standardised.
  """

  original: jax.Array
  inputs: jax.Array


def similarities(
    params: dict[str, jax.Array],
    x: jax.Array,
    rows: jax.Array,
    triplets: jax.Array,
) -> jax.Array:
  """Dot products of triplets of transformed objects, at the lowest cost.

  Objects are few and triplets many. Few triplets name fewer images than there
  are: only those are transformed. Otherwise all objects are, once. Then each
  triplet gathers three of them, a cacheful of triplets at a time; or, where the
  same pairs come up again and again, all pairs' dot products are one matrix
  product z z', and a triplet is three look-ups.

  Args:
    params: "weights" [d, d'] and "bias" [d'].
    x: [r, d] standardised representations of images.
    rows: [v, n] the image (row of x) of each of n objects in each of v views.
    triplets: [b, 3] object numbers; triplet t is looked up in view t modulo v.

  Returns:
    [b, 3] similarities [s01, s02, s12].
  """
  apply = lambda inputs: inputs @ params["weights"] + params["bias"]
  view = jnp.arange(len(triplets)) % len(rows)
  if triplets.size < rows.size:
    # All first objects, then all second ones: one matrix, no strides.
    z = apply(x[rows[view, triplets.T].reshape(-1)])
    return _of_objects(z.reshape(3, len(triplets), -1))
  z = apply(x[rows])
  if triplets.size * _TABLE < rows.size * rows.shape[1]:
    return _gathered(z, view, triplets)
  pairs = similarity.matrix(z)
  i, j, k = triplets.T
  return jnp.stack(
      [pairs[view, i, j], pairs[view, i, k], pairs[view, j, k]], axis=-1
  )


def _of_objects(z) -> jax.Array:
  """[..., 3] dot products of first, second and third objects, each [..., k]."""
  return jnp.stack([jnp.sum(z[a] * z[b], -1) for a, b in PAIRS], axis=-1)


def _gathered(z: jax.Array, view: jax.Array, triplets: jax.Array) -> jax.Array:
  """[b, 3] dot products of rows of z [v, n, k], in view [b]."""

  # What was gathered is gathered again for the gradient: on a processor pages
  # of fresh memory cost more.
  @jax.checkpoint
  def of_one(view_and_triplet):
    view, triplet = view_and_triplet
    # One by one: a single gather of the three lies in memory by triplet, and
    # what reads it then strides.
    return _of_objects([z[view, number] for number in triplet])

  on_cpu = jax.default_backend() == "cpu"
  return jax.lax.map(
      of_one,
      (view, triplets),
      batch_size=_CACHEFUL if on_cpu else len(triplets),
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
  errors.check_choice("regulariser", kind, get_args(Regulariser))
  if kind == "identity":
    scale = jnp.mean(jnp.diagonal(weights))
    eye = jnp.eye(*weights.shape, dtype=weights.dtype)
    return jnp.sum((weights - scale * eye) ** 2)
  squares = jnp.sum(weights**2)
  # The norm has no gradient at zero; there it is taken to be 0.
  return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def locality(
    original: jax.Array, transformed: jax.Array, tau: float
) -> jax.Array:
  """Cross-entropy of neighbourhoods before and after a transform.

  Each image's neighbourhood is the softmax of its cosine similarities to the
  other images, over tau (gLocal, equation 5).

  Args:
    original: [m, p] representations.
    transformed: [m, k] the same images, transformed.
    tau: temperature, positive.

  Returns:
    A scalar in nats, at least the entropy of the original neighbourhoods.
  """
  p, q = (_neighbours(x, tau) for x in (original, transformed))
  return -jnp.mean(jnp.sum(jnp.exp(p) * jnp.where(jnp.isinf(q), 0, q), axis=1))


def _neighbours(x: jax.Array, tau: float) -> jax.Array:
  """[m, m] log probabilities of the other images, -inf on the diagonal."""
  s = similarity.matrix(x, kind="cosine") / tau
  s = jnp.where(jnp.eye(len(x), dtype=bool), -jnp.inf, s)
  return jax.nn.log_softmax(s, axis=1)


def loss(
    params: dict[str, jax.Array],
    x: jax.Array,
    rows: jax.Array,
    triplets: jax.Array,
    targets: jax.Array,
    *,
    kind: Regulariser,
    weight: float,
    alpha: float = 0.0,
    tau: float = 1.0,
    local: Local | None = None,
) -> jax.Array:
  """The whole objective.

  Args:
    params: "weights" [d, d'] and "bias" [d'].
    x: [r, d] standardised representations of images.
    rows: [v, n] the image of each object in each view, see `similarities`.
    triplets: [b, 3] object numbers.
    targets: [b, 3] human probabilities of the pairs.
    kind: which regulariser.
    weight: its weight, lambda.
    alpha: share of the local term, 0 to 1.
    tau: its temperature.
    local: its images; None leaves the term out, and alpha must be 0.

  Returns:
    A scalar in nats.
  """
  fit = jnp.mean(divergence(similarities(params, x, rows, triplets), targets))
  if local is not None:
    transformed = local.inputs @ params["weights"] + params["bias"]
    kept = locality(local.original, transformed, tau)
    fit = (1 - alpha) * fit + alpha * kept
  return fit + weight * regulariser(params["weights"], kind)
