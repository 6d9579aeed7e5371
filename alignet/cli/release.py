"""`alignet release`: a release folder from a config."""

import argparse
import pathlib

HELP = (
    "make a release folder from a config: mini_imagenet, imagenet, or a path;"
    " --cfg.KEY=VALUE changes a field of it"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the config, the folders and the switches."""
  parser.add_argument(
      "--config",
      required=True,
      help="name of a release config, or path of a file",
  )
  parser.add_argument(
      "--out", required=True, metavar="DIR", help="folder of the release"
  )
  parser.add_argument(
      "--work",
      metavar="DIR",
      help=(
          "folder of the release, which a later call goes on from; it shares"
          " disk space with the release (default: OUT.work)"
      ),
  )
  parser.add_argument(
      "--overwrite", action="store_true", help="replace an existing release"
  )
  parser.add_argument(
      "--dry_run",
      action="store_true",
      help="list the release and their fingerprints, run nothing",
  )


def run(args: argparse.Namespace) -> None:
  """Runs the release, then puts the release in its place."""
  # pylint: disable=g-import-not-at-top
  from alignet.errors import AlignetError
  from alignet.io import config_files
  from alignet.io import files
  from alignet.pipeline import runner
  from alignet.pipeline.stages import release
  from alignet.release import card
  from alignet.release import folder
  from alignet.release.manifest import MANIFEST

  overrides = [item.removeprefix("--cfg.") for item in args.overrides]
  config = config_files.load(args.config, overrides)
  if "card" not in config or "release" not in config.get("stages", {}):
    raise AlignetError(
        f"{args.config} is no release config: expected a group card and a stage"
        " release; see configs/pipeline/imagenet.py"
    )
  plans = runner.plan(config)
  if args.dry_run:
    for plan in plans.values():
      print(f"{plan['name']}-{plan['fingerprint']}")
    return
  card.check(config.card.to_dict())  # Before hours of work.
  out = pathlib.Path(args.out)
  files.check_output(out, overwrite=args.overwrite)
  if out.exists() and not (out / MANIFEST).is_file():
    raise AlignetError(
        f"{out} exists and is no release (no {MANIFEST}); choose another path"
    )

  def say(line: str) -> None:
    if not args.quiet:
      print(line, flush=True)

  work = runner.run(
      config, args.work or out.with_name(out.name + ".work"), say=say
  )
  made = work / "stages" / f"release-{plans['release']['fingerprint']}"
  folder.publish(made / release.FOLDER, out, overwrite=args.overwrite)
  say(f"{out}: verified; see README.md there")
