"""`alignet recover`: a teacher's W and b from its answers."""

import argparse

HELP = "recover a teacher from an AligNet npz and the representations"


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
  parser.add_argument(
      "--out", required=True, metavar="transform.npz", help="file to write"
  )
  parser.add_argument(
      "--width",
      type=int,
      help="columns of W; default: 64, 128, 256, until one fits",
  )
  parser.add_argument(
      "--input_map",
      choices=("none", "l2", "sqrt"),
      help="done to a row first; default: the one that fits best",
  )
  parser.add_argument(
      "--max_rows",
      type=int,
      default=200_000,
      help="triplets used, drawn at random (default: %(default)s)",
  )
  parser.add_argument("--seed", type=int, default=0, help="default 0")
  parser.add_argument(
      "--json", action="store_true", help="print the report as JSON"
  )
  parser.add_argument(
      "--overwrite", action="store_true", help="replace an existing file"
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
  representations = store.open(args.representations)
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
  transforms.save(args.out, found.transform, overwrite=args.overwrite)
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
