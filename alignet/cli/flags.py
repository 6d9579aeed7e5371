"""Flags that mean the same in every command."""

import argparse
from collections.abc import Callable, Sequence
import dataclasses
import inspect
import re
from typing import Any

from alignet.errors import AlignetError
from alignet.io import counts

DEFAULT = " (default: %(default)s)"


def checked(parse: Callable[[str], Any]) -> Callable[[str], Any]:
  """Returns a parser whose errors argparse prints beside the flag."""

  def parser(text: str) -> Any:
    try:
      return parse(text)
    except AlignetError as e:
      raise argparse.ArgumentTypeError(str(e)) from None

  return parser


count = checked(counts.parse)
"""A whole number: 5000, 1e5 or 10M."""


@checked
def count_list(text: str) -> list[int]:
  """Whole numbers with commas between, none twice."""
  found = [counts.parse(part) for part in text.split(",")]
  if len(set(found)) < len(found):
    raise AlignetError(f"{text!r} has a number twice")
  return found


@checked
def part(text: str) -> tuple[int, int]:
  """(I, N) of I/N."""
  i, _, n = text.partition("/")
  if not (i.isdecimal() and n.isdecimal() and int(i) < int(n)):
    raise AlignetError(
        f"expected I/N with I from 0 to N - 1, such as 0/3, found {text!r}"
    )
  return int(i), int(n)


@checked
def named(text: str) -> tuple[str, str]:
  """Name and path of NAME=PATH."""
  name, equals, path = text.partition("=")
  if not name or not path or not equals:
    raise AlignetError(f"expected NAME=PATH, found {text!r}")
  return name, path


@checked
def maybe_named(text: str) -> tuple[str, str]:
  """Name and path of NAME=PATH, or "" and the path."""
  name, equals, path = text.partition("=")
  return (name, path) if equals and "/" not in name else ("", text)


def described(doc: str) -> dict[str, str]:
  """Help, description and examples of a command, for argparse.

  Args:
    doc: a docstring: a summary, perhaps more, and `Examples:` at the end.
  """
  text, _, examples = inspect.cleandoc(doc).partition("Examples:\n")
  return {
      "help": text.partition("\n\n")[0].replace("\n", " "),
      "description": text.strip(),
      "epilog": f"examples:\n{examples}",
  }


def add_fields(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    settings: type,
    names: Sequence[str] | None = None,
    *,
    several: bool = False,
) -> None:
  """A flag for each field of a dataclass; the help is what its docstring says.

  Args:
    parser: gets the flags.
    settings: the dataclass; a whole number may be 10M, all else is as it says.
    names: of its fields; None for all.
    several: each flag takes one value or more, with commas between.
  """
  doc = inspect.cleandoc(settings.__doc__)
  said = dict(re.findall(r"^  (\w+): (.*(?:\n    .*)*)", doc, re.MULTILINE))
  for field in dataclasses.fields(settings):
    if names is not None and field.name not in names:
      continue
    parse = {int: counts.parse, int | None: counts.parse, float: float}
    kind = parse.get(field.type, str)
    text = " ".join(said[field.name].removesuffix(".").split())
    shown = "" if field.default is None else f" (default: {field.default})"
    parser.add_argument(
        f"--{field.name}",
        type=_several(kind) if several else checked(kind),
        default=(field.default,) if several else field.default,
        metavar="X[,X...]" if several else "X",
        help=(text + shown).replace("%", "%%"),
    )


def fields(args: argparse.Namespace, settings: type) -> dict[str, Any]:
  """Values of the fields of a dataclass that have flags."""
  names = (field.name for field in dataclasses.fields(settings))
  return {name: getattr(args, name) for name in names if hasattr(args, name)}


