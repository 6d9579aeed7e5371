"""Metrics of Kauldron trainers: agreement with the teacher, and drift.

The `Dense…` metrics are the counterparts of `Triplet…` for the batches of
`losses.Dense`, with its mean: within each ordered pair of groups, then over
the pairs.
"""

import dataclasses
from typing import Any

from alignet.errors import AlignetError
from alignet.training import losses
from alignet.training import optim
from alignet.triplets import similarity
import flax.struct
import jax
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
    return self.State.from_values(values=choices(s)[..., 0], mask=mask)


def choices(s: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
  """1/k at each of the k largest similarities, 0 elsewhere; or NaN."""
  top = s == s.max(axis=-1, keepdims=True)
  finite = jnp.isfinite(s).all(axis=-1, keepdims=True)
  return jnp.where(finite, top / top.sum(axis=-1, keepdims=True), jnp.nan)


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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class DenseAccuracy(kd.metrics.Metric):
  """Share of triplets whose most similar pair is the teacher's (0, 1).

  By dot products; ties as in `TripletAccuracy`, of the teacher's any counts.

  Attributes:
    embeddings: key of the [p, k, d] student embeddings.
    representations: key of the [p, k, t] teacher's aligned representations.
    present: key of [p, k] bool, false for padding.
  """

  embeddings: kontext.Key = "preds.triplet_logits"
  representations: kontext.Key = "batch.representations"
  present: kontext.Key = "batch.present"

  State = TripletAccuracy.State

  def get_state(
      self,
      embeddings: Float[Array, "p k d"],
      representations: Float[Array, "p k t"],
      present: Bool[Array, "p k"],
  ) -> kd.metrics.State:
    values = losses.over_groups(_agree, embeddings, representations, present)
    return self.State.from_values(values=values)


def _agree(
    teacher: Float[Array, "*b 3"], student: Float[Array, "*b 3"]
) -> Float[Array, "*b"]:
  return jnp.sum(choices(teacher) * choices(student), axis=-1)


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
    values = losses.over_groups(
        kl.compare, embeddings, representations, present
    )
    return self.State.from_values(values=values)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Drift(kd.metrics.Metric):
  """|w - w0| / |w0|, Euclidean norms over all weights with an anchor.

  The initial weights w0 are those that `alignet.training.optim.decay_to_init`
  keeps in the optimizer, so that nothing is stored twice and a resumed run has
  them too; modules that it excludes are left out.

  Attributes:
    params: key of the parameters.
    opt_state: key of the optimizer's state.
  """

  params: kontext.Key = "params"
  opt_state: kontext.Key = "opt_state"

  @flax.struct.dataclass
  class State(kd.metrics.AverageState):
    """One number a step."""

  def get_state(self, params: Any, opt_state: Any) -> State:
    initial = optim.initial(opt_state)
    if initial is None:
      raise AlignetError(
          "the metric Drift needs the initial weights, which the optimizer"
          " keeps only with alignet.training.optim.decay_to_init; add it, with"
          " total=0 for no pull, or drop the metric"
      )
    moved = sizes = 0.0
    for path, start in jax.tree_util.tree_leaves_with_path(initial):
      now = params
      for key in path:
        now = now[key.key]
      moved += jnp.sum(jnp.square(now - start))
      sizes += jnp.sum(jnp.square(start))
    # Nothing but zeros at the start: no drift, or an infinite one.
    return self.State.from_values(values=jnp.sqrt(moved / sizes))
