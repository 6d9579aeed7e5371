"""`alignet run`: a pipeline from a config."""

import argparse
import pathlib
import sys

HELP = (
    "run a pipeline config end to end: demo, image_folder, cifar100_things, or"
    " a path; --cfg.KEY=VALUE changes a field of it"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the config and the output folder."""
  parser.add_argument(
      "config", help="name of a pipeline config, or path of a file"
  )
  parser.add_argument(
      "--out", required=True, metavar="DIR", help="folder of the run"
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
  from alignet.io import files
  from alignet.pipeline import check
  from alignet.pipeline import runner

  overrides = [item.removeprefix("--cfg.") for item in args.overrides]
  config = config_files.load(args.config, overrides)
  if args.dry_run:
    for plan in runner.plan(config).values():
      print(f"{plan['name']}-{plan['fingerprint']}")
    return 0
  say = (lambda line: None) if args.quiet else _say
  runner.run(config, args.out, say=say)
  out = pathlib.Path(args.out)
  for name in runner.published(config).values():
    say(str(out / name))
  results = out / "results.json"
  if not results.is_file():
    return 0
  results = files.read_json(results)
  if "trials" not in results:  # No comparison of models.
    return 0
  say(check.table(results))
  if "check" not in config:
    return 0
  failures = check.failures(results, config.check)
  for failure in failures:
    print(f"alignet run: {failure}", file=sys.stderr)
  return 1 if failures else 0


def _say(line: str) -> None:
  print(line, flush=True)
