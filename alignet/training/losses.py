"""Losses of a student's triplet embedding against a teacher's similarities.

Upstream takes the logarithm of a softmax, which is infinite or NaN at logits an
untrained head does produce. Here everything stays in logarithms, so value and
gradient are finite for every finite input whose dot products are. Each loss is
one number a triplet, [*b]; float16 and bfloat16 embeddings are summed in
float32.

`Dense` takes all triplets of a batch instead of three images a triplet: a batch
holds p clusters of k images. Of every ordered pair of clusters (A, B) it has
all rows that the rule "border" allows: two images of A, the odd one of B. The
student's and the teacher's similarities are computed once, as matrices, and the
loss is the mean within each ordered pair, then over the pairs (after batch-all
of Hermans et al. 2017 and relational distillation of Park et al. 2019).

Where clusters are drawn uniformly and images uniformly within them, without
replacement, as `alignet.training.input.group_batches` does, its expectation,
and that of its gradient, is that of the same loss on triplets sampled by
cluster_border_* under the law "groups": there, too, each ordered pair of
clusters, and in it each row, is as likely as any other. A mean over all rows
would instead favour large clusters.
"""

from collections.abc import Callable
import dataclasses

from alignet.errors import AlignetError
from alignet.triplets import similarity
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext
import numpy as np

Compare = Callable[[Array, Array], Array]
"""Teacher's and student's pair similarities to one number a triplet."""

