"""A training step that compiles once and stops at what is not finite."""

import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.training import result
import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
from kauldron import kd
from kauldron.utils import config_util
from kauldron.utils.sharding_utils import sharding as sharding_lib
import numpy as np

NAN_FOLDER = "nan"
"""Folder in the workdir that a training leaves that met a NaN."""


class NotFiniteError(AlignetError):
  """A loss, gradient or parameter was NaN or infinite."""


class _Done(NamedTuple):
  """A step that the device may still be working on.

  Attributes:
    flags: what `_flags` gives, on the device.
    batch: the batch of that step.
    names: of what the flags are about.
  """

  flags: dict[str, jax.Array]
  batch: Any
  names: list[str]


@dataclasses.dataclass(kw_only=True, eq=False, frozen=True)
class TrainStep(kd.train.TrainStep):
  """Kauldron's step, with one program, which a NaN cannot pass.

  Kauldron's own is one program for steps that log losses, metrics and
  summaries, another for steps that log losses and metrics, and a third for all
  others: a large model is compiled three times. Here every step computes the
  losses and metrics, a few reductions, and those of summaries where there are
  any; what nobody asked for is dropped by the training loop.

  A step whose loss, gradients or updated parameters are not finite changes
  neither parameters nor optimizer, so that no checkpoint ever holds them, and
  ends the training with an error. One flag a parameter says so, which is read
  when the next step is on its way (at once where the step is logged): the
  device does not wait for the host. The price is that one batch stays on the
  device a step longer.

  Losses of weight 0 are left out: nothing is computed for them.

  Attributes:
    workdir: where `nan/` is written.
    recipe: what a workdir is held to, beside the config.
  """

  workdir: Any = config_util.ROOT_CFG_REF.workdir
  recipe: result.Recipe | None = None

  _unread: list[_Done] = dataclasses.field(
      default_factory=list, init=False, repr=False
  )

  def update_from_root_cfg(self, root_cfg: kd.train.Trainer) -> "TrainStep":
    """Takes the trainer's fields, as all of Kauldron's parts do.

    Raises:
      AlignetError: all losses have the weight 0.
    """
    step = super().update_from_root_cfg(root_cfg)
    losses = step.aux.losses
    kept = {k: v for k, v in losses.items() if not _is_zero(v.weight)}
    if losses and not kept:
      raise AlignetError(
          f"the losses {', '.join(losses)} all have the weight 0; give one of"
          " them another"
      )
    return dataclasses.replace(
        step, aux=dataclasses.replace(step.aux, losses=kept)
    )

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
    """See `kd.train.TrainStep.step`; the three flags change no program.

    Raises:
      NotFiniteError: this step or the one before was not finite; see `check`.
    """
    if checkify_error_categories:  # For debugging; it finds NaNs itself.
      return super().step(
          state,
          batch,
          return_losses=True,
          return_metrics=True,
          return_summaries=bool(self.aux.summaries),
          checkify_error_categories=checkify_error_categories,
      )
    names = _names(state.params)
    state, aux, flags = self._guarded_step(state, batch)
    try:
      self.check()
    except NotFiniteError:
      jax.block_until_ready(state)  # Nothing is left at work behind the error.
      raise
    self._unread.append(_Done(flags, batch, names))
    if return_losses or return_metrics or return_summaries:
      self.check()
    return state, aux

  def check(self) -> None:
    """Reads the flags of the last step; waits until it is done.

    Raises:
      NotFiniteError: it was not finite; `nan/` in the workdir then holds
        `step.json`, what was not finite, and `batch.npz`, the batch.
    """
    while self._unread:
      done = self._unread.pop()
      flags = jax.device_get(done.flags)
      if not flags["finite"].all():
        self._unread.clear()
        _stop(int(flags["step"]), flags["finite"], done, self.workdir)

  @functools.partial(
      jax.jit, static_argnames=("self",), donate_argnames=("state",)
  )
  def _guarded_step(self, state: kd.train.TrainState, batch: Any):
    with self.sharding.set_global_mesh():
      after, context = self._step(state, batch)
    flags = _flags(context, after.params)
    # Not `where`, array by array: that takes XLA several times as long to
    # compile, the longer the deeper the model.
    params, opt_state = jax.lax.cond(
        flags["finite"].all(),
        lambda: (after.params, after.opt_state),
        lambda: (state.params, state.opt_state),
    )
    after = after.replace(params=params, opt_state=opt_state)
    aux = context.get_aux_state(
        return_losses=True,
        return_metrics=True,
        return_summaries=bool(self.aux.summaries),
    ).replace(error=None)
    return sharding_lib.with_sharding_constraint(
        (after, aux, flags | {"step": state.step}),
        (self.sharding.state, self.sharding.aux, self.sharding.aux),
    )


def _is_zero(weight: Any) -> bool:
  """Whether a weight is the number 0; a schedule is none."""
  return isinstance(weight, int | float) and weight == 0


def _flags(context: Any, params: Any) -> dict[str, jax.Array]:
  """{"finite": one bool for each of `_names`}."""
  values = [
      context.loss_total,
      *jax.tree.leaves(context.grads),
      *jax.tree.leaves(params),
  ]
  return {"finite": jnp.stack([jnp.isfinite(v).all() for v in values])}


def _names(params: Any) -> list[str]:
  """The loss, each parameter's gradient, each parameter."""
  paths = [
      jax.tree_util.keystr(path, simple=True, separator="/")
      for path, _ in jax.tree_util.tree_leaves_with_path(params)
  ]
  return ["the loss", *(f"the gradient of {p}" for p in paths), *paths]


def _stop(step: int, finite: np.ndarray, done: _Done, workdir: Any) -> None:
  """Writes what is known about a step that was not finite, and raises."""
  wrong = [n for n, good in zip(done.names, finite, strict=True) if not good]
  folder = pathlib.Path(workdir) / NAN_FOLDER
  batch = arrays(done.batch)
  if jax.process_index() == 0:
    folder.mkdir(parents=True, exist_ok=True)
    files.save_npz(folder / "batch.npz", batch, overwrite=True)
    report = {"step": step, "first": wrong[0], "not_finite": wrong}
    json_files.write(folder / "step.json", report, overwrite=True)
  raise NotFiniteError(
      f"the training diverged: at step {step} {wrong[0]} is NaN or infinite"
      f" ({len(wrong)} such values); {folder} holds the batch and all their"
      " names, no checkpoint holds them; lower the learning rate and train in"
      " another workdir"
  )


def arrays(batch: Any) -> dict[str, np.ndarray]:
  """A batch as flat NumPy arrays, `a.b` for {"a": {"b": …}}.

  All processes must call it together, and get the whole batch.
  """
  if jax.process_count() > 1:
    batch = multihost_utils.process_allgather(batch, tiled=True)
  return {
      jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(x)
      for path, x in jax.tree_util.tree_leaves_with_path(jax.device_get(batch))
  }
