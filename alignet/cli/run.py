"""Run a pipeline config end to end.

Examples:
  alignet run demo --out=out/demo --dry_run
  alignet run --cfg=image_folder --out=out/mine --cfg.paths.images=photos
"""

import argparse
import pathlib
import sys

from alignet.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the config and the output folder."""
  flags.add_config(
      parser, "a pipeline: demo, image_folder, choices, cifar100_things"
  )
  parser.add_argument(
      "--out", required=True, metavar="DIR", help="folder of the run"
  )
  parser.add_argument(
      "--check",
      action="store_true",
      help="compare the contents of all finished stages with their digests",
  )
  parser.add_argument(
      "--dry_run",
      action="store_true",
      help="list the stages and their fingerprints, run nothing",
  )


def run(args: argparse.Namespace) -> int:
  """Runs the stages, then holds the results against the config's bounds."""
  # pylint: disable=g-import-not-at-top
  from alignet.io import config_files
  from alignet.io import json_files
  from alignet.pipeline import check
  from alignet.pipeline import runner

  config = config_files.load(flags.config(args), args.overrides)
  if args.dry_run:
    for plan in runner.plan(config).values():
      print(f"{plan['name']}-{plan['fingerprint']}")
    return 0
  say = lambda line: flags.say(args, line)
  runner.run(config, args.out, check=args.check, say=say)
  out = pathlib.Path(args.out)
  for name in runner.published(config).values():
    say(str(out / name))
  results = out / "results.json"
  if not results.is_file():
    return 0
  results = json_files.read(results)
  if "trials" not in results:  # No comparison of models.
    return 0
  say(check.table(results))
  if "check" not in config:
    return 0
  failures = check.failures(results, config.check)
  for failure in failures:
    print(f"alignet run: {failure}", file=sys.stderr)
  return 1 if failures else 0
