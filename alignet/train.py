"""Launches a Kauldron training.

  python -m alignet.train --cfg=student/small --cfg.workdir=out/student

`--cfg` is the name of a config that comes with alignet, or a path; every field
can be overridden with `--cfg.a.b=value`. `python -m kauldron.main --cfg=PATH`
runs the same config; this entry point also writes `weights.safetensors` at the
end and keeps JAX's compilation cache on disk.
"""

from collections.abc import Sequence
import logging
import os
import pathlib
import sys
import tempfile

# TensorFlow, which Kauldron imports, speaks up unless told before.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# pylint: disable=g-import-not-at-top
# ruff: noqa: E402
from absl import app
from absl import flags
from alignet import config_files
from alignet import files
from alignet.errors import AlignetError
import jax
from kauldron import kd

WEIGHTS = "weights.safetensors"


def train(trainer: kd.train.Trainer) -> pathlib.Path | None:
  """Trains, then writes the weights of a vision model beside the checkpoints.

  A run that is complete is not repeated; one that was stopped goes on from its
  last checkpoint.

  Args:
    trainer: a resolved trainer whose workdir is set.

  Returns:
    Path of the weights, or None for a model that is no vision model.
  """
  from alignet.models import checkpoints
  from alignet.models.vision_model import VisionModel

  weights = pathlib.Path(trainer.workdir) / WEIGHTS
  if weights.exists():
    return weights
  use_compilation_cache()
  quiet_logs()
  state, _ = trainer.train()
  if not isinstance(trainer.model, VisionModel):
    return None
  checkpoints.save(
      weights,
      trainer.model,
      jax.device_get(state.params),
      meta={"steps": int(state.step), "seed": trainer.seed},
  )
  return weights


def use_compilation_cache() -> None:
  """Keeps compiled programs on disk: the first two steps compile twice."""
  if jax.config.jax_compilation_cache_dir is None:
    folder = os.path.join(tempfile.gettempdir(), f"alignet-jax-{os.getuid()}")
    jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def quiet_logs() -> None:
  """Libraries' chatter off; warnings and errors stay."""
  for name in ("absl", "orbax", "jax"):
    logging.getLogger(name).setLevel(logging.WARNING)


def main(argv: Sequence[str]) -> int:
  """Runs `--cfg`; returns the exit code."""
  del argv
  try:
    cfg = flags.FLAGS.cfg
    if cfg.workdir is None or not str(cfg.workdir):
      raise AlignetError("give the run a folder: --cfg.workdir=PATH")
    weights = train(kd.konfig.resolve(cfg))
  except AlignetError as e:
    print(f"alignet train: error: {e}", file=sys.stderr)
    return 2
  if weights is not None:
    print(f"{weights} sha256 {files.sha256(weights)}")
  return 0


def run(argv: Sequence[str]) -> int:
  """Entry point of `alignet train` and `python -m alignet.train`."""
  argv = [_with_path(a) for a in argv]
  if "cfg" not in flags.FLAGS:
    kd.konfig.DEFINE_config_file("cfg", None, "Config, by name or by path.")
  try:
    app.run(main, argv=["alignet train", *argv])
  except SystemExit as e:
    return int(e.code or 0)
  return 0


def _with_path(argument: str) -> str:
  """Turns `--cfg=name` into `--cfg=path`."""
  key, equals, value = argument.partition("=")
  if equals and key in ("--cfg", "-cfg"):
    return f"{key}={config_files.resolve(value)}"
  return argument


if __name__ == "__main__":
  sys.exit(run(sys.argv[1:]))
