"""Entry point of the console script: picks the subcommand, reports errors.

Exit codes: 0 done, 1 a check did not hold (`verify`, `run`, `doctor`), 2
something given cannot be used (one sentence on stderr), 130 interrupted.
"""

import argparse
from collections.abc import Sequence
import importlib
import sys

from alignet import __version__
from alignet.errors import AlignetError
from alignet.io import progress

COMMANDS = (
    "run",
    "sweep",
    "fetch",
    "extract",
    "cache",
    "cluster",
    "sample",
    "respond",
    "verify",
    "release",
    "recover",
    "vice",
    "teach",
    "budget",
    "train",
    "doctor",
    "evaluate",
    "compare",
    "export",
    "collect",
    "report",
)
"""Each is a module of `alignet.cli` with HELP, add_arguments and run."""

_TAKING_OVERRIDES = ("run", "sweep", "release", "train")


def make_parser() -> argparse.ArgumentParser:
  """The parser with all subcommands; imports nothing heavy."""
  parser = argparse.ArgumentParser(
      prog="alignet",
      description=(
          "Human-aligned vision models from odd-one-out judgments: teach a"
          " transform, sample triplets, generate responses, post-train,"
          " evaluate."
      ),
  )
  parser.add_argument(
      "--version", action="version", version=f"alignet {__version__}"
  )
  commands = parser.add_subparsers(dest="command", required=True)
  for name in COMMANDS:
    module = importlib.import_module(f"alignet.cli.{name}")
    command = commands.add_parser(
        name, help=module.HELP, description=module.HELP
    )
    module.add_arguments(command)
    command.add_argument(
        "--quiet", action="store_true", help="no progress bars, no chatter"
    )
    command.set_defaults(run=module.run, overridable=name in _TAKING_OVERRIDES)
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = make_parser()
  args, rest = parser.parse_known_args(argv)
  # Overrides of a config's fields, `--cfg.a.b=value`, are no fixed flags.
  wrong = [a for a in rest if not (args.overridable and a.startswith("--cfg"))]
  if wrong:
    parser.error(f"unrecognized arguments: {' '.join(wrong)}")
  args.overrides = rest
  progress.set_quiet(args.quiet)
  try:
    return args.run(args) or 0
  except AlignetError as e:
    return _fail(args.command, str(e))
  except OSError as e:
    reason = e.strerror or str(e) or type(e).__name__
    return _fail(
        args.command, f"{reason}: {e.filename}" if e.filename else reason
    )
  except KeyboardInterrupt:
    print(f"alignet {args.command}: interrupted", file=sys.stderr)
    return 130


def _fail(command: str, message: str) -> int:
  print(f"alignet {command}: error: {message}", file=sys.stderr)
  return 2


if __name__ == "__main__":
  sys.exit(main())
