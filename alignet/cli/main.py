"""Entry point of the console script: picks the subcommand, reports errors.

Exit codes: 0 done, 1 a check did not hold (`verify`, `run`, `doctor`), 2
something given cannot be used (one sentence on stderr), 130 interrupted, 143
ended by SIGTERM.
"""

import argparse
from collections.abc import Mapping, Sequence
import importlib
import os
import re
import sys
from typing import Any

from alignet import __version__
from alignet import errors
from alignet.cli import flags
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import interrupts
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
"""Each is a module of `alignet.cli` with add_arguments and run, whose docstring
is its help. RENAMED, where there is one, has the new names of old flags."""


_LONGEST = 2000
"""Characters of a message."""

_NO_PATHS = {"command", "url", "title", "question", "consent"}
"""Flags whose texts are taken as they are."""


class _UsageError(Exception):
  """A command line that cannot be parsed: the command, and why."""


class _Parser(argparse.ArgumentParser):
  """Says what is wrong in one sentence; remembers which step was meant."""

  def __init__(self, **kwargs):
    super().__init__(
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **kwargs,
    )

  def parse_known_args(self, args=None, namespace=None):
    namespace, rest = super().parse_known_args(args, namespace)
    if not hasattr(namespace, "parser"):  # That of a subcommand is innermost.
      namespace.parser = self
    return namespace, rest

  def error(self, message: str):
    raise _UsageError(self.prog, message)


def make_parser(chosen: str | None = None) -> argparse.ArgumentParser:
  """The parser with all commands, and the flags of the one that is chosen."""
  parser = _Parser(
      prog="alignet",
      description=(
          "Human-aligned vision models from odd-one-out judgments: teach a"
          " transform,\nsample triplets, generate responses, post-train,"
          " evaluate."
      ),
  )
  parser.add_argument(
      "--version", action="version", version=f"alignet {__version__}"
  )
  commands = parser.add_subparsers(
      dest="command", required=True, metavar="COMMAND"
  )
  for name in COMMANDS:
    module = importlib.import_module(f"alignet.cli.{name}")
    command = commands.add_parser(name, **flags.described(module.__doc__))
    if name == chosen:
      command.set_defaults(run=module.run, overridable=False)
      module.add_arguments(command)
      command.add_argument(
          "--quiet", action="store_true", help="no progress bars, no chatter"
      )
      command.add_argument(
          "--traceback",
          action="store_true",
          help="show where an unforeseen error comes from",
      )
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  if argv is None:  # As a program: SIGTERM ends it as Ctrl-C does.
    interrupts.install()
  # TensorFlow, which Kauldron imports, speaks up unless told before.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  if (found := sys.getfilesystemencoding()) != "utf-8":
    return _fail(
        "alignet",
        f"the locale's encoding is {found}, in which file names would be read"
        " wrong; expected UTF-8: set PYTHONUTF8=1",
    )
  argv = list(sys.argv[1:] if argv is None else argv)
  chosen = next((a for a in argv if not a.startswith("-")), None)
  if chosen and chosen not in COMMANDS:
    hint = config_files.near(chosen, COMMANDS)
    return _fail("alignet", f"{chosen!r} is not a command; {hint}")
  renamed = _renamed(chosen)
  for flag in (argument.partition("=")[0] for argument in argv):
    if flag in renamed:
      new = f"{flag} is now called {renamed[flag]}"
      return _fail(f"alignet {chosen}", new)
  try:
    # Before argparse, which takes one with a space for no flag.
    overrides, argv = config_files.split_overrides(argv)
    args, rest = make_parser(chosen).parse_known_args(argv)
  except _UsageError as e:
    return _fail(*e.args)
  except AlignetError as e:
    return _fail(f"alignet {chosen}", str(e))
  command = f"alignet {args.command}"
  progress.set_quiet(args.quiet)
  try:
    _check_known(args, rest, overrides)
    for flag, value in vars(args).items():
      setattr(args, flag, _expand(value, flag))
    args.overrides = [_expand_override(item) for item in overrides]
    return args.run(args) or 0
  except AlignetError as e:
    return _fail(command, str(e))
  except OSError as e:
    if (why := errors.explain(e)) is not None and not e.filename:
      return _fail(command, why)
    reason = e.strerror or str(e) or type(e).__name__
    return _fail(command, f"{reason}: {e.filename}" if e.filename else reason)
  except KeyboardInterrupt as e:
    return interrupts.leave(command, e)
  except Exception as e:  # The last net: what nobody has foreseen.
    if args.traceback:
      raise
    if (why := errors.explain(e)) is not None:
      return _fail(command, why)
    found = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
    return _fail(
        command,
        f"{found}; alignet did not foresee this, please report it with what"
        " --traceback shows",
    )


def _expand(value: Any, flag: str) -> Any:
  """A flag's value with its paths made plain: `~` expanded, no address.

  Raises:
    AlignetError: an empty output, or the address of something remote.
  """
  if isinstance(value, list | tuple):
    return type(value)(_expand(one, flag) for one in value)
  if not isinstance(value, str) or flag in _NO_PATHS:
    return value
  if flag == "out" and not value:
    raise AlignetError("--out: expected a path, found an empty one")
  if re.match(r"(\w+=)?[A-Za-z][A-Za-z0-9+.-]*://", value):
    raise AlignetError(
        f"--{flag}: {value} is the address of something remote; copy it to this"
        " machine and give its path"
    )
  name, equals, path = value.rpartition("=")
  return f"{name}{equals}{os.path.expanduser(path)}"


def _expand_override(item: str) -> str:
  """The same of a.b=VALUE; a card's texts may be addresses."""
  key, equals, value = item.partition("=")
  if not key.startswith("card."):
    value = _expand(value, f"cfg.{key}")
  return f"{key}{equals}{value}"


def _renamed(command: str | None) -> Mapping[str, str]:
  """New names of a command's old flags."""
  if command is None:
    return {}
  module = importlib.import_module(f"alignet.cli.{command}")
  return getattr(module, "RENAMED", {})


def _check_known(
    args: argparse.Namespace, rest: Sequence[str], overrides: Sequence[str]
) -> None:
  """Fails on what the parser did not know."""
  if overrides and not args.overridable:
    rest = [f"--cfg.{overrides[0]}", *rest]
  if rest:
    known = [f for a in args.parser._actions for f in a.option_strings]  # pylint: disable=protected-access
    hint = config_files.near(rest[0].partition("=")[0], known)
    raise AlignetError(f"unexpected argument {rest[0]!r}; {hint}")


def _fail(command: str, message: str) -> int:
  """Prints one line, of bounded length and without control characters."""
  line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
  if len(line) > _LONGEST:
    line = f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"
  print(f"{command}: error: {line}", file=sys.stderr)
  return 2


if __name__ == "__main__":
  sys.exit(main())
