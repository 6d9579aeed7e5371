r"""Score a model or representations: human judgments, classes.

Examples:
  alignet evaluate representations --representations=student --baseline=base \
      --levels=levels/levels.npz --out=scores.json
  alignet evaluate triplets --features=F.npy --triplets=T.npy \
      --rows=as_stored --out=r.json
"""

import argparse
import dataclasses
import pathlib

from alignet.cli import flags

RENAMED = {"--rdm_similarities": "--rdm_kind=NAME=similarity"}

# Settings of a suite that flags of several commands give.
_MODELS = ("representations", "baseline", "names")


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the subcommands."""
  kinds = parser.add_subparsers(dest="evaluation", required=True)
  for name, step, add in (
      ("triplets", triplets, _add_triplets),
      ("rdm", rdm, _add_rdm),
      ("representations", representations, _add_representations),
      ("student", student, _add_model),
  ):
    command = kinds.add_parser(name, **flags.described(step.__doc__))
    add(command)
    flags.add_output(command, "r.json", "where the result goes")
    flags.add_quiet(command)
    command.set_defaults(step=step)


def run(args: argparse.Namespace) -> None:
  """Computes the scores and writes them as JSON."""
  from alignet.io import files  # pylint: disable=g-import-not-at-top
  from alignet.io import json_files

  files.check_output(args.out, overwrite=args.overwrite)
  result, text = args.step(args)
  json_files.write(args.out, result, overwrite=args.overwrite)
  flags.say(args, text)


def triplets(args: argparse.Namespace) -> tuple[dict, str]:
  r"""Odd-one-out choices, from plain arrays.

  Writes JSON: similarity, accuracy (k tied maxima count 1/k), se (standard
  deviation / sqrt(n)), nll (softmax of the similarities at temperature 1,
  nats), nll_fitted (two-fold cross-fitting over the triplets: each random half
  at the temperature that minimises the NLL of the other half, both in
  "temperature"), n, and meta.

  Examples:
    alignet evaluate triplets --features=F.npy --triplets=T.npy \
        --rows=as_stored --out=r.json
    alignet evaluate triplets --features=F.npy --triplets=T.npy \
        --transform=transform.npz --rows=as_stored --columns=as_given \
        --out=aligned.json
  """
  # pylint: disable=g-import-not-at-top
  from alignet.evals.scores import summary
  from alignet.evals.scores.choices import odd_one_out
  from alignet.io import files
  from alignet.triplets import layout
  from alignet.triplets import similarity

  features, kind = _features(args, args.triplets)
  rows = files.load_npy(
      args.triplets, what="triplets", shape=(None, 3), kinds="iu"
  )
  rows = layout.arranged(
      rows,
      len(features),
      odd=args.odd,
      numbered_from=args.numbered_from,
      what=args.triplets,
  )
  result = summary.of_triplets(features, rows, similarity=kind, seed=args.seed)
  right = odd_one_out.accuracy(similarity.of_triplets(features, rows, kind))
  layout.check_agreement(right, args.odd, what=args.triplets)
  se = result["se"]
  error = "" if se is None else f" (standard error {se:.4f})"
  text = (
      f"accuracy {result['accuracy']:.4f}{error}, NLL"
      f" {result['nll']:.4f}, {result['nll_fitted']:.4f} at fitted"
      f" temperature, {kind}, {result['n']} triplets: {args.out}"
  )
  return result | {"meta": _meta(args, "triplets")}, text


def rdm(args: argparse.Namespace) -> tuple[dict, str]:
  r"""Human dissimilarity matrices, from plain arrays.

  Representational similarity analysis. The model's RDM is 1 - cosine, or minus
  the dot product. Writes JSON: similarity, mean_rdm (spearman, pearson and
  tau_a with the mean human RDM; ci: 95 % interval of the spearman, bootstrap
  over stimuli, unless --resamples=0), per_subject (spearman: mean and values;
  means of pearson and tau_a), ceiling (lower and upper noise ceiling of the
  mean over subjects, Nili et al. 2014), mean_ceiling (of the mean RDM:
  split_half, reliability and bound), both null for a single RDM, and meta.

  Examples:
    alignet evaluate rdm --features=F.npy --rdm=R.npy --kind=distance \
        --rows=as_stored --out=rdm.json
    alignet evaluate rdm --features=F.npy --rdm=R.npy --kind=distance \
        --rows=as_stored --similarity=dot --resamples=0 --out=rdm_dot.json
  """
  # pylint: disable=g-import-not-at-top
  from alignet.evals.scores import summary
  from alignet.human import rdm_files

  features, kind = _features(args, args.rdm)
  human = rdm_files.read(args.rdm, kind=args.kind).rdms
  result = summary.of_rdm(
      features,
      human,
      similarity=kind,
      seed=args.seed,
      resamples=args.resamples,
  )
  mean = result["mean_rdm"]
  interval = ""
  if "no_interval" in mean:
    interval = f" (no interval: {mean['no_interval']})"
  if "ci" in mean:
    interval = f" ({mean['ci'][0]:z.4f} to {mean['ci'][1]:z.4f})"
  text = (
      f"Spearman {mean['spearman']:z.4f}{interval} with the mean RDM,"
      f" {result['per_subject']['mean']:z.4f} a subject, {kind}: {args.out}"
  )
  return result | {"meta": _meta(args, "rdm")}, text


def representations(args: argparse.Namespace) -> tuple[dict, str]:
  r"""All evaluations of stored representations.

  Scores have 95 % intervals (but for subjects_tau_a and what --reweighted
  adds), and are named by their source: synthetic/... (AligNet's responses),
  simulated/..., vice/..., human/... (people). With --baseline each is compared,
  judgment by judgment. Writes JSON: scores (name to mean, n, se, low, high,
  baseline, difference), details (noise ceilings, coverage, what was left out),
  and meta. See docs/evaluation.md.

  Examples:
    alignet evaluate representations --representations=student \
        --baseline=base --trials=simulated=trials --out=scores.json
    alignet evaluate representations --representations=student \
        --train_representations=student_train --tasks=knn --out=classes.json
  """
  from alignet.evals import suite as suite_lib  # pylint: disable=g-import-not-at-top

  suite = _suite(args)
  suite.check()
  scores = suite_lib.evaluate(suite)
  return scores.to_json(), f"{scores}\n{args.out}"


def student(args: argparse.Namespace) -> tuple[dict, str]:
  r"""The same of a model, whose representations are extracted first.

  See `alignet evaluate representations --help`.

  Examples:
    alignet evaluate student --workdir=out/student \
        --source=images:test_images --keep=out/kept \
        --trials=simulated=trials --out=student.json
    alignet evaluate student --onnx=network.onnx --pixel_range=0,1 \
        --source=folder:levels_images --keep=out/network \
        --levels=levels/levels.npz --out=network.json
  """
  from alignet.evals import suite as suite_lib  # pylint: disable=g-import-not-at-top

  sources = {"representations": args.source}
  args.representations = [("", str(pathlib.Path(args.keep, "test")))]
  if args.train_source:
    args.train_representations = str(pathlib.Path(args.keep, "train"))
    sources["train_representations"] = args.train_source
  suite = _suite(args)
  suite.check(made=sources)
  for name, source in sources.items():
    _extract(args, source, getattr(suite, name))
  scores = suite_lib.evaluate(suite)
  return scores.to_json(), f"{scores}\n{args.out}"


def _suite(args: argparse.Namespace):
  """The suite that the flags describe."""
  from alignet.evals import suite as suite_lib  # pylint: disable=g-import-not-at-top

  models = flags.models(args)
  names, paths = zip(*models, *[(name, None) for name in suite_lib.NAMES])
  return suite_lib.Suite(
      **{
          f.name: vars(args)[f.name]
          for f in dataclasses.fields(suite_lib.Suite)
          if f.name in vars(args) and f.name not in _MODELS
      },
      representations=paths[0],
      baseline=paths[1],
      names=(*names[: len(models)], *suite_lib.NAMES[len(models) :]),
  )


def _add_triplets(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
      "--triplets",
      required=True,
      metavar="T.npy",
      help="(n, 3) row numbers of the features, the odd one last",
  )
  flags.add_arrangement(parser)
  _add_arrays(parser)


def _add_rdm(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
      "--rdm",
      required=True,
      metavar="R.npy",
      help="(n, n) or (subjects, n, n), the diagonal ignored; also text, .mat",
  )
  parser.add_argument(
      "--kind",
      choices=("similarity", "distance"),
      help="what R holds, where a diagonal of largest values does not prove it",
  )
  parser.add_argument(
      "--resamples",
      type=flags.count,
      default=1000,
      help="bootstrap resamples, 0 for none" + flags.DEFAULT,
  )
  _add_arrays(parser)


def _add_representations(parser: argparse.ArgumentParser) -> None:
  flags.add_models(parser)
  _add_suite(parser)


def _add_suite(parser: argparse.ArgumentParser) -> None:
  """Adds a flag for each setting of a suite, a group for each evaluation."""
  from alignet.evals import suite as suite_lib  # pylint: disable=g-import-not-at-top

  places = {
      field.name: one.name
      for one in suite_lib.ALL
      for field in dataclasses.fields(one.Settings)
  }
  groups = {
      one.name: parser.add_argument_group(one.name, f"needs {one.needs}")
      for one in suite_lib.ALL
  }
  for field in dataclasses.fields(suite_lib.Suite):
    if field.name not in _MODELS and "argument" in field.metadata:
      place = groups.get(places.get(field.name), parser)
      place.add_argument(f"--{field.name}", **_argument(field))


def _argument(field: dataclasses.Field) -> dict:
  """Arguments of add_argument for a setting."""
  argument = dict(field.metadata["argument"])
  if "type" in argument:
    argument["type"] = flags.checked(argument["type"])
  argument["default"] = field.default
  if field.default is False and "nargs" not in argument:
    return argument | {"action": "store_true"}
  if field.default == () and "action" not in argument:
    return argument | {"action": "append", "default": []}
  return argument


def _add_model(parser: argparse.ArgumentParser) -> None:
  """Which model, which images, where its representations are kept."""
  flags.add_baseline(parser)
  model = parser.add_argument_group("model, one of")
  one = model.add_mutually_exclusive_group(required=True)
  one.add_argument("--workdir", help="of a training: its weights.safetensors")
  one.add_argument("--model", help="weights of ours, .safetensors")
  one.add_argument("--onnx", help="a network as ONNX file")
  flags.add_encoder(model)
  images = parser.add_argument_group("images")
  flags.add_source(images, what="images to evaluate on")
  images.add_argument(
      "--train_source", help="the same, training images for classes and BREEDS"
  )
  images.add_argument("--concepts", metavar="concepts.tsv", help="of THINGS")
  images.add_argument(
      "--keep",
      required=True,
      metavar="DIR",
      help=(
          "folder of the model's representations, DIR/test and DIR/train; an"
          " interrupted extraction resumes, a finished one is used again"
      ),
  )
  _add_suite(parser)


def _extract(args: argparse.Namespace, source: str, directory) -> None:
  """Makes a model's representations, or finds them."""
  # pylint: disable=g-import-not-at-top
  from alignet.data import image_sources
  from alignet.models.encoders import encoders
  from alignet.representations import extract

  if args.onnx:
    model = f"onnx:{args.onnx}"
  else:
    model = args.model or str(pathlib.Path(args.workdir, "weights.safetensors"))
  encoder = encoders.open(
      model,
      layer=args.layer,
      size=args.size,
      pixel_range=args.pixel_range,
      pool=args.pool,
  )
  extract.to_directory(
      image_sources.open(source, data_dir=args.data_dir),
      encoder,
      directory,
      concepts=args.concepts,
      overwrite=args.overwrite,
  )


def _add_arrays(parser: argparse.ArgumentParser) -> None:
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
  flags.add_trust(parser)
  flags.add_seed(parser)


def _features(args: argparse.Namespace, others: str):
  """Features, transformed if so asked, and the similarity to compare by."""
  # pylint: disable=g-import-not-at-top
  from alignet import transforms
  from alignet.io import files

  features = files.load_npy(
      args.features, what="features", kinds="fiu", mmap=True
  )
  files.check_matrix(features, f"features in {args.features}")
  trust = flags.trust(args)
  trust.check_rows(args.features, None, others, None)
  if args.transform:
    transform = transforms.load_for(args.transform, args.features, None, trust)
    features = transform(features)
  return features, args.similarity or ("dot" if args.transform else "cosine")


def _meta(args: argparse.Namespace, *inputs: str) -> dict:
  from alignet.io import files  # pylint: disable=g-import-not-at-top

  paths = {x: getattr(args, x) for x in ("features", "transform", *inputs)}
  return {
      "seed": args.seed,
      "trusted": flags.trust(args).meta(),
      "sha256": {x: files.sha256(path) for x, path in paths.items() if path},
      "versions": files.versions(),
  }
