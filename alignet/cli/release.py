r"""Make a release folder from a config.

Examples:
  alignet release mini_imagenet --out=out/mini --dry_run \
      --cfg.paths.representations=DIR --cfg.paths.transform=transform.npz
  alignet release --cfg=imagenet --out=out/release \
      --cfg.paths.representations=DIR --cfg.paths.transform=transform.npz
"""

import argparse
import pathlib

from alignet.cli import flags

RENAMED = {"--config": "--cfg, or NAME alone"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the config, the folders and the switches."""
  flags.add_config(parser, "a release: mini_imagenet, imagenet")
  flags.add_output(parser, "DIR", "folder of the release")
  parser.add_argument(
      "--work",
      metavar="DIR",
      help=(
          "folder of the release, which a later call goes on from; it shares"
          " disk space with the release (default: OUT.work)"
      ),
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

  name = flags.config(args)
  config = config_files.load(name, args.overrides)
  if "card" not in config or "release" not in config.get("stages", {}):
    raise AlignetError(
        f"{name} is no release config: expected a group card and a stage"
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
  say = lambda line: flags.say(args, line)
  work = runner.run(
      config, args.work or out.with_name(out.name + ".work"), say=say
  )
  made = work / "stages" / f"release-{plans['release']['fingerprint']}"
  folder.publish(made / release.FOLDER, out, overwrite=args.overwrite)
  say(f"{out}: verified; see README.md there")
