r"""Export a model's weights, with a model card.

Examples:
  alignet export --model=out/student/weights.safetensors --to=safetensors \
      --out=export
  alignet export --model=siglip-b16 --weights=siglip/model.safetensors \
      --to=huggingface --out=export_hf
"""

import argparse
import functools
import importlib

from alignet.cli import flags

# Module of alignet.models.export, and its writer.
_TARGETS = {
    "safetensors": ("weights", "write_safetensors"),
    "huggingface": ("weights", "write_huggingface"),
    "saved_model": ("saved_model", "write"),
    "onnx": ("onnx", "write"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet export`."""
  parser.add_argument(
      "--model",
      required=True,
      help="weights of ours, .safetensors, or the name of a published model",
  )
  parser.add_argument(
      "--weights",
      metavar="FILE",
      help=(
          "weights of the model that --model names: safetensors of"
          " transformers, also their folder, npz of big_vision, or the folder"
          " of a SavedModel"
      ),
  )
  parser.add_argument(
      "--to",
      required=True,
      choices=sorted(_TARGETS),
      help=(
          "safetensors: of ours, all heads; huggingface: for transformers;"
          " saved_model: TensorFlow, with the released models' signature; onnx"
      ),
  )
  flags.add_output(parser, "DIR")
  card = parser.add_argument_group("model card")
  card.add_argument("--title", help="name of the model")
  card.add_argument(
      "--base", help="the model it started from, if not as its training noted"
  )
  card.add_argument(
      "--data", help="what it was trained on, if not as its training noted"
  )
  card.add_argument("--licence", help="of the weights")
  card.add_argument(
      "--metrics", metavar="FILE.json", help="name to figure, or scores"
  )
  parser.add_argument(
      "--allow_half",
      action="store_true",
      help="accept weights in half precision; they are converted to float32",
  )


def run(args: argparse.Namespace) -> None:
  """Loads, writes, and says how well what was written agrees."""
  from alignet.io import json_files
  from alignet.models.export import card as card_lib
  from alignet.models.export import folder
  from alignet.models.formats import weights
  from alignet.models.vit import zoo
  from alignet.representations import pretrained

  variant = zoo.ZOO.get(args.model)
  path = args.weights or args.model
  if variant is not None and args.weights is None:
    path = pretrained.fetch(variant)
  elif variant is None and args.weights is not None:
    variant = zoo.find(args.model)
  model, params = weights.load(path, variant, allow_half=args.allow_half)
  training = weights.meta(path)
  known = {"title": args.model}
  if variant is not None:
    known |= {"base": variant.hub or variant.name, "licence": variant.licence}
  known |= card_lib.made_from(training)
  card = {
      key: getattr(args, key) or known.get(key)
      for key in ("title", "base", "data", "licence")
  }
  card = {key: value for key, value in card.items() if value}
  if args.metrics:
    card["metrics"] = card_lib.metrics_in(
        json_files.read(args.metrics), args.metrics
    )
  write = _writer(args.to)
  if args.to == "safetensors":
    write = functools.partial(write, meta=training)
  difference = folder.export(
      *(args.out, write, model, params),
      overwrite=args.overwrite,
      training=training,
      **card,
  )
  if not args.quiet:
    print(
        f"{args.out}: {args.to}, differs by at most {difference:.2g} after"
        " reading back"
    )


def _writer(target: str):
  """The writer of a target: libraries load when they are used."""
  module, name = _TARGETS[target]
  return getattr(
      importlib.import_module(f"alignet.models.export.{module}"), name
  )
