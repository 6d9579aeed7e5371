"""VICE as a Flax module, its data, losses and result, for Kauldron's trainer.

Start, draws, optimizer and result are those of `alignet vice`.
"""

import dataclasses
import functools
import pathlib
from typing import Any, ClassVar

from alignet.data import linear_world as simulated
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.training import result
from flax import linen as nn
import jax
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from kauldron import kd
from kauldron import kontext
from uncertainty_distillation import training_loop
from uncertainty_distillation.data import Drawn
from uncertainty_distillation.vice import embedding
from uncertainty_distillation.vice import fitting
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice import train
from uncertainty_distillation.vice.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
  """Judgments from files; without any, choices simulated from an embedding.

  Attributes:
    config: how VICE is fitted; its seed is that of simulated choices too.
    triplets: npy (m, 3) object numbers from 0 on, the odd one last.
    probabilities: npy (m, 3) of the pairs; empty for choices.
    n_objects: number of objects; needed with files.
  """

  config: Config
  triplets: str = ""
  probabilities: str = ""
  n_objects: int = 0

  @functools.cached_property
  def read(self) -> tuple[Judgments, dict[str, str]]:
    """All judgments, and the sha256 of each file."""
    if not self.triplets:
      if self.probabilities or self.n_objects:
        raise AlignetError(
            "probabilities or n_objects given without triplets; pass"
            " --cfg.aux.triplets=T.npy"
        )
      seed = self.config.seed
      _, _, dimensions = simulated.make(40, 1, seed=seed)
      judged = judgments_lib.from_embedding(dimensions, seed=seed)
      return judgments_lib.sample_choices(judged, seed=seed), {}
    if self.n_objects < 3:
      raise AlignetError(
          f"expected at least 3 objects, found {self.n_objects}; pass"
          " --cfg.aux.n_objects=NUMBER"
      )
    return fitting.read(self.triplets, self.probabilities, self.n_objects)

  @functools.cached_property
  def drawn(self) -> Drawn:
    """What batches are drawn from."""
    training, _ = fitting.split(self.read[0], self.config)
    return Drawn(
        seed=self.config.seed,
        size=self.config.batch,
        triplets=training.triplets,
        targets=training.probabilities,
    )

  def plan(self) -> dict[str, Any]:
    """What the embedding depends on."""
    judgments, inputs = self.read
    return fitting.plan(judgments, self.config) | {"inputs": inputs}


class Posterior(nn.Module):
  """One sample of the embedding a step, and what it says of triplets.

  Attributes:
    choices: the judgments, and how VICE is fitted to them.
    triplets: key of the [b, 3] object numbers.
    targets: key of the [b, 3] probabilities of their pairs.
    number: key of the [b] numbers of the step, all equal.
  """

  choices: Choices

  triplets: kontext.Key = "batch.triplets"
  targets: kontext.Key = "batch.targets"
  number: kontext.Key = "batch.number"

  @nn.compact
  def __call__(
      self,
      triplets: Int[Array, "b 3"],
      targets: Float[Array, "b 3"],
      number: Int[Array, "b"],
  ) -> dict[str, jax.Array]:
    """The terms of the objective.

    Returns:
      "cross_entropy": [b]; "divergence": [], log q - log p of the sample, over
      the number of judgments, by its weight at this step.
    """
    config, drawn = self.choices.config, self.choices.drawn
    start = train.initial(self.choices.read[0].n_concepts, config)
    params = {
        name: self.param(name, lambda _, value=value: value)
        for name, value in start.items()
    }
    key, _ = training_loop.draw(jax.random.key(drawn.seed), number[0], 0, 1)
    eps = jax.random.normal(key, params["mu"].shape)
    x = objective.sample(params, eps)
    divergence = objective.log_q(params, eps) - objective.log_prior(x, config)
    weight = train.weight(number[0], config)
    return {
        "cross_entropy": objective.cross_entropy(x, triplets, targets),
        "divergence": weight * divergence.sum() / len(drawn.triplets),
    }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Term(kd.losses.Loss):
  """A term of the objective, in nats a judgment; the mean over a batch.

  Attributes:
    values: key of it.
  """

  values: kontext.Key

  def get_values(self, values: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return values


class PosteriorResult(result.Result):
  """Writes `{workdir}/vice.npz`, as `alignet vice` does.

  Attributes:
    choices: what the training is of.
  """

  choices: Choices

  file_name: ClassVar[str] = "vice.npz"

  def updates(self) -> int:
    """At most, where the number of dimensions is never stable."""
    return self.choices.config.steps + self.choices.config.decay

  def done(self, state: kd.train.TrainState) -> bool:
    """Whether the learning rate has fallen to zero."""
    return state.opt_state.done(self.choices.config)

  def write(self, state: kd.train.TrainState, path: pathlib.Path) -> None:
    """Writes the dimensions in use, with their report."""
    judgments, inputs = self.choices.read
    config = self.choices.config
    found = train.result(state.params, state.opt_state, config)
    made = fitting.finish(judgments, config, found)
    meta = {**made.meta, "inputs": inputs}
    embedding.save(path, dataclasses.replace(made, meta=meta))
