"""`alignet verify`: checks of an AligNet npz, a line each."""

import argparse

from alignet.cli import labels as label_flags
from alignet.errors import AlignetError

HELP = "check an AligNet npz: its format, its order, where it came from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet verify`."""
  parser.add_argument("path", metavar="PATH", help="the AligNet npz")
  label_flags.add_arguments(parser)
  parser.add_argument(
      "--strategy",
      help="sampling strategy to check the labels by, such as class_border",
  )
  parser.add_argument(
      "--transform",
      metavar="transform.npz",
      help="recompute some similarities of DIR through this transform",
  )
  parser.add_argument(
      "--json", action="store_true", help="print one JSON object instead"
  )


def run(args: argparse.Namespace) -> int:
  """Prints the checks; 1 when one of them fails."""
  import json

  from alignet import sampling
  from alignet import transforms
  from alignet import triplet_verify

  rule = sampling.parse(args.strategy).rule if args.strategy else None
  labels, _ = label_flags.load(args)
  if (labels is None) != (rule is None):
    raise AlignetError(
        "--strategy and labels (--labels, --clusters, or --representations with"
        " --level) are checked together; pass both"
    )
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
    transform = transforms.load(args.transform)
    features = representations.features
  verification = triplet_verify.verify(
      args.path,
      image_filenames=filenames,
      labels=labels,
      rule=rule,
      features=features,
      transform=transform,
  )
  if args.json:
    print(json.dumps(verification.to_json()))
  else:
    for check in verification.checks:
      print(f"{check.status:8}{check.name:16}{check.message}")
  return 0 if verification.ok else 1
