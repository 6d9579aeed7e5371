r"""Recover a teacher from an AligNet npz and the representations.

Examples:
  alignet recover --file=aligned.npz --representations=representations \
      --out=recovered.npz
  alignet recover --file=aligned.npz --representations=representations \
      --width=42 --input_map=none --json --out=recovered.npz
"""

import argparse

from alignet.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet recover`."""
  parser.add_argument(
      "--file", required=True, metavar="AligNet.npz", help="the answers"
  )
  parser.add_argument(
      "--representations",
      required=True,
      metavar="DIR",
      help="of the images that they were made from; joined by file name",
  )
  flags.add_output(parser, "transform.npz")
  parser.add_argument(
      "--width",
      type=flags.count,
      help="columns of W; default: 64, 128, 256, until one fits",
  )
  parser.add_argument(
      "--input_map",
      choices=("none", "l2", "sqrt"),
      help="done to a row first; default: the one that fits best",
  )
  parser.add_argument(
      "--max_rows",
      type=flags.count,
      default=200_000,
      help="triplets used, drawn at random" + flags.DEFAULT,
  )
  flags.add_seed(parser)
  parser.add_argument(
      "--json", action="store_true", help="print the report as JSON"
  )


def run(args: argparse.Namespace) -> int:
  """Fits, writes, says how well; 1 where it is no affine teacher."""
  # pylint: disable=g-import-not-at-top
  import json

  from alignet import transforms
  from alignet.io import files
  from alignet.release import verify
  from alignet.representations import store
  from alignet.triplets import npz
  from uncertainty_distillation import recover

  files.check_output(args.out, overwrite=args.overwrite)
  representations = store.by_name(store.open(args.representations))
  opened = npz.open(args.file)
  indices = verify.join(opened, representations.filenames)
  found = recover.recover(
      representations.features,
      indices,
      opened.similarities,
      input_maps=(args.input_map,)
      if args.input_map
      else ("none", "l2", "sqrt"),
      widths=(args.width,) if args.width else recover.WIDTHS,
      max_rows=args.max_rows,
      seed=args.seed,
  )
  transforms.save(
      args.out,
      found.transform,
      columns=representations.columns,
      overwrite=args.overwrite,
  )
  report = found.report
  if args.json:
    print(json.dumps(report))
  else:
    known = report["identifiability"]
    print(f"{args.file}: {report['verdict']}")
    print(
        f"rank {known['rank']} of {known['rank_at_most']}, {known['pairs']}"
        f" pairs for {known['unknowns']} unknowns; {known['note']}"
    )
    print(f"{args.out}: the best fit")
  return 0 if report["affine"] else 1
