r"""Answer triplets with a teacher: write an AligNet npz.

Examples:
  alignet respond --representations=representations --triplets=triplets.npz \
      --transform=transform.npz --out=aligned/train.npz
  alignet respond --cfg=matched --cfg.representations=representations \
      --cfg.triplets=triplets.npz --cfg.temperature_from=aligned/train.npz \
      --cfg.out=untransformed-matched/train.npz
"""

import argparse
import typing

from alignet.cli import flags
from alignet.triplets import similarity


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the config, or the flags in its place."""
  flags.add_config(
      parser, "responses: aligned, untransformed or matched; or the flags below"
  )
  parser.add_argument("--representations", metavar="DIR", help="of the images")
  parser.add_argument(
      "--triplets", metavar="triplets.npz", help="as `sample` writes it"
  )
  parser.add_argument(
      "--transform",
      metavar="transform.npz",
      help=(
          "of the teacher; without it the raw representations answer: the"
          " untransformed control"
      ),
  )
  parser.add_argument(
      "--temperature_from",
      metavar="ALIGNET.npz",
      help=(
          "divide by the one temperature that gives the responses the mean"
          " entropy of these: the entropy-matched control"
      ),
  )
  parser.add_argument(
      "--similarity",
      choices=typing.get_args(similarity.Kind),
      help="dot (default) or cosine",
  )
  parser.add_argument(
      "--store",
      choices=("float32", "float16", "bfloat16"),
      help=(
          "numbers of the transformed representations: 16 bits take half the"
          " disk and time; their error is measured (default: float32)"
      ),
  )
  parser.add_argument(
      "--clusters",
      metavar="clusters.npz",
      help=(
          "answer in the order of clusters, for representations beyond the"
          " memory; the same result"
      ),
  )
  parser.add_argument(
      "--device",
      choices=("cpu", "jax"),
      help="jax: JAX's default device, which has to hold all of them",
  )
  flags.add_trust(parser)
  flags.add_parts(parser, "shards")
  parser.add_argument("--out", metavar="ALIGNET.npz", help="the file to write")
  flags.add_overwrite(parser)


_FIELDS = (
    *("representations", "triplets", "transform", "temperature_from"),
    *("similarity", "store", "clusters", "device", "out"),
)


def run(args: argparse.Namespace) -> None:
  """Runs the command."""
  # pylint: disable=g-import-not-at-top
  from alignet.errors import AlignetError
  from response_generation import main as main_lib
  from response_generation import respond

  given = {name: getattr(args, name) for name in _FIELDS}
  given = {name: value for name, value in given.items() if value is not None}
  name = flags.config(args)
  if name and given:
    raise AlignetError(
        f"expected the config {name}, or flags, found both: write"
        f" --cfg.{next(iter(given))}=… in the place of --{next(iter(given))}"
    )
  if name:
    given = main_lib.arguments(main_lib.load(name, args.overrides))
  elif args.overrides:
    raise AlignetError(
        f"--cfg.{args.overrides[0]} overrides a config; name one, such as"
        " aligned"
    )
  missing = [f"--{n}" for n in _REQUIRED if n not in given]
  if missing:
    raise AlignetError(f"expected {', '.join(missing)}, or a config")
  given.setdefault("trust", flags.trust(args))
  given["overwrite"] = given.get("overwrite") or args.overwrite
  meta = respond.respond(**given, part=args.part, merge=args.merge)
  if args.part is None:
    flags.say(args, respond.summary(given["out"], meta))


_REQUIRED = ("representations", "triplets", "out")
