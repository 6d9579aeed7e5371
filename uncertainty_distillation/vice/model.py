"""VICE as a Flax module, its data, losses and result, for Kauldron's trainer.

The objective is that of `alignet vice`, whose own loop also stops by itself
when the number of dimensions is stable; here the number of steps is given.
"""

import dataclasses
import functools
import pathlib
from typing import Any

from alignet.data import linear_world as simulated
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from kauldron import kd
from kauldron import kontext
import numpy as np
from uncertainty_distillation.vice import embedding
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice import train
from uncertainty_distillation.vice.config import Config

FILE_NAME = "vice.npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
  """Judgments from files; without any, choices simulated from an embedding.

  Attributes:
    triplets: npy (m, 3) object numbers from 0 on, the odd one last.
    probabilities: npy (m, 3) of the pairs; empty for choices.
    n_objects: number of objects; needed with files.
    seed: of the simulated choices.
  """

  triplets: str = ""
  probabilities: str = ""
  n_objects: int = 0
  seed: int = 0

  @functools.cached_property
  def training(self) -> Judgments:
    """All of them."""
    if not self.triplets:
      if self.probabilities or self.n_objects:
        raise AlignetError(
            "probabilities or n_objects given without triplets; pass"
            " --cfg.aux.triplets=T.npy"
        )
      _, _, dimensions = simulated.make(40, 1, seed=self.seed)
      judged = judgments_lib.from_embedding(dimensions, seed=self.seed)
      return judgments_lib.sample_choices(judged, seed=self.seed)
    if self.n_objects < 3:
      raise AlignetError(
          f"expected at least 3 objects, found {self.n_objects}; pass"
          " --cfg.aux.n_objects=NUMBER"
      )
    given = {"triplets": "iu"}
    if self.probabilities:
      given["probabilities"] = "fiu"
    arrays = {
        name: files.load_npy(
            getattr(self, name), what=name, shape=(None, 3), kinds=kinds
        )
        for name, kinds in given.items()
    }
    return judgments_lib.from_choices(**arrays, n_concepts=self.n_objects)


class Posterior(nn.Module):
  """One sample of the embedding a step, and what it says of triplets.

  Attributes:
    choices: the judgments; says how many objects there are.
    config: the prior, and the number of dimensions at the start.
    triplets: key of the [b, 3] object numbers.
  """

  choices: Choices
  config: Config

  triplets: kontext.Key = "batch.triplets"

  @nn.compact
  def __call__(self, triplets: Int[Array, "b 3"]) -> dict[str, jax.Array]:
    """Returns "similarities" [b, 3] and "divergence" [].

    The divergence is log q - log p of the sample, over the number of
    judgments.
    """
    judgments = self.choices.training
    start = train.initial(judgments.n_concepts, self.config)
    params = {
        name: self.param(name, lambda _, value=value: jnp.asarray(value))
        for name, value in start.items()
    }
    eps = jax.random.normal(self.make_rng("default"), params["mu"].shape)
    x = objective.sample(params, eps)
    divergence = objective.log_q(params, eps) - objective.log_prior(
        x, self.config
    )
    return {
        "similarities": objective.similarities(x, triplets),
        "divergence": divergence.sum() / len(judgments),
    }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Divergence(kd.losses.Loss):
  """The sample's log q - log p, in nats a judgment.

  Attributes:
    divergence: key of it.
  """

  divergence: kontext.Key = "preds.divergence"

  def get_values(self, divergence: Float[Array, ""]) -> Float[Array, ""]:
    return divergence


class PosteriorEvaluator(kd.evals.EvaluatorBase):
  """Counts the dimensions in use and writes them to `{workdir}/vice.npz`.

  Attributes:
    config: says which are in use.
  """

  config: Config

  def evaluate(self, state: Any, step: int) -> None:
    """Writes the number of dimensions, and those in use as the result."""
    with jax.transfer_guard("allow"):
      mu, sigma = train.posterior(jax.device_get(state.params))
    kept = np.flatnonzero(train.count(mu, sigma, self.config))
    self.writer.write_scalars(step=step, scalars={"dimensions": len(kept)})
    if jax.process_index() or not len(kept):
      return
    kept = kept[np.argsort(-np.maximum(mu[:, kept], 0).sum(axis=0))]
    embedding.save(
        pathlib.Path(self.base_cfg.workdir) / FILE_NAME,
        embedding.Embedding(
            mu=mu[:, kept],
            sigma=sigma[:, kept],
            meta={
                "config": dataclasses.asdict(self.config),
                "steps": int(step),
                "versions": files.versions(),
            },
        ),
        overwrite=True,
    )
