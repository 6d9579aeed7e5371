"""Losses of a student's triplet embedding against a teacher's similarities.

Upstream takes the logarithm of a softmax, which is infinite or NaN at logits an
untrained head does produce. Here everything stays in logarithms, so value and
gradient are finite for every finite input whose dot products are. Each loss is
one number a triplet, [*b]; float16 and bfloat16 embeddings are summed in
float32.
"""

import dataclasses

from alignet import similarity
from jaxtyping import Array
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class _TripletLoss(kd.losses.Loss):
  """What the losses share: the student's log choice probabilities.

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

  def student(self, embeddings: Float[Array, "*b 3 d"]) -> Float[Array, "*b 3"]:
    return similarity.log_choice_probabilities(
        similarity.pair_similarities(embeddings) / self.tau
    )

  def teacher(self, similarities: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    return similarity.log_choice_probabilities(similarities / self.target_tau)


class Contrastive(_TripletLoss):
  """Hard labels: -log p(the teacher's most similar pair), in nats.

  Rows must be in canonical order, as `alignet.triplet_io` writes them.
  """

  def get_values(
      self,
      embeddings: Float[Array, "*b 3 d"],
      similarities: Float[Array, "*b 3"],
  ) -> Float[Array, "*b"]:
    del similarities  # The most similar pair comes first.
    return -self.student(embeddings)[..., 0]


class KL(_TripletLoss):
  """KL(teacher || student) in nats."""

  def get_values(
      self,
      embeddings: Float[Array, "*b 3 d"],
      similarities: Float[Array, "*b 3"],
  ) -> Float[Array, "*b"]:
    return similarity.kl_divergence(
        self.teacher(similarities), self.student(embeddings)
    )


class JSD(_TripletLoss):
  """Jensen-Shannon divergence of teacher and student in nats (released)."""

  def get_values(
      self,
      embeddings: Float[Array, "*b 3 d"],
      similarities: Float[Array, "*b 3"],
  ) -> Float[Array, "*b"]:
    return similarity.js_divergence(
        self.teacher(similarities), self.student(embeddings)
    )
