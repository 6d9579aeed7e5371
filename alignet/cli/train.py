r"""Train a model from a Kauldron config.

Examples:
  alignet train uncertainty_distillation --cfg.workdir=out/teacher
  alignet train --cfg=base --cfg.workdir=out/base --cfg.aux.images=test_images \
      --dry_run
"""

import argparse

from alignet.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the config and the dry run."""
  flags.add_config(
      parser, "a training: base, student/small, uncertainty_distillation, …"
  )
  parser.add_argument(
      "--dry_run",
      nargs="?",
      const="shapes",
      choices=("shapes", "compile"),
      help=(
          "train nothing: print shapes, parameters, memory and cost, draw the"
          " first batch into the workdir; =compile compiles a large model"
      ),
  )


def run(args: argparse.Namespace) -> int:
  """Hands over to `alignet.training.launch`."""
  from alignet.training import launch  # pylint: disable=g-import-not-at-top

  return launch.run(flags.config(args), args.overrides, dry_run=args.dry_run)
