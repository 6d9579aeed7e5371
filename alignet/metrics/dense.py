"""Agreement with the teacher over all triplets of a batch of groups.

The counterparts of `TripletAccuracy` and `TripletKL` for the batches of
`alignet.losses.Dense`, with its mean: within each ordered pair of groups, then
over the pairs.
"""

import dataclasses

from alignet import losses
from alignet.losses import dense
from alignet.metrics import triplet
import flax.struct
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class DenseAccuracy(kd.metrics.Metric):
  """Share of triplets whose most similar pair is the teacher's (0, 1).

  By dot products; ties as in `TripletAccuracy`, of the teacher's the first
  counts.

  Attributes:
    embeddings: key of the [p, k, d] student embeddings.
    representations: key of the [p, k, t] teacher's aligned representations.
    present: key of [p, k] bool, false for padding.
  """

  embeddings: kontext.Key = "preds.triplet_logits"
  representations: kontext.Key = "batch.representations"
  present: kontext.Key = "batch.present"

  State = triplet.TripletAccuracy.State

  def get_state(
      self,
      embeddings: Float[Array, "p k d"],
      representations: Float[Array, "p k t"],
      present: Bool[Array, "p k"],
  ) -> kd.metrics.State:
    values = dense.over_groups(_agree, embeddings, representations, present)
    return self.State.from_values(values=values)


def _agree(
    teacher: Float[Array, "*b 3"], student: Float[Array, "*b 3"]
) -> Float[Array, "*b"]:
  best = jnp.argmax(teacher, axis=-1, keepdims=True)
  chosen = jnp.take_along_axis(student, best, axis=-1)[..., 0]
  return triplet.share_of_choice(student, chosen)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class DenseKL(kd.metrics.Metric):
  """KL(teacher || student) of the choice probabilities, in nats.

  Attributes:
    tau: temperature that divides the student's dot products.
    target_tau: temperature that divides the teacher's similarities.
    embeddings: key of the [p, k, d] student embeddings.
    representations: key of the [p, k, t] teacher's aligned representations.
    present: key of [p, k] bool, false for padding.
  """

  tau: float = 100.0
  target_tau: float = 1.0

  embeddings: kontext.Key = "preds.triplet_logits"
  representations: kontext.Key = "batch.representations"
  present: kontext.Key = "batch.present"

  @flax.struct.dataclass
  class State(kd.metrics.AverageState):
    """Mean over groups."""

  def get_state(
      self,
      embeddings: Float[Array, "p k d"],
      representations: Float[Array, "p k t"],
      present: Bool[Array, "p k"],
  ) -> State:
    kl = losses.KL(tau=self.tau, target_tau=self.target_tau)
    values = dense.over_groups(kl.compare, embeddings, representations, present)
    return self.State.from_values(values=values)
