"""`alignet train`: launches a Kauldron training."""

import argparse

HELP = "train a model from a Kauldron config (--cfg=NAME --cfg.workdir=DIR)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the one flag; all else after the command goes to the config."""
  parser.add_argument(
      "--dry_run",
      nargs="?",
      const="shapes",
      metavar="EFFORT",
      help=(
          "train nothing: print shapes, parameters, memory and cost, draw the"
          " first batch into the workdir; EFFORT=compile compiles a large model"
      ),
  )


def run(args: argparse.Namespace) -> int:
  """Hands over to `alignet.training.launch`."""
  from alignet.training import launch  # pylint: disable=g-import-not-at-top

  dry_run = [f"--dry_run={args.dry_run}"] * (args.dry_run is not None)
  return launch.run([*args.overrides, *dry_run])
