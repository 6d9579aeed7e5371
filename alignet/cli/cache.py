"""Decode and resize images once, for training on them.

Examples:
  alignet cache --source=tfds:imagenet2012:train --out=imagenet/train
  alignet cache --source=folder:photos --size=64 --out=images
"""

import argparse
import sys
import time

from alignet.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet cache`."""
  flags.add_source(parser)
  parser.add_argument(
      "--size",
      type=flags.count,
      default=224,
      help="side of the images in pixels" + flags.DEFAULT,
  )
  flags.add_output(parser, "DIR")
  parser.add_argument(
      "--check",
      action="store_true",
      help="read all pixels again and compare them with their checksums",
  )
  parser.add_argument(
      "--workers", type=flags.count, help="threads (default: all cores)"
  )


def run(args: argparse.Namespace) -> None:
  """Makes what is missing of the store, and says how fast."""
  from alignet.data import cache
  from alignet.data import image_sources
  from alignet.data import images

  source = image_sources.open(args.source, data_dir=args.data_dir)
  start = time.monotonic()
  made = cache.build(
      source,
      args.out,
      size=args.size,
      workers=args.workers,
      overwrite=args.overwrite,
  )
  seconds = time.monotonic() - start
  if args.check:
    cache.verify(args.out)
  if made and not args.quiet:
    print(
        f"{made:,} images in {seconds:.1f} s: {made / seconds:.1f} images/s",
        file=sys.stderr,
    )
  pixels = images.open_store(args.out).images
  print(
      f"{args.out}: {len(pixels):,} images, {pixels.nbytes / 1e9:.2f} GB"
      + (", checksums hold" if args.check else "")
  )
