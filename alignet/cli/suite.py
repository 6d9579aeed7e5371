"""What `alignet evaluate representations` and `student` do."""

import argparse
import pathlib

from alignet.cli import suite_checks
from alignet.cli import suite_text


def run(args: argparse.Namespace) -> None:
  """Each evaluation that was asked for, into one JSON."""
  # pylint: disable=g-import-not-at-top
  from alignet.io import files

  files.check_output(args.out, overwrite=args.overwrite)
  suite_checks.check(args)
  if args.evaluation == "student":
    directory, train = _extract(args)
  else:
    directory, train = args.representations, args.train_representations
  test = _models(args, directory, args.baseline)
  scores, details = {}, {}
  for part, arguments in (
      (_judgments, test),
      (_rdms, test),
      (_hierarchy, test),
      (_classes, (*test, directory, train)),
  ):
    more, about = part(args, *arguments)
    scores |= more
    details |= about
  inputs = [("representations", directory), ("train", train)]
  inputs += [
      ("baseline", args.baseline),
      ("baseline_train", args.baseline_train),
  ]
  result = {
      "scores": scores,
      "details": details,
      "meta": {
          "seed": args.seed,
          "similarity": _kind(args, args.transform),
          "baseline_similarity": _kind(args, args.baseline_transform),
          "representations": {
              name: files.read_json(pathlib.Path(path) / "meta.json")
              for name, path in inputs
              if path
          },
          "sha256": _hashes(args),
          "versions": files.versions(),
      },
  }
  files.write_json(args.out, result, overwrite=args.overwrite)
  if not args.quiet:
    for name, score in scores.items():
      print(f"{name:44s} {suite_text.cell(score)}")
    print(args.out)


def _judgments(args, model, baseline) -> tuple[dict, dict]:
  """Odd-one-out choices of any source."""
  # pylint: disable=g-import-not-at-top
  if not (args.trials or args.things or args.levels):
    return {}, {}
  from alignet.evals import levels as levels_scores
  from alignet.evals import stored
  from alignet.human import levels as levels_lib

  scores, details = {}, {}
  common = {
      "baseline": baseline,
      "seed": args.seed,
      "resamples": args.resamples,
  }
  for source, name, path in suite_checks.trials(args):
    found, about = stored.on_trials(
        model, path, source=source, name=name, **common
    )
    scores |= found
    details |= about
  if args.things:
    choices = _choices(args, model)
    found, about = stored.on_choices(
        model, choices.triplets, participants=choices.participant, **common
    )
    scores |= found
    details["human/things"] = {
        **about,
        "unknown_concepts": choices.report.unknown,
    }
  if args.levels:
    levels, left_out = levels_lib.exclude(
        levels_lib.read(args.levels),
        levels_lib.Exclusions(
            shortest=args.shortest,
            longest=args.longest,
            repeats=args.no_repeats,
        ),
    )
    found = levels_scores.evaluate(
        model.features,
        model.filenames,
        levels,
        kind=model.kind,
        baseline=(baseline.features, baseline.kind) if baseline else None,
        seed=args.seed,
        resamples=args.resamples,
    )
    scores |= found["scores"]
    details["human/levels"] = {
        "ceilings": found["ceilings"],
        "undefined": found["undefined"],
        "coverage": found["coverage"],
        "drawn": found["drawn"],
        "left_out": left_out,
    }
  return scores, details


def _rdms(args, model, baseline) -> tuple[dict, dict]:
  """Similarity sets."""
  # pylint: disable=g-import-not-at-top
  if not args.rdm:
    return {}, {}
  from alignet.evals import rdms
  from alignet.human import readers
  from alignet.human import similarity_sets

  names = dict(map(suite_checks.pair, args.rdm_images))
  scores, details = {}, {}
  for name, path in map(suite_checks.pair, args.rdm):
    found, details[f"human/{name}"] = rdms.on_rdm(
        model,
        similarity_sets.load(
            name, path, similarities=name in args.rdm_similarities
        ),
        name=name,
        images=readers.read_names(names[name]) if name in names else None,
        category_levels=tuple(args.categories),
        reweighted=args.reweighted,
        baseline=baseline,
        seed=args.seed,
        resamples=args.resamples,
    )
    scores |= found
  return scores, details


def _hierarchy(args, model, baseline) -> tuple[dict, dict]:
  """Distances within and across levels of labels."""
  if not args.hierarchy:
    return {}, {}
  from alignet.evals import hierarchy  # pylint: disable=g-import-not-at-top

  scores, details = hierarchy.on_hierarchy(
      model,
      suite_checks.levels(args),
      baseline=baseline,
      seed=args.seed,
      resamples=args.resamples,
  )
  return scores, {"hierarchy": details}


