"""How far the weights have moved from where training started."""

import dataclasses
from typing import Any

from alignet import optim
from alignet.errors import AlignetError
import flax.struct
import jax
import jax.numpy as jnp
from kauldron import kd
from kauldron import kontext


@dataclasses.dataclass(frozen=True, kw_only=True, eq=True)
class Drift(kd.metrics.Metric):
  """|w - w0| / |w0|, Euclidean norms over all weights with an anchor.

  The initial weights w0 are those that `alignet.optim.decay_to_init` keeps in
  the optimizer, so that nothing is stored twice and a resumed run has them too;
  modules that it excludes are left out.

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
          " keeps only with alignet.optim.decay_to_init; add it, with total=0"
          " for no pull, or drop the metric"
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
