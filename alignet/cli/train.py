"""`alignet train`: launches a Kauldron training."""

import argparse

HELP = "train a model from a Kauldron config (--cfg=NAME --cfg.workdir=DIR)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Everything after the command goes to the config."""
  parser.add_argument(
      "flags",
      nargs=argparse.REMAINDER,
      metavar="--cfg=NAME [--cfg.a.b=VALUE …]",
      help="config by name or path, and overrides of its fields",
  )


def run(args: argparse.Namespace) -> int:
  """Hands over to `alignet.train`."""
  from alignet import train

  return train.run(args.flags)
