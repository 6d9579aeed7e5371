"""Run a table of ablations: cells x seeds.

Examples:
  alignet sweep loss --scale=shapes --dry_run
  alignet sweep --cfg=loss --scale=shapes --out=out/ablations --part=0/4
"""

import argparse

from alignet.cli import flags
from alignet.errors import AlignetError

RENAMED = {"--task": "--part=I/N"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the table, its scale, and how the work is shared."""
  flags.add_config(
      parser,
      "a table of configs/ablations: sampling, loss, …; --cfg.KEY=VALUE"
      " overrides a field of the scale",
  )
  parser.add_argument(
      "--scale",
      required=True,
      help="what the cells are run on: shapes, cifar, paper, or a path",
  )
  parser.add_argument(
      "--out",
      metavar="DIR",
      help="folder of the sweep; tables in one folder share their stages",
  )
  parser.add_argument(
      "--seeds",
      type=flags.count_list,
      default=[0, 1, 2],
      help="with commas between (default: 0,1,2)",
  )
  parser.add_argument(
      "--processes",
      type=flags.count,
      default=1,
      help="cells at work at a time on this machine" + flags.DEFAULT,
  )
  flags.add_parts(parser, "cells")
  parser.add_argument(
      "--dry_run",
      action="store_true",
      help="print cells, steps and device-hours, run nothing",
  )
  parser.add_argument(
      "--tflops",
      type=float,
      default=100.0,
      help=(
          "what a device reaches in training, for the device-hours of"
          " --dry_run (default: %(default)s, about a third of an H100's or"
          " half of a TPU v4's peak in bfloat16)"
      ),
  )


def run(args: argparse.Namespace) -> int:
  """Runs the cells; where all are there, writes the table."""
  # pylint: disable=g-import-not-at-top
  from alignet.pipeline.sweep import sweep as sweep_lib

  sweep = sweep_lib.Sweep(
      table=flags.config(args),
      scale=args.scale,
      overrides=args.overrides,
      seeds=tuple(args.seeds),
  )
  if args.dry_run:
    from alignet.pipeline.sweep import sweep_cost

    print(sweep_cost.table(sweep, args.tflops))
    return 0
  if not args.out:
    raise AlignetError("expected --out=DIR, or --dry_run")
  say = lambda line: flags.say(args, line)
  if not args.merge:
    cells = sweep.cells()
    if args.part:
      first, step = args.part
      cells = cells[first::step]
    sweep_lib.run_all(sweep, cells, args.out, processes=args.processes, say=say)
  if left := sweep_lib.missing(sweep, args.out):
    missing = (
        f"{len(left)} cells are still to be run, the next of them"
        f" {left[0].name!r} with seed {left[0].seed}"
    )
    if args.merge:
      raise AlignetError(f"{missing}; run them with --part, or without --merge")
    say(f"{missing}; the table is written when all are there")
    return 0
  from alignet.pipeline.sweep import sweep_results

  for path in sweep_results.write(sweep, args.out):
    say(str(path))
  return 0