_ROWS = 2**20
"""Triplets in memory at a time, but at least those of one cluster's pairs."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class TripletLoss(kd.losses.Loss):
  """What the losses share: from similarities to log choice probabilities.

  Attributes:
    tau: temperature that divides the student's dot products (100 upstream).
    target_tau: temperature that divides the teacher's similarities (1).
    embeddings: key of the [*b, 3, d] student embeddings, the odd one last.
    similarities: key of the [*b, 3] teacher similarities [s01, s02, s12].
  """

  tau: float = 100.0
  target_tau: float = 1.0

  embeddings: kontext.Key = "preds.triplet_logits"
  similarities: kontext.Key = "batch.similarities"

  def get_values(
      self,
      embeddings: Float[Array, "*b 3 d"],
      similarities: Float[Array, "*b 3"],
  ) -> Float[Array, "*b"]:
    return self.compare(similarities, similarity.pair_similarities(embeddings))

  def compare(
      self, teacher: Float[Array, "*b 3"], student: Float[Array, "*b 3"]
  ) -> Float[Array, "*b"]:
    """The loss of pair similarities, before any temperature."""
    return self.divergence(
        similarity.log_choice_probabilities(teacher / self.target_tau),
        similarity.log_choice_probabilities(student / self.tau),
    )

  def divergence(
      self, log_p: Float[Array, "*b 3"], log_q: Float[Array, "*b 3"]
  ) -> Float[Array, "*b"]:
    """The loss of the teacher's and student's log choice probabilities."""
    raise NotImplementedError


class Contrastive(TripletLoss):
  """Hard labels: -log p(the teacher's most similar pair), in nats.

  Of pairs that tie the first counts.
  """

  def divergence(
      self, log_p: Float[Array, "*b 3"], log_q: Float[Array, "*b 3"]
  ) -> Float[Array, "*b"]:
    best = jnp.argmax(log_p, axis=-1, keepdims=True)
    return -jnp.take_along_axis(log_q, best, axis=-1)[..., 0]


class KL(TripletLoss):
  """KL(teacher || student) in nats."""

  def divergence(
      self, log_p: Float[Array, "*b 3"], log_q: Float[Array, "*b 3"]
  ) -> Float[Array, "*b"]:
    return similarity.kl_divergence(log_p, log_q)


class JSD(TripletLoss):
  """Jensen-Shannon divergence of teacher and student in nats (released)."""

  def divergence(
      self, log_p: Float[Array, "*b 3"], log_q: Float[Array, "*b 3"]
  ) -> Float[Array, "*b"]:
    return similarity.js_divergence(log_p, log_q)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Dense(kd.losses.Loss):
  """A triplet loss over all triplets of a batch of groups, one value a group.

  The value of group A, [p], is the mean over the other groups B of the mean
  over the triplets of (A, B); a triplet's loss is that of `of`, with its two
  temperatures. All images of the batch meet: under several processes, each
  with its share of the groups, JAX gathers the embeddings.

  Attributes:
    of: the loss of a triplet; its own keys and weight are not used.
    embeddings: key of the [p, k, d] student embeddings.
    representations: key of the [p, k, t] teacher's aligned representations.
    present: key of [p, k] bool, false where a group has fewer than k images and
      padding stands in; every group has at least two images.
  """

  of: TripletLoss = dataclasses.field(default_factory=JSD)

  embeddings: kontext.Key = "preds.triplet_logits"
  representations: kontext.Key = "batch.representations"
  present: kontext.Key = "batch.present"

  def get_values(
      self,
      embeddings: Float[Array, "p k d"],
      representations: Float[Array, "p k t"],
      present: Bool[Array, "p k"],
  ) -> Float[Array, "p"]:
    return over_groups(self.of.compare, embeddings, representations, present)


def over_groups(
    compare: Compare,
    embeddings: Float[Array, "p k d"],
    representations: Float[Array, "p k t"],
    present: Bool[Array, "p k"],
) -> Float[Array, "p"]:
  """Means of a quantity of triplets, one a group; see `Dense`.

  Args:
    compare: the teacher's and the student's pair similarities, [*b, 3] each, to
      the quantity, [*b].
    embeddings: the student's.
    representations: the teacher's.
    present: false for padding.

  Raises:
    AlignetError: fewer than two groups, or than two images of a group.
  """
  p, k = present.shape
  if p < 2 or k < 2:
    raise AlignetError(
        "the dense loss needs at least 2 groups of 2 images in a batch, found"
        f" {p} of {k}"
    )
  groups = (
      *_similarities(representations),
      *_similarities(embeddings),
      present,
      jnp.arange(p),
  )
  of_group = lambda group: _of_group(compare, *group, all_present=present)
  at_once = _ROWS // (p * k * k * (k - 1) // 2)
  if at_once >= p:
    return jax.vmap(of_group)(groups)
  # What the gradient needs is computed again, group by group.
  return jax.lax.map(
      jax.checkpoint(of_group), groups, batch_size=max(at_once, 1)
  )


def _of_group(
    compare: Compare,
    teacher_within: Float[Array, "k k"],
    teacher_across: Float[Array, "k p k"],
    student_within: Float[Array, "k k"],
    student_across: Float[Array, "k p k"],
    present: Bool[Array, "k"],
    number: Array,
    *,
    all_present: Bool[Array, "p k"],
) -> Float[Array, ""]:
  """The mean over the ordered pairs whose first group is this one."""
  i, j = np.triu_indices(len(present), 1)
  values = compare(
      _triplets(teacher_within, teacher_across, i, j),
      _triplets(student_within, student_across, i, j),
  )
  allowed = (present[i] & present[j])[:, None, None] & all_present
  total = jnp.where(allowed, values, 0).sum(axis=(0, 2))
  means = total / jnp.maximum(allowed.sum(axis=(0, 2)), 1)
  other = jnp.arange(len(all_present)) != number
  return jnp.where(other, means, 0).sum() / (len(all_present) - 1)


def _similarities(
    z: Float[Array, "p k d"],
) -> tuple[Float[Array, "p k k"], Float[Array, "p k p k"]]:
  """Dot products within each group, and of each image with all."""
  p, k, d = z.shape
  flat = z.reshape(p * k, d)
  # Accelerators multiply matrices in less than float32 unless told; a triplet's
  # own three products are never rounded so.
  with jax.default_matmul_precision("highest"):
    across = similarity.matrix(flat).reshape(p, k, p, k)
  return across[np.arange(p), :, np.arange(p)], across


def _triplets(
    within: Float[Array, "k k"],
    across: Float[Array, "k p k"],
    i: np.ndarray,
    j: np.ndarray,
) -> Float[Array, "pairs p k 3"]:
  """[s_ij, s_il, s_jl] of the pairs (i, j) and every image l of the batch."""
  s02, s12 = across[i], across[j]
  s01 = jnp.broadcast_to(within[i, j][:, None, None], s02.shape)
  return jnp.stack([s01, s02, s12], axis=-1)
