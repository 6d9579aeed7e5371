"""`alignet compare`: the page of an evaluation, with figures and galleries."""

import argparse
import pathlib

HELP = "one page about two models: scores, structure, where they differ"

_FIRST = """\
Reads what `alignet evaluate representations` or `student` wrote and makes a
folder: report.html (one self-contained page: scores by source with intervals
and ceilings, matrices, maps and trees of classes, galleries of what the two
models differ on most), comparison.json, and tables.tex for LaTeX. Only --scores
is needed; what is missing is left out. See docs/evaluation.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet compare`."""
  parser.description = _FIRST
  parser.add_argument(
      "--scores", required=True, metavar="scores.json", help="of the evaluation"
  )
  parser.add_argument(
      "--representations", metavar="DIR", help="those it was computed on"
  )
  parser.add_argument("--transform", metavar="t.npz", help="as there")
  parser.add_argument("--baseline", metavar="DIR", help="as there")
  parser.add_argument("--baseline_transform", metavar="t.npz", help="as there")
  parser.add_argument(
      "--hierarchy",
      default="",
      metavar="A,B",
      help=(
          "levels of labels for figures, from fine to coarse (default: those of"
          " subordinate, basic and superordinate that are there)"
      ),
  )
  parser.add_argument(
      "--source",
      help=(
          "of the images, for galleries: folder:PATH, images:PATH or"
          " tfds:NAME:SPLIT"
      ),
  )
  parser.add_argument("--data_dir", help="where TFDS keeps its datasets")
  parser.add_argument(
      "--trials",
      metavar="NAME=NPZ",
      help=(
          "triplets of the gallery and their answers by NAME, an AligNet npz"
          " (default: triplets at random, no answers)"
      ),
  )
  parser.add_argument(
      "--names", default="model,baseline", help="default: %(default)s"
  )
  parser.add_argument("--title", default="Comparison of two models")
  parser.add_argument("--out", required=True, metavar="DIR")
  parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
  parser.add_argument(
      "--overwrite", action="store_true", help="replace an older comparison"
  )


def run(args: argparse.Namespace) -> None:
  """Writes the folder."""
  # pylint: disable=g-import-not-at-top
  from alignet.cli import suite_checks
  from alignet.errors import AlignetError
  from alignet.pipeline.compare import compare

  names = tuple(args.names.split(","))
  if len(names) != 2 or not all(names) or names[0] == names[1]:
    raise AlignetError(
        f"--names: expected two different names, A,B; found {args.names!r}"
    )
  observers, trials = (
      suite_checks.pair(args.trials) if args.trials else ("", None)
  )
  for flag, path in (
      *((f, getattr(args, f)) for f in ("representations", "baseline")),
      ("trials", trials),
  ):
    if path and not pathlib.Path(path).exists():
      raise AlignetError(f"--{flag}: {path} does not exist")
  written = compare.write(
      args.out,
      compare.Inputs(
          scores=args.scores,
          representations=args.representations,
          transform=args.transform,
          baseline=args.baseline,
          baseline_transform=args.baseline_transform,
          levels=suite_checks.levels(args) if args.hierarchy else (),
          source=args.source,
          data_dir=args.data_dir,
          trials=trials,
          observers=observers,
          names=names,
          title=args.title,
          seed=args.seed,
      ),
      overwrite=args.overwrite,
  )
  if not args.quiet:
    print(written)
