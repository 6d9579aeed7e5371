r"""Train a teacher transform from human judgments.

Examples:
  alignet teach --representations=representations --choices=choices.csv \
      --cross_validate=5 --out=transform.npz
  alignet teach --features=F.npy --embedding=V.npy \
      --regulariser_weight=.01,.1 --out=transform.npz
"""

import argparse
from collections.abc import Callable
import dataclasses
import itertools
from typing import Any

from alignet.cli import flags
from alignet.cli import judgments
from alignet.errors import AlignetError
from alignet.io import counts

# Defaults are those of the Config and its Optimisation, which are not imported
# for --help.
_TUNED = {
    "input_map": (str, "auto", "done to a row first: none, sqrt, l2 or auto"),
    "standardise": (
        *(str, "scalar"),
        "scalar or per_dimension: by one mean and deviation, or many",
    ),
    "start": (
        str,
        "ridge",
        "ridge, identity, small or T.npz: where training starts",
    ),
    "width": (counts.parse, None, "dimensions of the result"),
    "regulariser": (
        *(str, "identity"),
        "identity or l2: pull towards a multiple of the identity, or to zero",
    ),
    "regulariser_weight": (float, 0.03, "its weight, lambda"),
    "alpha": (float, 0.0, "share of glocal's local term; needs --local"),
    "tau": (float, 1.0, "temperature of the local term"),
    "learning_rate": (float, 3e-3, "of Adam"),
}
"""Settings of which the best of several is chosen on inner folds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the output and the settings."""
  judgments.add_arguments(parser)
  inputs = parser.add_argument_group("other inputs, and output")
  inputs.add_argument(
      "--local",
      metavar="L.npy",
      help="(m, d) representations of any images, for glocal; with --alpha",
  )
  flags.add_output(inputs, "transform.npz")
  check = parser.add_argument_group("cross-validation, before the fit on all")
  check.add_argument(
      "--cross_validate",
      type=flags.count,
      default=0,
      metavar="FOLDS",
      help=(
          "object-disjoint folds on which this teacher, ridge regression and"
          " the raw representations are scored; 0: none" + flags.DEFAULT
      ),
  )
  check.add_argument(
      "--repeats",
      type=flags.count,
      default=1,
      help="times, other folds" + flags.DEFAULT,
  )
  check.add_argument(
      "--blocks",
      metavar="B.npy",
      help=(
          "(concepts,) category of each: categories are held out whole, also"
          " where settings are chosen"
      ),
  )
  check.add_argument(
      "--compare",
      action="append",
      default=[],
      type=flags.named,
      metavar="NAME=T.npz",
      help=(
          "also a transform that is there, such as gLocal's published ones, as"
          " it is; it may have seen the held-out concepts; repeatable"
      ),
  )
  check.add_argument(
      "--report",
      metavar="DIR",
      help=(
          "folder for report.json, calibration.png and calibration_fitted.png"
          " (default: OUT.report)"
      ),
  )
  settings = parser.add_argument_group(
      "settings", "of several values, with commas, inner folds choose the best"
  )
  for name, (kind, default, text) in _TUNED.items():
    shown = "the embedding's" if default is None else default
    settings.add_argument(
        f"--{name}",
        type=_several(kind),
        default=(default,),
        metavar="X[,X...]",
        help=f"{text} (default: {shown})",
    )
  for flag, default, text in (
      ("--local_batch", 1024, "images of the local term a step"),
      ("--batch", 8192, "triplets a step"),
      ("--steps", 400, "most steps; a multiple of 50"),
      ("--inner_folds", 5, "folds on which the steps are chosen; 0: none"),
      ("--max_triplets", 1_000_000, "drawn from an embedding at most"),
  ):
    settings.add_argument(
        flag, type=flags.count, default=default, help=text + flags.DEFAULT
    )
  flags.add_seed(settings)