def _classes(args, model, baseline, directory, train) -> tuple[dict, dict]:
  """Classification and retrieval, BREEDS."""
  # pylint: disable=g-import-not-at-top
  if not (args.tasks or args.breeds):
    return {}, {}
  from alignet.data import breeds
  from alignet.evals import usefulness
  from alignet.human import readers

  protocol = usefulness.Protocol(tasks=suite_checks.tasks(args), seed=args.seed)
  learn_from, of_baseline = _models(args, train, args.baseline_train)
  pairs = [(learn_from, model)]
  if baseline:
    pairs.append((of_baseline, baseline))
  for one, where in ((learn_from, train), (model, directory)):
    usefulness.check_level(one.labels, args.level, where)
  # A baseline is asked the same: of equal images its labels are the model's.
  labels = [one.labels[args.level] for one in pairs[0]]
  rows = [{} for _ in pairs]
  mask = args.mask
  if isinstance(mask, str):
    mask = readers.read_names(mask).tolist()
  for out, (a, b) in zip(rows, pairs):
    if args.tasks:
      train_ids, test_ids, among = usefulness.common_classes(*labels, mask=mask)
      found = usefulness.scores(
          a.features,
          train_ids,
          {"": (b.features, test_ids)},
          protocol,
          among=among,
      )
      out |= {f"classes/{key}": value for key, value in found.items()}
    for name in args.breeds:
      found = usefulness.breeds_scores(
          (a.features, labels[0]),
          (b.features, labels[1]),
          breeds.make(name, breeds.Hierarchy(args.breeds_hierarchy)),
          protocol,
      )
      out |= {f"breeds/{name}/{key}": value for key, value in found.items()}
  return usefulness.summarise(*rows), {}


def _models(args, directory, of_baseline):
  """The model, and the baseline or None; both of the same images."""
  from alignet.errors import AlignetError

  model = _open(args, directory, args.transform)
  if not of_baseline:
    return model, None
  baseline = _open(args, of_baseline, args.baseline_transform)
  if model.filenames.tolist() != baseline.filenames.tolist():
    raise AlignetError(
        f"{of_baseline} and {directory} hold different images, or in another"
        " order; extract both from the same source"
    )
  return model, baseline


def _open(args, directory, transform):
  from alignet.evals import stored

  return stored.open_model(
      directory, transform=transform, kind=_kind(args, transform)
  )


def _kind(args, transform) -> str:
  return args.similarity or ("dot" if transform else "cosine")


def _choices(args, model):
  """Choices in the numbers of the model's concepts."""
  # pylint: disable=g-import-not-at-top
  from alignet.errors import AlignetError
  from alignet.human import readers

  if "concept" not in model.labels:
    raise AlignetError(
        "--things needs representations with the level concept; extract them"
        " with --concepts=concepts.tsv"
    )
  read = (
      readers.read_things_csv
      if args.things.removesuffix(".gz").endswith(".csv")
      else readers.read_triplets
  )
  return read(
      args.things,
      model.labels["concept"].names,
      names=args.concept_list,
      on_unknown="drop",
  )


def _extract(args) -> tuple[str, str | None]:
  """Representations of a model, made or found in --keep."""
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
  out = []
  for name, source in (("test", args.source), ("train", args.train_source)):
    if not source:
      out.append(None)
      continue
    out.append(str(pathlib.Path(args.keep, name)))
    extract.to_directory(
        image_sources.open(source, data_dir=args.data_dir),
        encoder,
        out[-1],
        concepts=args.concepts,
        overwrite=args.overwrite,
    )
  return out[0], out[1]


def _hashes(args) -> dict[str, str]:
  """sha256 of the files that the scores depend on, by names of sets."""
  # pylint: disable=g-import-not-at-top
  from alignet.human import trials as trials_lib
  from alignet.io import files

  given = {
      "transform": args.transform,
      "baseline_transform": args.baseline_transform,
      "things": args.things,
      "levels": args.levels,
      "mask": args.mask if isinstance(args.mask, str) else None,
  }
  for flag in ("rdm", "rdm_images"):
    for name, path in map(suite_checks.pair, getattr(args, flag)):
      given[f"{flag}/{name}"] = path
  for source, of_set, path in suite_checks.trials(args):
    for name, file in trials_lib.find(path, of_set).items():
      given[f"{source}/{name}"] = file
  return {name: files.sha256(path) for name, path in given.items() if path}