def _several(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
  """A parser of values separated by commas."""

  def parse(text):
    try:
      return tuple(map(kind, text.split(",")))
    except (AlignetError, ValueError):
      raise argparse.ArgumentTypeError(
          f"expected values with commas between, found {text!r}"
      ) from None

  return parse


def add_trust(
    parser: argparse.ArgumentParser, *, rows: bool = True, columns: bool = True
) -> None:
  """Adds --rows and --columns, for files that do not say what theirs are."""
  for wanted, name, value, what in (
      (rows, "rows", "as_stored", "what their row numbers mean: row i of one"),
      (columns, "columns", "as_given", "of which network they are: each"),
  ):
    if wanted:
      parser.add_argument(
          f"--{name}",
          choices=(value,),
          help=f"for files that do not say {what} is that of the other",
      )


def add_arrangement(parser: argparse._ActionsContainer) -> None:
  """Adds --odd and --numbered_from, of triplets in another convention."""
  parser.add_argument(
      "--odd",
      choices=("last", "first", "middle"),
      help=(
          "column of the odd one in triplets (default: last, refused where"
          " fewer are met than by chance)"
      ),
  )
  parser.add_argument(
      "--numbered_from",
      type=int,
      choices=(0, 1),
      help="number of the first object in triplets (default: 0)",
  )


def trust(args: argparse.Namespace) -> Any:
  """What the user vouches for, an `identities.Trust`."""
  from alignet.io import identities

  names = ("rows", "columns")
  return identities.Trust(**{n: getattr(args, n, None) for n in names})


def add_config(parser: argparse.ArgumentParser, what: str) -> None:
  """Adds NAME and `--cfg=NAME_OR_PATH`; the frame takes `--cfg.a.b=value`.

  Args:
    parser: of the command.
    what: the config describes, with examples of names.
  """
  parser.add_argument("config", nargs="?", metavar="NAME", help=what)
  parser.add_argument(
      "--cfg",
      metavar="NAME_OR_PATH",
      help="the same, or a file of your own; --cfg.KEY=VALUE overrides a field",
  )
  parser.set_defaults(overridable=True, overrides=[])


def config(args: argparse.Namespace) -> str | None:
  """The config that was named; None where none was.

  Raises:
    AlignetError: two of them.
  """
  if args.config and args.cfg:
    raise AlignetError(
        f"expected one config, found {args.config} and --cfg={args.cfg}"
    )
  return args.cfg or args.config


def add_models(
    parser: argparse.ArgumentParser, *, required: bool = True
) -> None:
  """Adds --representations, which repeats, and --baseline."""
  parser.add_argument(
      "--representations",
      action="append",
      required=required,
      default=[],
      type=maybe_named,
      metavar="[NAME=]DIR",
      help=(
          "of the model, as `alignet extract` writes them; a second one is the"
          " baseline's"
      ),
  )
  add_baseline(parser)


def add_baseline(parser: argparse.ArgumentParser) -> None:
  """Adds --baseline."""
  parser.add_argument(
      "--baseline",
      type=maybe_named,
      metavar="[NAME=]DIR",
      help="another model's representations of the same images",
  )


def models(args: argparse.Namespace) -> list[tuple[str, str]]:
  """Name and directory of the model and of the baseline, as far as given.

  Raises:
    AlignetError: more than two, a baseline alone, one name for both.
  """
  given = [*args.representations, *([args.baseline] if args.baseline else [])]
  if args.baseline and not args.representations or len(given) > 2:
    raise AlignetError(
        "expected --representations of one model, and of a baseline beside it,"
        f" found {', '.join(path for _, path in given)}"
    )
  defaults = ("model", "baseline")  # As `alignet.evals.suite.NAMES`.
  found = [
      (name or other, path) for (name, path), other in zip(given, defaults)
  ]
  if len({name for name, _ in found}) < len(found):
    raise AlignetError(
        f"expected two different names of models, found {found[0][0]!r} twice"
    )
  return found


def add_encoder(group: argparse._ArgumentGroup) -> None:
  """Adds what a network's file may leave open."""
  group.add_argument(
      "--layer",
      help=(
          "pre_logits (default), triplet_logits; layer_K, what leaves block K"
          " from 0, or attention_K; an output of the ONNX file or SavedModel"
      ),
  )
  group.add_argument("--size", type=count, help="side of the images in pixels")
  group.add_argument(
      "--pixel_range",
      help=(
          "LOW,HIGH: what 0 and 255 become (write --pixel_range=-1,1),"
          " imagenet or clip; needed for ONNX, 0,1 for a SavedModel"
      ),
  )
  group.add_argument(
      "--pool",
      choices=("first", "mean"),
      help=(
          "for a layer of one vector a token; of layer_K the mean of the"
          " patches (default) or the class token"
      ),
  )


def add_output(
    parser: argparse.ArgumentParser, metavar: str, what: str = "to write"
) -> None:
  """Adds --out, required, and --overwrite."""
  parser.add_argument("--out", required=True, metavar=metavar, help=what)
  add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
  """Adds --overwrite."""
  parser.add_argument(
      "--overwrite", action="store_true", help="replace what is there"
  )


def add_seed(
    parser: argparse.ArgumentParser, what: str = "of everything random"
) -> None:
  """Adds --seed."""
  parser.add_argument("--seed", type=count, default=0, help=what + DEFAULT)


def add_quiet(parser: argparse.ArgumentParser) -> None:
  """Adds --quiet to a step of a command; it may stand before the step, too."""
  parser.add_argument(
      "--quiet",
      action="store_true",
      default=argparse.SUPPRESS,  # Must not reset what was said before it.
      help="no progress bars, no chatter",
  )


def add_source(
    parser: argparse.ArgumentParser,
    *,
    required: bool = True,
    what: str = "images",
) -> None:
  """Adds --source and --data_dir."""
  parser.add_argument(
      "--source",
      required=required,
      help=(
          f"{what}: folder:PATH (class folders or flat), images:PATH for an"
          " image store, or tfds:NAME:SPLIT such as tfds:imagenet2012:train"
      ),
  )
  parser.add_argument("--data_dir", help="where TFDS keeps its datasets")


def add_parts(parser: argparse.ArgumentParser, of: str) -> None:
  """Adds --part and --merge."""
  parts = parser.add_mutually_exclusive_group()
  parts.add_argument(
      "--part",
      metavar="I/N",
      type=part,
      help=f"compute {of} I, I + N, … only, for N processes at a time",
  )
  parts.add_argument(
      "--merge",
      action="store_true",
      help="join what the parts computed; what is missing is an error",
  )


def say(args: argparse.Namespace, line: str) -> None:
  """Prints a line, unless --quiet."""
  if not args.quiet:
    print(line, flush=True)
