r"""Train a teacher transform from human judgments.

Examples:
  alignet teach --representations=representations --choices=choices.csv \
      --cross_validate=5 --out=transform.npz
  alignet teach --features=F.npy --embedding=V.npy --rows=as_stored \
      --regulariser_weight=.01,.1 --out=plain.npz
"""

import argparse
import dataclasses
import itertools
from typing import Any

from alignet.cli import flags
from alignet.cli import judgments
from alignet.errors import AlignetError

_TUNED = (
    *("input_map", "standardise", "start", "width"),
    *("regulariser", "regulariser_weight", "alpha", "tau", "learning_rate"),
)
"""Settings of which the best of several is chosen on inner folds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the output and the settings."""
  from uncertainty_distillation import config  # pylint: disable=g-import-not-at-top

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
  for kind in (config.Config, config.Optimisation):
    flags.add_fields(settings, kind, _TUNED, several=True)
  others = parser.add_argument_group("other settings")
  flags.add_fields(others, config.Config, ("steps", "inner_folds"))
  flags.add_fields(others, config.Optimisation, ("local_batch", "batch"))
  others.add_argument(
      "--max_triplets",
      type=flags.count,
      default=1_000_000,
      help="drawn from an embedding at most" + flags.DEFAULT,
  )
  flags.add_seed(others)


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
  for config in configs:
    if config.start_file:
      data.transform(config.start)
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


def _configs(args: argparse.Namespace) -> list[Any]:
  """Every combination of the settings given."""
  from uncertainty_distillation import config  # pylint: disable=g-import-not-at-top

  found = []
  for values in itertools.product(*(getattr(args, name) for name in _TUNED)):
    one = argparse.Namespace(**vars(args) | dict(zip(_TUNED, values)))
    how = config.Optimisation(**flags.fields(one, config.Optimisation))
    found.append(
        config.Config(**flags.fields(one, config.Config), optimisation=how)
    )
  return found


def _cross_validate(args, data, configs):
  """Scores on held-out concepts; written, printed and returned."""
  # pylint: disable=g-import-not-at-top
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
    methods[name] = crossval.Method(transform=data.transform(path))
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
