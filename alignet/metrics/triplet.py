"""Triplet accuracy during training."""

import dataclasses

from alignet import similarity
import flax.struct
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from kauldron import kd
from kauldron import kontext
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class TripletAccuracy(kd.metrics.Metric):
  """Share of triplets whose most similar pair is the teacher's (0, 1).

  Ties count 1/k. A NaN embedding is an error (upstream scores it 0 in silence).

  Attributes:
    kind: "dot" or "cosine".
    embeddings: key of the [*b, 3, d] embeddings, the odd one last.
  """

  kind: similarity.Kind = "dot"

  embeddings: kontext.Key = "preds.triplet_logits"

  @flax.struct.dataclass
  class State(kd.metrics.AverageState):
    """Mean that refuses a NaN when read."""

    def compute(self):
      value = super().compute()
      if np.isnan(value).any():
        raise FloatingPointError(
            "triplet accuracy met a NaN similarity: the model's embeddings are"
            " not finite; lower the learning rate or look for a NaN in the data"
        )
      return value

  def get_state(self, embeddings: Float[Array, "*b 3 d"]) -> State:
    s = similarity.pair_similarities(embeddings, self.kind)
    top = s.max(axis=-1, keepdims=True)
    correct = (s[..., 0] == top[..., 0]) / jnp.sum(s == top, axis=-1)
    correct = jnp.where(jnp.isnan(s).any(axis=-1), jnp.nan, correct)
    return self.State.from_values(values=correct)
