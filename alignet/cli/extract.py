r"""Extract the representations of images.

Examples:
  alignet extract --source=folder:photos --model=onnx:network.onnx \
      --pixel_range=-1,1 --out=representations
  alignet extract --source=images:test_images \
      --model=out/student/weights.safetensors --out=student
"""

import argparse
import pathlib
import sys
import time

from alignet.cli import flags
from alignet.errors import AlignetError

_WEIGHTS = (".safetensors", ".npz", ".onnx")

RENAMED = {"--shards": "--part=I/N", "--merge_only": "--merge"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet extract`."""
  images = parser.add_argument_group("images")
  images.add_argument(
      "--source",
      required=True,
      help=(
          "folder:PATH (class folders or flat), tfds:NAME:SPLIT such as"
          " tfds:imagenet2012:train, images:PATH for an image store, or"
          " things:PATH: the image that people saw of each concept, by its name"
      ),
  )
  images.add_argument("--data_dir", help="where TFDS keeps its datasets")
  images.add_argument(
      "--concepts",
      metavar="concepts.tsv",
      help=(
          "concepts of THINGS: labels images whose class is one, by WordNet id"
          " or by name; with things:PATH any list of names"
      ),
  )
  images.add_argument(
      "--on_corrupt",
      choices=("error", "skip"),
      default="error",
      help="an image that cannot be decoded: stop (default), or leave it out",
  )
  network = parser.add_argument_group("network")
  network.add_argument(
      "--model",
      required=True,
      help=(
          "onnx:FILE (needs alignet[onnx]), saved_model:FOLDER of TensorFlow,"
          " weights of ours (.safetensors), or the name of a published model"
          " such as so400m-siglip-webli384"
      ),
  )
  network.add_argument(
      "--weights",
      metavar="FILE",
      help="weights of the model named; without, they are downloaded, once",
  )
  network.add_argument(
      "--allow_half",
      action="store_true",
      help="accept weights in half precision; they are converted to float32",
  )
  flags.add_encoder(network)
  network.add_argument("--batch_size", type=flags.count, help="images per call")
  output = parser.add_argument_group("output")
  flags.add_output(output, "DIR")
  output.add_argument(
      "--dtype", choices=("float32", "float16"), default="float32"
  )
  work = parser.add_argument_group("work")
  work.add_argument(
      "--shard_size",
      type=flags.count,
      default=4096,
      help="images" + flags.DEFAULT,
  )
  flags.add_parts(work, "shards")
  work.add_argument(
      "--workers", type=flags.count, help="threads (default: all cores)"
  )


def run(args: argparse.Namespace) -> None:
  """Extracts what is missing, and says how fast and what was left out."""
  from alignet.data import image_sources

  for path in (args.model.rpartition(":")[2], args.weights):
    is_file = path and (path.endswith(_WEIGHTS) or ":" in args.model)
    if is_file and not pathlib.Path(path).exists():
      raise AlignetError(f"{path} does not exist")
  concepts, missing = args.concepts, ()
  kind, _, path = args.source.partition(":")
  if kind == "things":
    from alignet.human import readers

    if concepts is None:
      raise AlignetError(
          "--source=things:PATH needs --concepts=concepts.tsv; pass that too"
      )
    source = readers.ReferenceSource(path, readers.read_names(concepts))
    concepts, missing = None, source.missing  # It has its labels.
  else:
    source = image_sources.open(args.source, data_dir=args.data_dir)
  from alignet.models.encoders import encoders
  from alignet.models.vit import zoo
  from alignet.representations import extract
  from alignet.representations import pretrained

  weights = args.weights
  if weights is None and args.model in zoo.ZOO:
    weights = pretrained.fetch(zoo.find(args.model))
  encoder = encoders.open(
      args.model,
      layer=args.layer,
      size=args.size,
      pixel_range=args.pixel_range,
      pool=args.pool,
      batch_size=args.batch_size,
      weights=weights,
      allow_half=args.allow_half,
  )
  start = time.monotonic()
  outcome = extract.to_directory(
      source,
      encoder,
      args.out,
      dtype=args.dtype,
      on_corrupt=args.on_corrupt,
      concepts=concepts,
      shard_size=args.shard_size,
      part=args.part,
      merge=args.merge,
      workers=args.workers,
      overwrite=args.overwrite,
  )
  seconds = time.monotonic() - start
  if args.quiet:
    return
  if outcome.extracted:
    print(
        f"{outcome.extracted:,} images in {seconds:.1f} s:"
        f" {outcome.extracted / seconds:.1f} images/s",
        file=sys.stderr,
    )
  if outcome.skipped is None:
    print(
        f"{args.out}: {outcome.missing} shards are missing; the same command"
        " with the other --part makes them, and --merge joins all"
    )
    return
  print(f"{args.out}: representations of {outcome.images:,} images")
  if outcome.extracted or args.merge:  # Else they were said before.
    for line in extract.remarks(args.out):
      print(line)
  if (names := source.levels.get("subordinate")) is not None:
    more = ", …" * (len(names) > 10)
    print(f"{len(names)} classes: {', '.join(names[:10])}{more}")
  for suffix, n in getattr(source, "passed_over", {}).items():
    print(f"not an image: {n} files {suffix}")
  if missing:
    print(f"concepts without an image: {len(missing)}, first {missing[0]}")
  if outcome.skipped:
    print(f"left out, and listed in {args.out}/meta.json:")
    for reason in outcome.skipped.values():
      print(f"  {reason}")
