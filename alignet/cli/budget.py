"""`alignet budget`: held-out agreement over concepts and choices."""

import argparse

from alignet.cli import judgments

HELP = "how many concepts and choices does an experiment need?"

# Few choices leave no inner folds on which steps could be chosen: all fits are
# the ridge regression onto an embedding of the choices, from which `teach`
# starts.


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the grid and the output."""
  judgments.add_arguments(parser)
  grid = parser.add_argument_group("grid and output")
  grid.add_argument(
      "--n_concepts",
      required=True,
      type=_numbers,
      metavar="K,K…",
      help="numbers of concepts to learn from; a fifth of all is held out",
  )
  grid.add_argument(
      "--n_choices",
      required=True,
      type=_numbers,
      metavar="M,M…",
      help=(
          "numbers of hard choices, drawn from the judgments' probabilities; no"
          " embedding helps the fits"
      ),
  )
  grid.add_argument("--repeats", type=int, default=3, help="default 3")
  grid.add_argument(
      "--max_triplets",
      type=int,
      default=1_000_000,
      help="drawn from an embedding at most (default 1,000,000)",
  )
  grid.add_argument("--seed", type=int, default=0, help="default 0")
  grid.add_argument(
      "--out",
      required=True,
      metavar="DIR",
      help="folder for budget.json and budget.png",
  )
  grid.add_argument(
      "--overwrite", action="store_true", help="replace an existing folder"
  )


def run(args: argparse.Namespace) -> None:
  """Fits, writes, prints a table."""
  # pylint: disable=g-import-not-at-top
  import dataclasses

  from alignet import files
  from alignet.report import figures
  from alignet.report import style
  import numpy as np
  from uncertainty_distillation import budget
  from uncertainty_distillation import fit

  files.check_output(args.out, overwrite=args.overwrite)
  data = judgments.load(args)
  points = budget.curve(
      data.features,
      data.concepts,
      data.judgments,
      fit.Config(steps=0, inner_folds=0),
      n_concepts=args.n_concepts,
      n_choices=args.n_choices,
      seeds=range(args.seed, args.seed + args.repeats),
  )
  lines = {}
  for k in args.n_concepts:
    cells = {}
    for p in points:
      if p.concepts == k:
        cells.setdefault(p.choices, []).append(p.agreement)
    if cells:
      lines[k] = (
          list(cells),
          [float(np.mean(values)) for values in cells.values()],
          [float(np.std(values)) for values in cells.values()],
      )
  with files.atomic_directory(args.out, overwrite=args.overwrite) as folder:
    files.write_json(
        folder / "budget.json", [dataclasses.asdict(p) for p in points]
    )
    with files.atomic_write(folder / "budget.png") as f:
      f.write(style.png(figures.budget(lines)))
  if args.quiet:
    return
  print("agreement on held-out concepts, mean and spread of the repeats")
  for k, (choices, means, spreads) in lines.items():
    for m, mean, spread in zip(choices, means, spreads):
      print(f"{k:6} concepts {m:9} choices  {mean:.3f} ± {spread:.3f}")
  print(f"{args.out}: budget.json, budget.png")


def _numbers(text: str) -> list[int]:
  try:
    return [int(part) for part in text.split(",")]
  except ValueError:
    raise argparse.ArgumentTypeError(
        f"expected numbers with commas between, found {text!r}"
    ) from None
