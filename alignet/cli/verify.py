r"""Check an AligNet npz or a release folder, ours or others': its format, its
order, where it came from.

Examples:
  alignet verify aligned/train.npz
  alignet verify aligned/train.npz --representations=representations \
      --transform=transform.npz --json
"""

import argparse
import pathlib
from typing import Any

from alignet.cli import flags
from alignet.cli import labels as label_flags
from alignet.errors import AlignetError


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet verify`."""
  parser.add_argument(
      "path",
      metavar="PATH",
      help=(
          "the AligNet npz; the folder of a release, which brings what its"
          " files are checked against, else --representations and --clusters;"
          " or that of `alignet run`, whose outputs are compared with their"
          " digests"
      ),
  )
  label_flags.add_arguments(parser)
  label_flags.add_strategy(
      parser,
      "by which labels are checked; without labels, ImageNet's classes are read"
      " from the file names. ",
  )
  parser.add_argument(
      "--transform",
      metavar="transform.npz",
      help="recompute some similarities of DIR through this transform",
  )
  flags.add_trust(parser)
  parser.add_argument(
      "--json", action="store_true", help="print one JSON object instead"
  )


def run(args: argparse.Namespace) -> int:
  """Prints the checks; 1 when one of them fails."""
  import json

  folder = pathlib.Path(args.path).is_dir()
  if folder and (pathlib.Path(args.path) / "stages").is_dir():
    return _verify_run(args)
  verification = _verify_folder(args) if folder else _verify_file(args)
  if args.json:
    print(json.dumps(verification.to_json()))
    return 0 if verification.ok else 1
  _print(verification.checks)
  for file in verification.files if folder else ():
    print(f"\n{file.path}")
    _print(file.checks)
  return 0 if verification.ok else 1


def _verify_run(args: argparse.Namespace) -> int:
  """Compares all outputs of a run with what was written; 1 if one differs."""
  import json

  from alignet.pipeline import runner

  stages, damaged = runner.damaged(args.path)
  if args.json:
    print(json.dumps({"stages": stages, "damaged": damaged}))
  else:
    for path in damaged:
      print(f"fail    {path} is not as it was written")
    print(f"{stages} stages, {len(damaged)} damaged")
    if damaged:
      print("`alignet run` with the same --out and --check computes them again")
  return 1 if damaged else 0


def _print(checks) -> None:
  for check in checks:
    more = ", ".join(map(str, check.rows[1:]))
    more = f"; then {more}" if more else ""
    print(f"{check.status:8}{check.name:16}{check.message}{more}")


def _verify_folder(args: argparse.Namespace):
  from alignet.release import verify

  if args.labels or args.level or args.strategy or args.transform:
    raise AlignetError(
        "the files of a release say themselves how they were sampled and by"
        " which transform; pass at most --representations and --clusters"
    )
  return verify.verify_release(
      args.path, representations=args.representations, clusters=args.clusters
  )


def _rows(path: str) -> Any:
  """Which images an AligNet npz numbers; None where it does not say."""
  from alignet.triplets import npz

  try:
    return npz.open(path).meta.get("rows")
  except AlignetError:  # The checks name what is wrong of it.
    return None


def _verify_file(args: argparse.Namespace):
  from alignet import transforms
  from alignet.release import verify
  from alignet.triplets import sampling

  strategy = sampling.find(args.strategy) if args.strategy else None
  labels, _, rows = label_flags.load(args)
  by_name = labels is None and strategy and strategy.labels == "class"
  if (labels is None) != (strategy is None) and not by_name:
    raise AlignetError(
        "--strategy and labels (--labels, --clusters, or --representations with"
        " --level) are checked together; pass both"
    )
  if labels is not None and not args.representations:
    source = args.labels or args.clusters
    flags.trust(args).check_rows(source, rows, args.path, _rows(args.path))
  if args.transform and not args.representations:
    raise AlignetError(
        "--transform needs --representations=DIR, the representations it was"
        " applied to"
    )
  filenames = features = transform = None
  if args.representations:
    from alignet.representations import store

    representations = store.open(args.representations)
    filenames = representations.filenames
  # Raw representations are not what an aligned file was made of: without a
  # transform there is nothing to compare.
  if args.transform:
    transform = transforms.load_for(
        args.transform,
        representations.path,
        representations.columns,
        flags.trust(args),
    )
    features = representations.features
  return verify.verify(
      args.path,
      image_filenames=filenames,
      labels=labels,
      rule=strategy.rule if strategy else None,
      classes_from_names=bool(by_name),
      features=features,
      transform=transform,
  )
