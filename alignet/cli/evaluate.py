"""`alignet evaluate`: did it become more human, and is it still useful?"""

import argparse

from alignet.cli import suite_flags

HELP = "score a model or representations: human judgments, classes"

_SUITE = """\
Scores with 95 % intervals (but for subjects_tau_a and what --reweighted adds),
named by their source: synthetic/... (AligNet's responses), simulated/...,
vice/..., human/... (people). With --baseline each is compared, judgment by
judgment. Writes JSON: scores (name to mean, n, se, low,
high, baseline, difference), details (noise ceilings, coverage, what was left
out), and meta. See docs/evaluation.md.
"""

_TRIPLETS = """\
Odd-one-out accuracy and likelihood of human choices. Writes JSON: similarity,
accuracy (k tied maxima count 1/k), se (standard deviation / sqrt(n)), nll
(softmax of the similarities at temperature 1, nats), nll_fitted (two-fold
cross-fitting over the triplets: each random half at the temperature that
minimises the NLL of the other half, both in "temperature"), n, and meta.
"""

_RDM = """\
Representational similarity analysis. The model's RDM is 1 - cosine, or minus
the dot product. Writes JSON: similarity, mean_rdm (spearman, pearson and tau_a
with the mean human RDM; ci: 95 % interval of the spearman, bootstrap over
stimuli, unless --resamples=0), per_subject (spearman: mean and values; means of
pearson and tau_a), ceiling (lower and upper noise ceiling of the mean over
subjects, Nili et al. 2014), mean_ceiling (of the mean RDM: split_half,
reliability and bound), both null for a single RDM, and meta.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the subcommands."""
  kinds = parser.add_subparsers(dest="evaluation", required=True)
  triplets = kinds.add_parser(
      "triplets", help="odd-one-out choices", description=_TRIPLETS
  )
  triplets.add_argument(
      "--triplets",
      required=True,
      metavar="T.npy",
      help="(n, 3) row numbers of the features, the odd one last",
  )
  rdm = kinds.add_parser(
      "rdm", help="human dissimilarity matrices", description=_RDM
  )
  rdm.add_argument(
      "--rdm",
      required=True,
      metavar="R.npy",
      help="(n, n) or (subjects, n, n) dissimilarities, the diagonal ignored",
  )
  rdm.add_argument(
      "--resamples",
      type=int,
      default=1000,
      help="bootstrap resamples, 0 for none (default: %(default)s)",
  )
  for command in (triplets, rdm):
    _add_common(command)
  stored = kinds.add_parser(
      "representations",
      help="all evaluations of stored representations",
      description=_SUITE,
  )
  stored.add_argument(
      "--representations",
      required=True,
      metavar="DIR",
      help="as `alignet extract` writes them",
  )
  stored.add_argument(
      "--train_representations",
      metavar="DIR",
      help="of training images with labels, for classes and BREEDS",
  )
  student = kinds.add_parser(
      "student", help="the same of a model", description=_SUITE
  )
  suite_flags.add_model(student)
  for command in (stored, student):
    suite_flags.add_suite(command)
    _add_output(command)


def run(args: argparse.Namespace) -> None:
  """Computes the scores and writes them as JSON."""
  if args.evaluation in ("representations", "student"):
    from alignet.cli import suite

    suite.run(args)
  else:
    _run_files(args)


def _run_files(args: argparse.Namespace) -> None:
  """Plain arrays: triplets or RDMs."""
  # pylint: disable=g-import-not-at-top
  from alignet import transforms
  from alignet.evals.scores import summary
  from alignet.io import files

  files.check_output(args.out, overwrite=args.overwrite)
  features = files.load_npy(
      args.features,
      what="features",
      shape=(None, None),
      kinds="fiu",
      mmap=True,
  )
  files.check_finite(features, f"features in {args.features}")
  kind = args.similarity or ("dot" if args.transform else "cosine")
  inputs = {"features": args.features}
  if args.transform:
    features = transforms.load(args.transform)(features)
    inputs["transform"] = args.transform
  if args.evaluation == "triplets":
    inputs["triplets"] = args.triplets
    triplets = files.load_npy(
        args.triplets, what="triplets", shape=(None, 3), kinds="iu"
    )
    result = summary.of_triplets(
        features, triplets, similarity=kind, seed=args.seed
    )
  else:
    inputs["rdm"] = args.rdm
    human = files.load_npy(args.rdm, what="human RDM", kinds="fiu")
    result = summary.of_rdm(
        features,
        human,
        similarity=kind,
        seed=args.seed,
        resamples=args.resamples,
    )
  result["meta"] = {
      "seed": args.seed,
      "sha256": {name: files.sha256(path) for name, path in inputs.items()},
      "versions": files.versions(),
  }
  files.write_json(args.out, result, overwrite=args.overwrite)
  if not args.quiet:
    print(_sentence(args, result))


def _add_common(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
      "--features",
      required=True,
      metavar="F.npy",
      help="(n, d) representations, one row an object",
  )
  parser.add_argument(
      "--transform",
      metavar="t.npz",
      help="affine transform to apply to the features first",
  )
  parser.add_argument(
      "--similarity",
      choices=("dot", "cosine"),
      help="default: dot with a transform, cosine without",
  )
  _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
      "--out", required=True, metavar="r.json", help="where the result goes"
  )
  parser.add_argument(
      "--seed", type=int, default=0, help="default: %(default)s"
  )
  parser.add_argument(
      "--overwrite", action="store_true", help="replace an existing output"
  )
  # The frame adds --quiet to `evaluate` itself; here it may follow the
  # subcommand too, and must not reset what was said before it.
  parser.add_argument(
      "--quiet",
      action="store_true",
      default=argparse.SUPPRESS,
      help="no progress bars, no chatter",
  )


def _sentence(args: argparse.Namespace, result: dict) -> str:
  if args.evaluation == "triplets":
    return (
        f"accuracy {result['accuracy']:.4f} (standard error"
        f" {result['se']:.4f}), NLL {result['nll']:.4f},"
        f" {result['nll_fitted']:.4f} at fitted temperature,"
        f" {result['similarity']}, {result['n']} triplets: {args.out}"
    )
  mean = result["mean_rdm"]
  interval = ""
  if "ci" in mean:
    interval = " ({:.4f} to {:.4f})".format(*mean["ci"])
  return (
      f"Spearman {mean['spearman']:.4f}{interval} with the mean"
      f" RDM, {result['per_subject']['mean']:.4f} a subject,"
      f" {result['similarity']}: {args.out}"
  )
