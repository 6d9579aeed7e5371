"""Runs a resolved training, from its weights to its weights."""

import functools
import logging
import os
import pathlib
import types
from typing import Any

# TensorFlow, which Kauldron imports, speaks up unless told before.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# pylint: disable=g-import-not-at-top
# ruff: noqa: E402
from absl import flags
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import interrupts
from alignet.io import locks
from alignet.io import progress
from alignet.training import optim
from alignet.training import provenance
from alignet.training import result
from alignet.training import train_step
import jax
from jax.experimental import multihost_utils
from kauldron import kd
from kauldron.utils import utils as kauldron_utils
import numpy as np
import tqdm

WEIGHTS = "weights.safetensors"
AVERAGED = "weights_ema.safetensors"
"""The moving average of the weights, where the optimizer keeps one."""


def train(trainer: kd.train.Trainer) -> pathlib.Path | None:
  """Trains, then writes the weights of a vision model beside the checkpoints.

  A run that is complete is not repeated; one that was stopped goes on from its
  last checkpoint, also with another number of workers, processes or devices.
  One with a `result.Result` ends when that is written.

  Args:
    trainer: a resolved trainer whose workdir is set.

  Returns:
    Path of the weights or the result; None where there is neither, and in all
    processes but the first.

  Raises:
    AlignetError: the training diverged, no weights are written; another
      process works in the workdir; or it was begun with something else, see
      `provenance.begin`.
  """
  if jax.process_index():
    return _train(trainer)
  with locks.held(pathlib.Path(trainer.workdir) / locks.LOCK):
    return _train(trainer)


def _train(trainer: kd.train.Trainer) -> pathlib.Path | None:
  from alignet.models.formats import checkpoints
  from alignet.models.vit.vision_model import VisionModel

  weights = pathlib.Path(trainer.workdir) / WEIGHTS
  provenance.begin(trainer)
  if weights.exists():
    return weights
  results = [
      result.path_of(evaluator)
      for evaluator in trainer.evals.values()
      if isinstance(evaluator, result.Result)
  ]
  if results and all(path.exists() for path in results):
    return results[0]
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()  # Which loaders' workers ask absl for.
  use_compilation_cache()
  quiet_logs()
  patience = getattr(trainer.checkpointer, "on_sigterm", 0)
  try:
    with result.stopping(), interrupts.patience(patience):
      state, _ = trainer.train()
  except result.Done as done:
    state = done.state
  except Exception:  # An interrupt waits for nothing.
    trainer.checkpointer.wait_until_finished()
    raise
  trainer.checkpointer.wait_until_finished()
  if isinstance(trainer.trainstep, train_step.TrainStep):
    trainer.trainstep.check()  # Of the last step.
  params = _whole(state.params)
  averaged = optim.averaged(state.opt_state)
  averaged = None if averaged is None else _whole(averaged)
  _check_finite(params, trainer.workdir)
  if jax.process_index():
    return None
  if not isinstance(trainer.model, VisionModel):
    return results[0] if results else None
  meta = {"steps": int(state.step), "seed": trainer.seed}
  meta |= provenance.of(trainer)
  # The weights come last: they say that the run is complete.
  if averaged is not None:
    path = weights.with_name(AVERAGED)
    path.unlink(missing_ok=True)
    checkpoints.save(path, trainer.model, averaged, meta=meta)
  _note_config(trainer)
  checkpoints.save(weights, trainer.model, params, meta=meta)
  return weights


def _note_config(trainer: kd.train.Trainer) -> None:
  """Notes the config that the training ended with, also after a resumption."""
  if trainer.raw_cfg is not None:
    path = pathlib.Path(trainer.workdir) / "config.json"
    with files.atomic_write(path, overwrite=True) as f:
      f.write(trainer.raw_cfg.to_json().encode())


def _whole(params: Any) -> Any:
  """The parameters as NumPy arrays, also where processes share them."""
  if jax.process_count() > 1:
    return multihost_utils.process_allgather(params, tiled=True)
  return jax.device_get(params)


def join_processes() -> None:
  """Makes this process one of several, if the environment says so.

  Raises:
    AlignetError: the environment says so, but not which one this is.
  """
  if "JAX_COORDINATOR_ADDRESS" not in os.environ:
    return
  numbers = {}
  for argument, variable in (
      ("num_processes", "JAX_NUM_PROCESSES"),
      ("process_id", "JAX_PROCESS_ID"),
  ):
    value = os.environ.get(variable)
    if value is not None and not value.isdecimal():
      raise AlignetError(f"{variable}: expected a number, found {value!r}")
    numbers[argument] = None if value is None else int(value)
  try:
    jax.distributed.initialize(**numbers)
  except ValueError as e:
    raise AlignetError(
        f"JAX_COORDINATOR_ADDRESS is set, but {e}; set JAX_NUM_PROCESSES and"
        " JAX_PROCESS_ID too, or unset it"
    ) from e


def _check_finite(params: Any, workdir: os.PathLike[str]) -> None:
  """Fails where a parameter is NaN or infinite."""
  for path, array in jax.tree_util.tree_leaves_with_path(params):
    if not np.isfinite(array).all():
      raise AlignetError(
          "the training diverged:"
          f" {jax.tree_util.keystr(path, simple=True, separator='/')} holds NaN"
          " or infinite values, so no weights were written; lower the learning"
          f" rate and train in another workdir, or delete {workdir} first"
      )


def use_compilation_cache() -> None:
  """Keeps compiled programs on disk: the next run starts without compiling."""
  if jax.config.jax_compilation_cache_dir is None:
    folder = files.cache_dir() / "jax"
    jax.config.update("jax_compilation_cache_dir", str(folder))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def quiet_logs() -> None:
  """Libraries' chatter off; warnings and errors stay.

  Kauldron draws its bars without asking whether anybody looks: they are given
  the project's rule.
  """
  for name in ("absl", "orbax", "jax"):
    logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(name).addFilter(_is_no_interrupt)
  bar = functools.partial(tqdm.tqdm, disable=progress.hidden())
  kauldron_utils.tqdm = types.SimpleNamespace(tqdm=bar)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
  """Selects log records, but those of Ctrl-C, which is not a failure."""
  error = record.exc_info and record.exc_info[1]
  return not isinstance(error, KeyboardInterrupt)


def resolve(cfg: Any) -> kd.train.Trainer:
  """Makes the trainer that a config describes.

  Raises:
    AlignetError: a config that cannot be resolved, or not to a trainer.
  """
  try:
    trainer = kd.konfig.resolve(cfg)
  except AlignetError:
    raise
  except (AttributeError, ImportError, KeyError, TypeError, ValueError) as e:
    # Kauldron prints the whole config first; the reason comes last.
    reason = str(e).strip().splitlines()[-1]
    raise AlignetError(f"the config cannot be used: {reason}") from e
  if not isinstance(trainer, kd.train.Trainer):
    raise AlignetError(
        "expected the config of a training, found one that describes a"
        f" {type(trainer).__name__}; try `alignet run`"
    )
  return trainer
