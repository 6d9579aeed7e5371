"""Compare the training of this installation, or of a port, with a reference.

Names the likely mistake where a curve differs.

Examples:
  alignet doctor
  alignet doctor --check=curve.json
"""

import argparse
import dataclasses
import pathlib
import sys

_FILES = ("weights.safetensors", "data.npz", "reference.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet doctor`."""
  group = parser.add_mutually_exclusive_group()
  group.add_argument(
      "--check",
      metavar="CURVE",
      help=(
          "a port's numbers: JSON with `losses` and `gradient_norms` of the ten"
          " steps, and `overfit`, the mean loss of each pass, if there is one"
      ),
  )
  group.add_argument(
      "--write",
      metavar="DIR",
      help="write weights, data and reference for a port into a new folder",
  )
  group.add_argument(
      "--make",
      metavar="DIR",
      help="compute weights, data, reference and all mistakes' curves anew",
  )


def run(args: argparse.Namespace) -> int:
  """Prints what was found; 1 where a curve differs."""
  if args.write or args.make:
    _write(pathlib.Path(args.write or args.make), make=bool(args.make))
    return 0
  from alignet.errors import AlignetError
  from alignet.training import doctor

  if args.check:
    curves = _read(args.check)
  else:
    curves = doctor.curves.run() | {"overfit": doctor.curves.overfit()}
  verdicts = {}
  try:
    if "losses" in curves:
      verdicts["ten steps"] = doctor.check(
          curves["losses"], curves.get("gradient_norms")
      )
    if "overfit" in curves:
      verdicts["1,000 triplets"] = doctor.check_overfit(curves["overfit"])
  except ValueError as e:  # It needs nothing of alignet, not even its error.
    raise AlignetError(f"{args.check}: {e}") from e
  for name, verdict in verdicts.items():
    print(f"{name}: {verdict.text}")
  return int(not all(v.agrees for v in verdicts.values()))


def _write(out: pathlib.Path, *, make: bool) -> None:
  from alignet.io import files

  with files.atomic_directory(out) as folder:
    if make:
      from alignet.training.doctor import write_reference

      write_reference.make(folder)
    else:
      from alignet.training import doctor

      for name in _FILES:
        with files.atomic_write(folder / name) as f:
          f.write((doctor.FOLDER / name).read_bytes())
  print(f"{out} written", file=sys.stderr)


@dataclasses.dataclass(frozen=True)
class _Curves:
  losses: list[float] | None = None
  gradient_norms: list[float] | None = None
  overfit: list[float] | None = None


def _read(path: str) -> dict[str, list[float]]:
  """A port's curves.

  Raises:
    AlignetError: not such a file.
  """
  from alignet.errors import AlignetError
  from alignet.io import json_files

  known = ("losses", "gradient_norms", "overfit")
  curves = json_files.read(path, _Curves)
  curves = {k: curves[k] for k in known if curves.get(k) is not None}
  if not {"losses", "overfit"} & set(curves):
    raise AlignetError(
        f"{path}: expected the lists losses (and gradient_norms) of the ten"
        " steps, overfit, or both"
    )
  return curves
