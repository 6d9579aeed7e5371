r"""Fit a sparse embedding and its uncertainty to odd-one-out choices.

Examples:
  alignet vice --triplets=T.npy --n_objects=1854 --out=vice.npz
  alignet vice --triplets=T.npy --n_objects=20 --width=6 --anneal=250 \
      --steps=500 --out=small.npz
"""

import argparse

from alignet.cli import flags

# Defaults are those of vice.Config, which is not imported for --help.
_SETTINGS = (
    (
        "--width",
        flags.count,
        100,
        "dimensions at the start, more than are kept",
    ),
    ("--spike_weight", float, 0.5, "weight of the prior's spike"),
    ("--spike", float, 0.25, "standard deviation of the spike"),
    ("--slab", float, 1.0, "standard deviation of the slab"),
    ("--learning_rate", float, 0.03, "of Adam, before it falls to zero"),
    ("--batch", flags.count, 4096, "triplets a step"),
    ("--anneal_from", float, 10.0, "weight of the prior at first; 1: as ever"),
    ("--anneal", flags.count, 3000, "steps until that weight is 1"),
    (
        "--steps",
        flags.count,
        20_000,
        "most steps before the learning rate falls",
    ),
    ("--check", flags.count, 250, "steps between counts of the dimensions"),
    ("--window", flags.count, 4, "checks without a change, to be stable"),
    ("--decay", flags.count, 1000, "steps in which the learning rate falls"),
    ("--alpha", float, 0.05, "false discovery rate of weights"),
    (
        "--min_objects",
        flags.count,
        5,
        "a dimension is kept with more than these",
    ),
    ("--validation", float, 0.1, "fraction of rows to score; 0: none"),
    ("--samples", flags.count, 50, "Monte-Carlo samples of that score"),
    ("--seed", flags.count, 0, "of everything random"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the output and the settings."""
  inputs = parser.add_argument_group("inputs and output")
  inputs.add_argument(
      "--triplets",
      required=True,
      metavar="T.npy",
      help="(m, 3) object numbers from 0 on, the odd one last",
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
  flags.add_output(
      inputs,
      "vice.npz",
      "file to write; OUT.partial keeps the state of a killed run",
  )
  settings = parser.add_argument_group("settings")
  for flag, kind, default, text in _SETTINGS:
    settings.add_argument(
        flag, type=kind, default=default, help=text + flags.DEFAULT
    )


def run(args: argparse.Namespace) -> None:
  """Fits the embedding, writes it, prints one line."""
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import vice

  names = [flag.removeprefix("--") for flag, *_ in _SETTINGS]
  embedding = vice.to_file(
      triplets=args.triplets,
      probabilities=args.probabilities,
      n_objects=args.n_objects,
      out=args.out,
      config=vice.Config(**{name: getattr(args, name) for name in names}),
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
