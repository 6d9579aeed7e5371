"""Launches a Kauldron training.

  python -m alignet.train student/small --cfg.workdir=out/student

The config goes by its name, or by a path, also as `--cfg=NAME_OR_PATH`; every
field of it can be overridden with `--cfg.a.b=value`. `python -m kauldron.main
--cfg=PATH` runs the same config; this entry point also rejects mistyped keys,
writes `weights.safetensors` at the end, keeps JAX's compilation cache on disk
and joins several processes to one training: start the command once per process,
on any number of machines that share the work folder, with
JAX_COORDINATOR_ADDRESS=HOST:PORT (of the first), JAX_NUM_PROCESSES and
JAX_PROCESS_ID (0, 1, …) in the environment; the last two may be left out where
JAX knows the cluster (Slurm, Open MPI, Cloud TPU).

`--dry_run` trains nothing: it prints shapes, parameters, memory and cost, and
draws the first batch, see `alignet.training.dry_run`.
"""

from collections.abc import Sequence
import os
import pathlib
import sys
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import files
from alignet.io import interrupts
from alignet.io import locks

EFFORTS = ("shapes", "compile")
"""Of a dry run: what is known of the shapes alone, or to the compiler."""


def main(argv: Sequence[str]) -> int:
  """Entry point of `python -m alignet.train`; see `run`.

  Args:
    argv: name of the config, overrides, and `--dry_run[=compile]`.

  Returns:
    The exit code: 0 done, 2 something given cannot be used.
  """
  try:
    overrides, rest = config_files.split_overrides(argv)
    name, rest = config_files.split_name(rest)
    dry_run = None
    for argument in rest:
      flag, _, effort = argument.partition("=")
      if flag != "--dry_run":
        raise AlignetError(f"unexpected argument {argument!r}; see --help")
      dry_run = effort or EFFORTS[0]
    return run(name, overrides, dry_run=dry_run)
  except (AlignetError, OSError) as e:
    message = " ".join(str(e).split())
    print(f"alignet train: error: {message}", file=sys.stderr)
    return 2
  except Exception as e:
    if (why := errors.explain(e)) is None:
      raise
    print(f"alignet train: error: {why}", file=sys.stderr)
    return 2
  except KeyboardInterrupt as e:
    return interrupts.leave("alignet train", e)


def run(
    name: str | None,
    overrides: Sequence[str],
    *,
    dry_run: str | None = None,
) -> int:
  """Trains as a config says, and prints where the weights are.

  Args:
    name: of the config, or its path.
    overrides: "a.b=value" each.
    dry_run: one of `EFFORTS` to describe the training instead.

  Returns:
    The exit code, 0.

  Raises:
    AlignetError: a config, override or input that cannot be used.
  """
  if dry_run:
    errors.check_choice("--dry_run", dry_run, EFFORTS)
  cfg = configure(name, overrides)
  if dry_run is not None or "JAX_COORDINATOR_ADDRESS" in os.environ:
    return _run(cfg, dry_run)
  # Before libraries load, which takes seconds. Of several processes the first
  # holds it, once they know which one that is.
  with locks.held(pathlib.Path(cfg.workdir) / locks.LOCK):
    return _run(cfg, dry_run)


def _run(cfg: Any, dry_run: str | None) -> int:
  # TensorFlow, which Kauldron imports, speaks up unless told before.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  # pylint: disable=g-import-not-at-top
  from alignet.training import training_run

  training_run.join_processes()
  trainer = training_run.resolve(cfg)
  if dry_run is not None:
    from alignet.training import dry_run as dry_run_lib

    print(dry_run_lib.dry_run(trainer, dry_run))
    return 0
  weights = training_run.train(trainer)
  if weights is not None:
    print(f"{weights} sha256 {files.sha256(weights)}")
  return 0


def configure(name: str | None, overrides: Sequence[str]) -> Any:
  """Returns the config of a training, its keys checked; imports no Kauldron.

  Args:
    name: of the config, or its path.
    overrides: "a.b=value" each; `workdir` must be among them.

  Raises:
    AlignetError: no such config, one of something else, an unknown key, no
      workdir.
  """
  config_files.resolve(name)  # Before the half second of the next line.
  from kauldron import konfig  # pylint: disable=g-import-not-at-top

  with konfig.set_lazy_imported_modules():
    cfg = config_files.load(name)
  if not isinstance(cfg, konfig.ConfigDict):
    raise AlignetError(
        f"expected the config of a training, found {name}, which describes"
        " something else; try `alignet run`"
    )
  for item in overrides:
    config_files.override(cfg, item)
  if not cfg.get("workdir"):
    raise AlignetError("give the run a folder: --cfg.workdir=PATH")
  # Orbax refuses a relative path, but only when the run ends.
  cfg.workdir = os.path.abspath(cfg.workdir)
  return cfg
