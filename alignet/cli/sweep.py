"""`alignet sweep`: a table of ablations."""

import argparse
import sys

from alignet.errors import AlignetError

HELP = (
    "run a table of ablations, cells x seeds: sampling, loss, … (see"
    " configs/ablations), or a path; --cfg.KEY=VALUE changes a field of the"
    " scale"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the table, its scale, and how the work is shared."""
  parser.add_argument("table", help="name of a table, or path of a file")
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
      type=_numbers,
      default=(0, 1, 2),
      help="comma-separated (default: 0,1,2)",
  )
  parser.add_argument(
      "--processes",
      type=int,
      default=1,
      help="cells at work at a time on this machine (default: %(default)s)",
  )
  parser.add_argument(
      "--task",
      metavar="I/N",
      help="run only every N-th cell from the I-th on, as in an array job of N",
  )
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
      table=args.table,
      scale=args.scale,
      overrides=[item.removeprefix("--cfg.") for item in args.overrides],
      seeds=args.seeds,
  )
  if args.dry_run:
    from alignet.pipeline.sweep import sweep_cost

    print(sweep_cost.table(sweep, args.tflops))
    return 0
  if not args.out:
    raise AlignetError("expected --out=DIR, or --dry_run")
  cells = sweep.cells()
  if args.task:
    first, step = _task(args.task)
    cells = cells[first::step]
  say = (lambda line: None) if args.quiet else _say
  sweep_lib.run_all(sweep, cells, args.out, processes=args.processes, say=say)
  if left := sweep_lib.missing(sweep, args.out):
    say(
        f"{len(left)} cells are still to be run, the next of them"
        f" {left[0].name!r} with seed {left[0].seed}; the table is written when"
        " all are there"
    )
    return 0
  from alignet.pipeline.sweep import sweep_results

  for path in sweep_results.write(sweep, args.out):
    say(str(path))
  return 0


def _numbers(text: str) -> tuple[int, ...]:
  return tuple(int(part) for part in text.split(","))


def _task(text: str) -> tuple[int, int]:
  first, _, step = text.partition("/")
  if not (first.isdecimal() and step.isdecimal()) or int(first) >= int(step):
    raise AlignetError(
        f"--task: expected I/N with I from 0 to N - 1, found {text!r}"
    )
  return int(first), int(step)


def _say(line: str) -> None:
  print(line, flush=True, file=sys.stdout)
