"""`alignet train`: launches a Kauldron training."""

import argparse

HELP = "train a model from a Kauldron config (--cfg=NAME --cfg.workdir=DIR)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Nothing: everything after the command goes to the config."""
  del parser


def run(args: argparse.Namespace) -> int:
  """Hands over to `alignet.train`."""
  from alignet import train  # pylint: disable=g-import-not-at-top

  return train.run(args.overrides)
