r"""Fit a sparse embedding and its uncertainty to odd-one-out choices.

Examples:
  alignet vice --triplets=T.npy --n_objects=1854 --out=vice.npz
  alignet vice --triplets=T.npy --n_objects=20 --width=6 --anneal=250 \
      --steps=500 --out=small.npz
"""

import argparse

from alignet.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the output and the settings."""
  from uncertainty_distillation.vice.config import Config

  inputs = parser.add_argument_group("inputs and output")
  inputs.add_argument(
      "--triplets",
      required=True,
      metavar="T.npy",
      help="(m, 3) object numbers, the odd one last",
  )
  inputs.add_argument(
      "--probabilities",
      metavar="P.npy",
      help="(m, 3) of the pairs s01, s02, s12; without it, choices",
  )
  inputs.add_argument(
      "--n_objects",
      type=flags.count,
      required=True,
      help="number of objects",
  )
  flags.add_arrangement(inputs)
  flags.add_output(
      inputs,
      "vice.npz",
      "file to write; OUT.partial keeps the state of a killed run",
  )
  flags.add_fields(parser.add_argument_group("settings"), Config)


def run(args: argparse.Namespace) -> None:
  """Fits the embedding, writes it, prints one line."""
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import vice

  embedding = vice.to_file(
      triplets=args.triplets,
      probabilities=args.probabilities,
      n_objects=args.n_objects,
      odd=args.odd,
      numbered_from=args.numbered_from,
      out=args.out,
      config=vice.Config(**flags.fields(args, vice.Config)),
      overwrite=args.overwrite,
  )
  flags.say(args, f"{args.out}: {_summary(embedding)}")


def _summary(embedding) -> str:
  n, k = embedding.mu.shape
  meta = embedding.meta
  stable = "stable" if meta["stable"] else "not stable, give more --steps"
  if k == meta["config"]["width"]:
    stable = "all of them, give more --width"
  text = (
      f"{n} objects, {k} dimensions ({stable}), {meta['n_training']} triplets,"
      f" {meta['steps']} steps"
  )
  if (scores := meta["validation"]) is None:
    return text
  return (
      f"{text}; on {meta['n_validation']} others: cross-entropy"
      f" {scores['cross_entropy']:.3f}, accuracy {scores['accuracy']:.3f},"
      f" calibration error {scores['calibration_error']:.3f}"
  )