def run(args: argparse.Namespace) -> None:
  """Trains the transform, writes it, prints one line."""
  # pylint: disable=g-import-not-at-top
  from alignet import transforms
  from alignet.io import files
  from uncertainty_distillation import fit

  files.check_output(args.out, overwrite=args.overwrite)
  if args.compare and not args.cross_validate:
    raise AlignetError("--compare needs --cross_validate; pass that too")
  configs = _configs(args)
  data = judgments.load(args, local=args.local, blocks=args.blocks)
  found = None
  if args.cross_validate:
    found = _cross_validate(args, data, configs)
  transform, report = fit.tune(
      data.features,
      data.concepts,
      data.judgments,
      configs,
      embedding=data.embedding,
      blocks=data.blocks,
      local_images=data.local,
  )
  meta = {**report, **data.provenance()}
  if found is not None:
    meta["cross_validation"] = found["methods"]
  transforms.save(
      args.out,
      dataclasses.replace(transform, meta=meta),
      overwrite=args.overwrite,
  )
  flags.say(args, f"{args.out}: {_summary(transform, report)}")


def _several(kind: type) -> Callable[[str], tuple[Any, ...]]:
  """A parser of values separated by commas."""

  def parse(text):
    try:
      return tuple(map(kind, text.split(",")))
    except (AlignetError, ValueError):
      raise argparse.ArgumentTypeError(
          f"expected values with commas between, found {text!r}"
      ) from None

  return parse


def _configs(args: argparse.Namespace) -> list[Any]:
  """Every combination of the settings given."""
  # pylint: disable=g-import-not-at-top
  from uncertainty_distillation import config
  from uncertainty_distillation import training_loop

  found = []
  for values in itertools.product(*(getattr(args, name) for name in _TUNED)):
    tuned = dict(zip(_TUNED, values))
    outer = {
        name: tuned.pop(name)
        for name in ("input_map", "standardise", "start", "width")
    }
    found.append(
        config.Config(
            **outer,
            steps=args.steps,
            inner_folds=args.inner_folds,
            optimisation=training_loop.Optimisation(
                **tuned, local_batch=args.local_batch, batch=args.batch
            ),
            seed=args.seed,
        )
    )
  return found


def _cross_validate(args, data, configs):
  """Scores on held-out concepts; written, printed and returned."""
  # pylint: disable=g-import-not-at-top
  from alignet import transforms
  from alignet.io import files
  from uncertainty_distillation import crossval
  from uncertainty_distillation import crossval_report

  out = args.report or f"{args.out}.report"
  files.check_output(out, overwrite=args.overwrite)
  methods = crossval.standard_methods(configs, data.local)
  sha256 = dict(data.sha256)
  for name, path in args.compare:
    if name in methods:
      raise AlignetError(
          f"--compare={name}={path}: expected a name other than"
          f" {', '.join(methods)}"
      )
    methods[name] = crossval.Method(transform=transforms.load(path))
    sha256[name] = files.sha256(path)
  report = crossval_report.make(
      crossval.cross_validate(
          data.features,
          data.concepts,
          data.judgments,
          methods,
          embedding=data.embedding,
          folds=args.cross_validate,
          seeds=range(args.seed, args.seed + args.repeats),
          blocks=data.blocks,
      ),
      seed=args.seed,
  )
  report |= {"inputs": sha256, "versions": files.versions()}
  with files.atomic_directory(out, overwrite=args.overwrite) as folder:
    crossval_report.write(folder, report)
  flags.say(args, crossval_report.table(report))
  flags.say(
      args, f"{out}: report.json, calibration.png, calibration_fitted.png"
  )
  return report


def _summary(transform, report) -> str:
  d, width = transform.weights.shape
  text = (
      f"{d} -> {width} dimensions, input map {transform.input_map},"
      f" {report['concepts']} concepts, {report['images']} images,"
      f" {report['triplets']} triplets, {report['steps']} steps"
  )
  if (inner := report["inner"]) is None:
    return text
  return (
      f"{text}; on inner held-out concepts: agreement"
      f" {inner['agreement']:.3f}, cross-entropy {inner['cross_entropy']:.3f}"
  )
