"""Triplet accuracy during training."""

import dataclasses

from alignet import similarity
from alignet.errors import AlignetError
import flax.struct
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class TripletAccuracy(kd.metrics.Metric):
  """Share of triplets whose most similar pair is the teacher's (0, 1).

  Ties count 1/k. A NaN or infinite similarity is an error when the mean is
  computed (upstream scores NaN 0 in silence).

  Attributes:
    kind: "dot" or "cosine".
    embeddings: key of the [*b, 3, d] embeddings, the odd one last.
    mask: key of [*b] bool, true for the triplets that count; None for all.
  """

  kind: similarity.Kind = "dot"

  embeddings: kontext.Key = "preds.triplet_logits"
  mask: kontext.Key | None = None

  @flax.struct.dataclass
  class State(kd.metrics.AverageState):
    """Mean that refuses a NaN when read."""

    def compute(self):
      value = super().compute()
      if np.isnan(value).any():
        raise AlignetError(
            "triplet accuracy met a NaN or infinite similarity: the model's"
            " embeddings are not finite; lower the learning rate and train in a"
            " new workdir"
        )
      return value

  def get_state(
      self,
      embeddings: Float[Array, "*b 3 d"],
      mask: Bool[Array, "*b"] | None = None,
  ) -> State:
    s = similarity.pair_similarities(embeddings, self.kind)
    correct = share_of_choice(s, s[..., 0])
    return self.State.from_values(values=correct, mask=mask)


def share_of_choice(
    s: Float[Array, "*b 3"], chosen: Float[Array, "*b"]
) -> Float[Array, "*b"]:
  """1 where the chosen similarity is the largest, 1/k where k are; or NaN."""
  top = s.max(axis=-1, keepdims=True)
  share = (chosen == top[..., 0]) / jnp.sum(s == top, axis=-1)
  return jnp.where(jnp.isfinite(s).all(axis=-1), share, jnp.nan)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class TripletKL(kd.metrics.Metric):
  """KL(teacher || student) of the choice probabilities, in nats.

  What the student would add, a triplet, to the code length of the teacher's
  answers; whatever loss is trained on.

  Attributes:
    tau: temperature that divides the student's dot products.
    target_tau: temperature that divides the teacher's similarities.
    embeddings: key of the [*b, 3, d] embeddings, the odd one last.
    similarities: key of the [*b, 3] teacher similarities [s01, s02, s12].
    mask: key of [*b] bool, true for the triplets that count; None for all.
  """

  tau: float = 100.0
  target_tau: float = 1.0

  embeddings: kontext.Key = "preds.triplet_logits"
  similarities: kontext.Key = "batch.similarities"
  mask: kontext.Key | None = None

  @flax.struct.dataclass
  class State(kd.metrics.AverageState):
    """Mean over triplets."""

  def get_state(
      self,
      embeddings: Float[Array, "*b 3 d"],
      similarities: Float[Array, "*b 3"],
      mask: Bool[Array, "*b"] | None = None,
  ) -> State:
    student = similarity.pair_similarities(embeddings)
    values = similarity.kl_divergence(
        similarity.log_choice_probabilities(similarities / self.target_tau),
        similarity.log_choice_probabilities(student / self.tau),
    )
    return self.State.from_values(values=values, mask=mask)
