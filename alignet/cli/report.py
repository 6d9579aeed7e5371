"""Rebuild the HTML page of a finished pipeline run.

Examples:
  alignet report out/demo --overwrite
  alignet report out/demo --out=page.html
"""

import argparse
import pathlib
import sys

from alignet.cli import flags

_RESULTS = "results.json"
_INPUTS = "report_inputs.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet report`."""
  parser.add_argument(
      "run_dir",
      metavar="RUN_DIR",
      help="folder given to `alignet run --out`, or its report stage's folder",
  )
  parser.add_argument(
      "--out", help="html file to write (default: RUN_DIR/report.html)"
  )
  flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
  """Reads the run's numbers and arrays and writes the page."""
  from alignet.io import files
  from alignet.io import json_files

  out = pathlib.Path(args.out or pathlib.Path(args.run_dir) / "report.html")
  folder = find_report(args.run_dir)
  files.check_output(out, overwrite=args.overwrite)

  from alignet.report import comparison
  from alignet.report import inputs

  comparison.comparison_page(
      out,
      json_files.read(folder / _RESULTS),
      inputs.load_inputs(folder),
      overwrite=args.overwrite,
  )
  if not args.quiet:
    print(f"{out} written", file=sys.stderr)


def find_report(run_dir) -> pathlib.Path:
  """The folder of a run that holds results.json and report_inputs.npz.

  Where several report stages lie in one run, the one whose results the run
  shows in its own results.json is taken.

  Raises:
    AlignetError: no such folder, or several.
  """
  from alignet.errors import AlignetError
  from alignet.io import json_files

  run_dir = pathlib.Path(run_dir)
  candidates = [run_dir, *sorted(run_dir.glob("stages/report-*"))]
  found = [
      folder
      for folder in candidates
      if (folder / _RESULTS).is_file() and (folder / _INPUTS).is_file()
  ]
  if not found:
    raise AlignetError(
        f"{run_dir} holds no finished report: expected {_RESULTS} and"
        f" {_INPUTS} there or in stages/report-*; run `alignet run` to its end"
        " first"
    )
  if found[0] == run_dir or len(found) == 1:
    return found[0]
  if (run_dir / _RESULTS).is_file():
    shown = json_files.read(run_dir / _RESULTS)
    same = [f for f in found if json_files.read(f / _RESULTS) == shown]
    if len(same) == 1:
      return same[0]
  raise AlignetError(
      f"{run_dir} holds {len(found)} report stages"
      f" ({', '.join(f.name for f in found)}); give the folder of one of them"
  )
