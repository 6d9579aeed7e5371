"""A training step that compiles once."""

import dataclasses
from typing import Any

from kauldron import kd


@dataclasses.dataclass(kw_only=True, eq=False, frozen=True)
class TrainStep(kd.train.TrainStep):
  """Kauldron's step, whose compiled program does not depend on what is logged.

  Kauldron's own is one program for steps that log losses, metrics and
  summaries, another for steps that log losses and metrics, and a third for all
  others: a large model is compiled three times. Here every step computes the
  losses and metrics, a few reductions, and those of summaries where there are
  any; what nobody asked for is dropped by the training loop.
  """

  def step(
      self,
      state: kd.train.TrainState,
      batch: Any,
      *,
      return_losses: bool = False,
      return_metrics: bool = False,
      return_summaries: bool = False,
      checkify_error_categories: frozenset[Any] = frozenset(),
  ) -> tuple[kd.train.TrainState, kd.train.AuxiliariesState]:
    """See `kd.train.TrainStep.step`; the three flags change nothing."""
    del return_losses, return_metrics, return_summaries
    return super().step(
        state,
        batch,
        return_losses=True,
        return_metrics=True,
        return_summaries=bool(self.aux.summaries),
        checkify_error_categories=checkify_error_categories,
    )
