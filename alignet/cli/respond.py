"""`alignet respond`: representations and triplets to an AligNet npz."""

import argparse
import typing

from alignet.triplets import similarity

HELP = "answer triplets with a teacher: write an AligNet npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Flags of the command."""
  parser.add_argument(
      "--representations", required=True, help="directory of representations"
  )
  parser.add_argument(
      "--triplets", required=True, help="triplets.npz, as `sample` writes it"
  )
  parser.add_argument(
      "--transform",
      help="transform.npz of the teacher; without it the raw representations"
      " answer: the untransformed control",
  )
  parser.add_argument(
      "--temperature_from",
      metavar="ALIGNET",
      help="AligNet npz: divide by the one temperature that gives the responses"
      " its mean entropy: the entropy-matched control",
  )
  parser.add_argument(
      "--similarity",
      choices=typing.get_args(similarity.Kind),
      default="dot",
      help="dot (default) or cosine",
  )
  parser.add_argument(
      "--store",
      choices=("float32", "float16", "bfloat16"),
      default="float32",
      help="numbers of the transformed representations: 16 bits take half the"
      " disk and time; their error is measured (default float32)",
  )
  parser.add_argument(
      "--clusters",
      metavar="clusters.npz",
      help="answer in the order of clusters, for representations beyond the"
      " memory; the same result",
  )
  parser.add_argument(
      "--device",
      choices=("cpu", "jax"),
      default="cpu",
      help="jax: on JAX's default device, which has to hold all of them",
  )
  parser.add_argument(
      "--part",
      metavar="I/N",
      type=_part,
      help="compute shards I, I + N, ... only, for N processes at a time; then"
      " the same command without it joins them",
  )
  parser.add_argument("--out", required=True, help="the AligNet npz to write")
  parser.add_argument(
      "--overwrite", action="store_true", help="replace an existing output"
  )


def _part(text: str) -> tuple[int, int]:
  """Parses "0/3"."""
  try:
    i, n = map(int, text.split("/"))
  except ValueError as e:
    raise argparse.ArgumentTypeError(f"expected I/N, found {text!r}") from e
  return i, n


def run(args: argparse.Namespace) -> None:
  """Runs the command."""
  from response_generation import respond  # pylint: disable=g-import-not-at-top

  meta = respond.respond(
      representations=args.representations,
      triplets=args.triplets,
      out=args.out,
      transform=args.transform,
      temperature_from=args.temperature_from,
      similarity=args.similarity,
      store=args.store,
      clusters=args.clusters,
      device=args.device,
      part=args.part,
      overwrite=args.overwrite,
  )
  if not args.quiet and args.part is None:
    print(respond.summary(args.out, meta))
