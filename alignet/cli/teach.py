"""`alignet teach`: human judgments + representations -> transform.npz."""

import argparse
import dataclasses

HELP = "train a teacher transform from human judgments"

_DEFAULT = " (default: %(default)s)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the inputs, the output and the settings."""
  inputs = parser.add_argument_group("inputs and output")
  inputs.add_argument(
      "--features",
      metavar="F.npy",
      help="(n, d) representations; row i shows concept C[i]",
  )
  inputs.add_argument(
      "--representations",
      metavar="DIR",
      help="instead: representations with labels, as `extract` writes them",
  )
  inputs.add_argument(
      "--level",
      default="concept",
      help="labels in DIR; class i is row i of the embedding" + _DEFAULT,
  )
  inputs.add_argument(
      "--embedding",
      metavar="V.npy",
      help=(
          "(concepts, k) human embedding; targets are the softmax of its dot"
          " products, unless --triplets are given"
      ),
  )
  inputs.add_argument(
      "--concepts",
      metavar="C.npy",
      help="(n,) concept number of each row of the features (default: i)",
  )
  inputs.add_argument(
      "--triplets",
      metavar="T.npy",
      help="(m, 3) concept numbers, the odd one last: human choices",
  )
  inputs.add_argument(
      "--probabilities",
      metavar="P.npy",
      help="(m, 3) probabilities of the triplets' pairs s01, s02, s12",
  )
  inputs.add_argument(
      "--local",
      metavar="L.npy",
      help="(m, d) representations of any images, for glocal; with --alpha",
  )
  inputs.add_argument(
      "--out", required=True, metavar="transform.npz", help="file to write"
  )
  inputs.add_argument(
      "--overwrite", action="store_true", help="replace an existing file"
  )
  settings = parser.add_argument_group("settings")
  settings.add_argument(
      "--input_map",
      default="auto",
      choices=("auto", "none", "sqrt", "l2"),
      help="done to a row first; auto: by cross-fitted error" + _DEFAULT,
  )
  settings.add_argument(
      "--standardise",
      default="scalar",
      choices=("scalar", "per_dimension"),
      help="by one mean and deviation, or those of each dimension" + _DEFAULT,
  )
  settings.add_argument(
      "--start",
      default="ridge",
      choices=("ridge", "identity", "small"),
      help="where training starts, see uncertainty_distillation.fit" + _DEFAULT,
  )
  settings.add_argument(
      "--width",
      type=int,
      help="dimensions of the result (default: the embedding's)",
  )
  settings.add_argument(
      "--regulariser",
      default="identity",
      choices=("identity", "l2"),
      help="pull towards a multiple of the identity, or to zero" + _DEFAULT,
  )
  for flag, kind, default, text in (
      ("--regulariser_weight", float, 0.03, "its weight, lambda"),
      ("--alpha", float, 0.0, "share of glocal's local term; needs --local"),
      ("--tau", float, 1.0, "temperature of the local term"),
      ("--local_batch", int, 1024, "images of the local term a step"),
      ("--learning_rate", float, 3e-3, "of Adam"),
      ("--batch", int, 8192, "triplets a step"),
      ("--steps", int, 400, "most steps; a multiple of 50"),
      ("--inner_folds", int, 5, "folds on which the steps are chosen; 0: none"),
      ("--max_triplets", int, 1_000_000, "drawn from an embedding at most"),
      ("--seed", int, 0, "of everything random"),
  ):
    settings.add_argument(
        flag, type=kind, default=default, help=text + _DEFAULT
    )


def run(args: argparse.Namespace) -> None:
  """Trains the transform, writes it, prints one line."""
  # pylint: disable=g-import-not-at-top
  from alignet import files
  from alignet import transforms
  from uncertainty_distillation import fit
  from uncertainty_distillation import inputs
  from uncertainty_distillation import loop

  files.check_output(args.out, overwrite=args.overwrite)
  config = fit.Config(
      input_map=args.input_map,
      standardise=args.standardise,
      start=args.start,
      width=args.width,
      steps=args.steps,
      inner_folds=args.inner_folds,
      optimisation=loop.Optimisation(
          regulariser=args.regulariser,
          regulariser_weight=args.regulariser_weight,
          alpha=args.alpha,
          tau=args.tau,
          local_batch=args.local_batch,
          learning_rate=args.learning_rate,
          batch=args.batch,
      ),
      seed=args.seed,
  )
  data = inputs.load(
      features=args.features,
      representations=args.representations,
      level=args.level,
      embedding=args.embedding,
      concepts=args.concepts,
      triplets=args.triplets,
      probabilities=args.probabilities,
      max_triplets=args.max_triplets,
      seed=args.seed,
  )
  local = None
  if args.local:
    local = files.load_npy(
        args.local, what="local images", shape=(None, None), kinds="f"
    )
    data.sha256["local"] = files.sha256(args.local)
  transform, report = fit.fit(
      data.features,
      data.concepts,
      data.judgments,
      config,
      embedding=data.embedding,
      local_images=local,
  )
  meta = {**report, "inputs": data.sha256, "versions": files.versions()}
  transforms.save(
      args.out,
      dataclasses.replace(transform, meta=meta),
      overwrite=args.overwrite,
  )
  if not args.quiet:
    print(f"{args.out}: {_summary(transform, report)}")


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
