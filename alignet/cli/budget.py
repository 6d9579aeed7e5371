r"""How many concepts and choices does an experiment need?

Examples:
  alignet budget --representations=representations --choices=choices.csv \
      --n_concepts=50,100 --n_choices=1000,10k --out=budget
  alignet budget --features=F.npy --embedding=V.npy --rows=as_stored \
      --n_concepts=20 --n_choices=500 --repeats=1 --out=budget
"""

import argparse

from alignet.cli import flags
from alignet.cli import judgments

_RIDGE = "ridge regression onto an embedding of the choices"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the grid and the output."""
  judgments.add_arguments(parser)
  grid = parser.add_argument_group("grid and output")
  grid.add_argument(
      "--n_concepts",
      required=True,
      type=flags.count_list,
      metavar="K,K…",
      help="numbers of concepts to learn from; a fifth of all is held out",
  )
  grid.add_argument(
      "--n_choices",
      required=True,
      type=flags.count_list,
      metavar="M,M…",
      help=(
          "numbers of hard choices about random triplets of them, drawn from"
          " the probabilities; no embedding helps the fits"
      ),
  )
  grid.add_argument(
      "--steps",
      type=flags.count,
      default=0,
      help=(
          f"0: each teacher is a {_RIDGE}, from which `alignet teach` starts"
          " (default); 400: that of `alignet teach`, slower, and few choices"
          " leave no inner folds on which the steps are chosen"
      ),
  )
  grid.add_argument(
      "--repeats", type=flags.count, default=3, help="seeds" + flags.DEFAULT
  )
  grid.add_argument(
      "--max_triplets",
      type=flags.count,
      default=1_000_000,
      help="drawn from an embedding at most" + flags.DEFAULT,
  )
  flags.add_seed(grid)
  flags.add_output(grid, "DIR", "folder for budget.json and budget.png")


def run(args: argparse.Namespace) -> None:
  """Fits, writes, prints a table."""
  # pylint: disable=g-import-not-at-top
  import dataclasses

  from alignet.io import files
  from alignet.io import json_files
  from alignet.report import figures
  from alignet.report import style
  import numpy as np
  from uncertainty_distillation import budget
  from uncertainty_distillation import fit

  files.check_output(args.out, overwrite=args.overwrite)
  data = judgments.load(args)
  if args.steps:
    config = fit.Config(steps=args.steps)
    teacher = f"teacher of `alignet teach`, up to {args.steps} steps"
  else:
    config, teacher = fit.Config(steps=0, inner_folds=0), _RIDGE
  seeds = range(args.seed, args.seed + args.repeats)
  points, missing = budget.curve(
      data,
      config,
      n_concepts=args.n_concepts,
      n_choices=args.n_choices,
      seeds=seeds,
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
  found = {
      "teacher": teacher,
      "config": dataclasses.asdict(config),
      "seeds": list(seeds),
      "points": [dataclasses.asdict(p) for p in points],
      "missing": [dataclasses.asdict(p) for p in missing],
      "inputs": data.sha256,
      "versions": files.versions(),
  }
  with files.atomic_directory(args.out, overwrite=args.overwrite) as folder:
    json_files.write(folder / "budget.json", found)
    with files.atomic_write(folder / "budget.png") as f:
      f.write(style.png(figures.budget(lines, teacher)))
  if args.quiet:
    return
  print(
      f"{teacher}: agreement on held-out concepts, mean and spread of repeats"
  )
  for k, (choices, means, spreads) in lines.items():
    for m, mean, spread in zip(choices, means, spreads):
      print(f"{k:6} concepts {m:9} choices  {mean:.3f} ± {spread:.3f}")
  for p in missing:
    print(
        f"{p.concepts:6} concepts {p.choices:9} choices  none with seed"
        f" {p.seed}: {p.reason}"
    )
  print(f"{args.out}: budget.json, budget.png")
