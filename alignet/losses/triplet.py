"""Losses of a student's triplet embedding against a teacher's similarities.

Upstream takes the logarithm of a softmax, which is infinite or NaN at logits an
untrained head does produce. Here everything stays in logarithms, so value and
gradient are finite for every finite input whose dot products are. Each loss is
one number a triplet, [*b]; float16 and bfloat16 embeddings are summed in
float32.
"""

import dataclasses

from alignet import similarity
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext


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
