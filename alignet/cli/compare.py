r"""One page about two models: scores, structure, where they differ.

Reads what `alignet evaluate representations` or `student` wrote and makes a
folder: report.html (one self-contained page: scores by source with intervals
and ceilings, matrices, maps and trees of classes, galleries of what the two
models differ on most), comparison.json, and tables.tex for LaTeX. Only --scores
is needed; what is missing is left out. See docs/evaluation.md.

Examples:
  alignet compare --scores=scores.json --representations=aligned=student \
      --baseline=base=base --source=images:test_images --out=comparison
  alignet compare --scores=scores.json --out=scores_only
"""

import argparse
import pathlib

from alignet.cli import flags

RENAMED = {"--names": "NAME in --representations=NAME=DIR, --baseline=NAME=DIR"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet compare`."""
  from alignet.evals import evaluation  # pylint: disable=g-import-not-at-top

  parser.add_argument(
      "--scores", required=True, metavar="scores.json", help="of the evaluation"
  )
  flags.add_models(parser, required=False)
  parser.add_argument("--transform", metavar="t.npz", help="as there")
  parser.add_argument("--baseline_transform", metavar="t.npz", help="as there")
  parser.add_argument(
      "--hierarchy",
      type=evaluation.split,
      default=(),
      metavar="A,B",
      help=(
          "levels of labels for figures, from fine to coarse (default: those of"
          " subordinate, basic and superordinate that are there)"
      ),
  )
  flags.add_source(parser, required=False, what="images, for galleries")
  parser.add_argument(
      "--trials",
      type=flags.named,
      metavar="NAME=NPZ",
      help=(
          "triplets of the gallery and their answers by NAME, an AligNet npz"
          " (default: triplets at random, no answers)"
      ),
  )
  parser.add_argument("--title", default="Comparison of two models")
  flags.add_output(parser, "DIR")
  flags.add_seed(parser, "of what is drawn")


def run(args: argparse.Namespace) -> None:
  """Writes the folder."""
  # pylint: disable=g-import-not-at-top
  from alignet.errors import AlignetError
  from alignet.pipeline.compare import compare

  models = flags.models(args)
  directories = [*(path for _, path in models), None, None]
  observers, trials = args.trials or ("", None)
  given = [("representations", path) for _, path in models]
  for flag, path in (*given, ("trials", trials)):
    if path and not pathlib.Path(path).exists():
      raise AlignetError(f"--{flag}: {path} does not exist")
  written = compare.write(
      args.out,
      compare.Inputs(
          scores=args.scores,
          representations=directories[0],
          transform=args.transform,
          baseline=directories[1],
          baseline_transform=args.baseline_transform,
          levels=args.hierarchy,
          source=args.source,
          data_dir=args.data_dir,
          trials=trials,
          observers=observers,
          names=tuple(name for name, _ in models),
          title=args.title,
          seed=args.seed,
      ),
      overwrite=args.overwrite,
  )
  flags.say(args, str(written))
