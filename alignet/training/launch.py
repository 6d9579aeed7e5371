"""Launches a Kauldron training.

  python -m alignet.train --cfg=student/small --cfg.workdir=out/student

`--cfg` is the name of a config that comes with alignet, or a path; every field
can be overridden with `--cfg.a.b=value`. `python -m kauldron.main --cfg=PATH`
runs the same config; this entry point also writes `weights.safetensors` at the
end, keeps JAX's compilation cache on disk and joins several processes to one
training: start the command once a process, on any number of machines that share
the work folder, with JAX_COORDINATOR_ADDRESS=HOST:PORT (of the first),
JAX_NUM_PROCESSES and JAX_PROCESS_ID (0, 1, …) in the environment; the last two
may be left out where JAX knows the cluster (Slurm, Open MPI, Cloud TPU).

`--dry_run` trains nothing: it prints shapes, parameters, memory and cost, and
draws the first batch, see `alignet.training.dry_run`.
"""

from collections.abc import Sequence
import functools
import logging
import os
import pathlib
import sys
import types
from typing import Any

# TensorFlow, which Kauldron imports, speaks up unless told before.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# pylint: disable=g-import-not-at-top
# ruff: noqa: E402
from absl import app
from absl import flags
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import files
from alignet.io import progress
from alignet.training import optim
from alignet.training import provenance
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

  Args:
    trainer: a resolved trainer whose workdir is set.

  Returns:
    Path of the weights; None for a model that is no vision model, and in all
    processes but the first.

  Raises:
    AlignetError: the training diverged, no weights are written; or the workdir
      holds those of another config.
  """
  from alignet.models.formats import checkpoints
  from alignet.models.vit.vision_model import VisionModel

  weights = pathlib.Path(trainer.workdir) / WEIGHTS
  if weights.exists():
    provenance.resume_check(trainer)
    return weights
  use_compilation_cache()
  quiet_logs()
  if isinstance(trainer.model, VisionModel):
    provenance.note(trainer)
  try:
    state, _ = trainer.train()
    if isinstance(trainer.trainstep, train_step.TrainStep):
      trainer.trainstep.check()  # Of the last step.
  finally:
    trainer.checkpointer.wait_until_finished()
  params = _whole(state.params)
  averaged = optim.averaged(state.opt_state)
  averaged = None if averaged is None else _whole(averaged)
  _check_finite(params, trainer.workdir)
  if not isinstance(trainer.model, VisionModel) or jax.process_index():
    return None
  meta = {"steps": int(state.step), "seed": trainer.seed}
  meta |= provenance.of(trainer)
  # The weights come last: they say that the run is complete.
  if averaged is not None:
    path = weights.with_name(AVERAGED)
    path.unlink(missing_ok=True)
    checkpoints.save(path, trainer.model, averaged, meta=meta)
  provenance.note_config(trainer)
  checkpoints.save(weights, trainer.model, params, meta=meta)
  return weights


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
  bar = functools.partial(tqdm.tqdm, disable=progress.hidden())
  kauldron_utils.tqdm = types.SimpleNamespace(tqdm=bar)


def main(argv: Sequence[str], *, dry: str | None = None) -> int:
  """Runs `--cfg`, or describes it with the effort `dry`; the exit code."""
  del argv
  try:
    if dry is not None:
      from alignet.training import dry_run

      print(dry_run.dry_run(_trainer(), dry))
      return 0
    weights = train(_trainer())
  except (AlignetError, OSError) as e:
    return _fail(e)
  if weights is not None:
    print(f"{weights} sha256 {files.sha256(weights)}")
  return 0


def _trainer() -> kd.train.Trainer:
  """The trainer that the flags describe."""
  try:
    cfg = flags.FLAGS.cfg
    if not cfg.get("workdir"):
      raise AlignetError("give the run a folder: --cfg.workdir=PATH")
    # Orbax refuses a relative path, but only when the run ends.
    cfg.workdir = os.path.abspath(cfg.workdir)
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


def run(argv: Sequence[str]) -> int:
  """Entry point of `alignet train` and `python -m alignet.train`.

  Args:
    argv: `--cfg=NAME` and overrides `--cfg.a.b=VALUE`; `--dry_run` or
      `--dry_run=compile` for a description instead of a training.

  Returns:
    The exit code: 0 done, 2 something given cannot be used.
  """
  try:
    argv, dry = _without_dry_run(argv)
    argv = _with_path(argv)
    join_processes()
  except AlignetError as e:
    return _fail(e)
  kd.konfig.DEFINE_config_file("cfg", None, "Config, by name or by path.")
  argv = ["alignet train", *argv]
  before = sys.argv
  sys.argv = argv  # Where ml_collections looks for overrides.
  try:
    app.run(functools.partial(main, dry=dry), argv=argv, flags_parser=_parse)
  except SystemExit as e:
    return e.code if isinstance(e.code, int) else int(e.code is not None)
  finally:
    sys.argv = before
    # The overrides of this run are no business of the process's next one.
    for name in list(flags.FLAGS):
      if name == "cfg" or name.startswith("cfg."):
        delattr(flags.FLAGS, name)
  return 0


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses the flags; one that cannot be used ends the program."""
  try:
    return flags.FLAGS(argv)
  except (flags.Error, AttributeError, KeyError, TypeError) as e:
    sys.exit(_fail(e))


def _fail(error: Exception) -> int:
  message = " ".join(str(error).split())
  print(f"alignet train: error: {message}", file=sys.stderr)
  return 2


def _without_dry_run(argv: Sequence[str]) -> tuple[list[str], str | None]:
  """The other arguments, and the effort of a dry run if one is asked for."""
  rest = [a for a in argv if a.partition("=")[0] != "--dry_run"]
  efforts = [a.partition("=")[2] or "shapes" for a in argv if a not in rest]
  if wrong := set(efforts) - {"shapes", "compile"}:
    raise AlignetError(
        "expected --dry_run, --dry_run=shapes or --dry_run=compile, found"
        f" --dry_run={wrong.pop()}"
    )
  return rest, efforts[-1] if efforts else None


def _with_path(argv: Sequence[str]) -> list[str]:
  """Turns `--cfg=name`, or `--cfg name`, into `--cfg=path`."""
  argv, found = list(argv), False
  for i, argument in enumerate(argv):
    key, equals, value = argument.partition("=")
    if key in ("--cfg", "-cfg"):
      if not equals:
        value = argv.pop(i + 1) if i + 1 < len(argv) else ""
      argv[i] = f"--cfg={config_files.resolve(value)}"
      found = True
  if not found and not any("help" in a for a in argv):
    raise AlignetError(
        "expected --cfg=NAME, a config's path or one of"
        f" {', '.join(config_files.names())}"
    )
  return argv


if __name__ == "__main__":
  sys.exit(run(sys.argv[1:]))
