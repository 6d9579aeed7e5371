"""What the arguments of an evaluation alone tell, before hours of work."""

import argparse
import pathlib

from alignet.errors import AlignetError

_PATHS = (
    *("representations", "train_representations", "transform"),
    *("baseline", "baseline_train", "baseline_transform"),
    *("things", "concept_list", "levels", "breeds_hierarchy"),
)


def check(args: argparse.Namespace) -> None:
  """Fails where a score that was asked for cannot be given.

  Raises:
    AlignetError: nothing is asked for, something is missing beside it, a name
      is unknown or there twice, a path does not exist.
  """
  if not (
      args.trials
      or args.things
      or args.levels
      or args.rdm
      or args.hierarchy
      or args.tasks
      or args.breeds
  ):
    raise AlignetError(
        "nothing to evaluate: pass --trials, --things, --levels, --rdm,"
        " --hierarchy, --tasks or --breeds"
    )
  if args.things and not args.concept_list:
    raise AlignetError(
        "--things needs --concept_list=concepts.tsv: what its numbers mean"
    )
  if args.resamples < 0 or args.resamples == 1:
    raise AlignetError(
        "--resamples: expected 0 for no intervals, or 2 or more, found"
        f" {args.resamples}"
    )
  given = [(name, getattr(args, name, None)) for name in _PATHS]
  given += [("mask", args.mask if isinstance(args.mask, str) else None)]
  for flag in ("trials", "rdm", "rdm_images"):
    given += [(flag, pair(text)[1]) for text in getattr(args, flag)]
  for flag, path in given:
    if path and not pathlib.Path(path).exists():
      raise AlignetError(f"--{flag}: {path} does not exist")
  _check_rdms(args)
  if args.hierarchy:
    from alignet.evals import hierarchy  # pylint: disable=g-import-not-at-top

    hierarchy.check_levels(levels(args))
  _check_classes(args)
  _check_names(args)


def pair(text: str) -> tuple[str, str]:
  """Name and path of NAME=PATH."""
  name, equals, path = text.partition("=")
  if not name or not path or not equals:
    raise AlignetError(f"expected NAME=PATH, found {text!r}")
  return name, path


def trials(args: argparse.Namespace) -> list[tuple[str, str, str]]:
  """Source, name of the set ("" for that of the file) and path of each."""
  out = []
  for name, path in map(pair, args.trials):
    source, _, of_set = name.partition("/")
    out.append((source, of_set, path))
  return out


def levels(args: argparse.Namespace) -> tuple[str, ...]:
  """Names of --hierarchy, from fine to coarse."""
  return tuple(args.hierarchy.split(","))


def tasks(args: argparse.Namespace) -> tuple[str, ...]:
  """Names of --tasks; k-NN for BREEDS where none are said."""
  return tuple(filter(None, args.tasks.split(","))) or ("knn",)


def _check_rdms(args) -> None:
  from alignet.human import similarity_sets  # pylint: disable=g-import-not-at-top

  sets, names = (
      dict(map(pair, texts)) for texts in (args.rdm, args.rdm_images)
  )
  for flag, given in (
      ("--rdm_images: expected NAME=FILE with", names),
      ("--rdm_similarities: expected", args.rdm_similarities),
  ):
    for name in given:
      if name not in sets:
        raise AlignetError(f"{flag} the name of an --rdm, found {name}")
  for name, path in map(pair, args.rdm):
    similarity_sets.check_name(name, similarities=name in args.rdm_similarities)
    if name not in names:
      similarity_sets.check_order(name, path)


def _check_classes(args) -> None:
  """Training images, tasks and the hierarchy."""
  # pylint: disable=g-import-not-at-top
  if not (args.tasks or args.breeds):
    return
  from alignet.data import breeds
  from alignet.evals import usefulness

  flag = (
      "train_source"
      if args.evaluation == "student"
      else "train_representations"
  )
  if not getattr(args, flag) or (args.baseline and not args.baseline_train):
    raise AlignetError(
        f"--tasks and --breeds need training images: pass --{flag}, and"
        " --baseline_train with --baseline"
    )
  if args.breeds and not args.breeds_hierarchy:
    raise AlignetError(
        "--breeds needs --breeds_hierarchy=DIR; get it with `alignet fetch"
        " breeds --out=DIR`"
    )
  usefulness.Protocol(tasks=tasks(args))
  if args.breeds:
    hierarchy = breeds.Hierarchy(args.breeds_hierarchy)
    for name in args.breeds:
      breeds.make(name, hierarchy)


def _check_names(args) -> None:
  """Scores of two sets of one name would be one."""
  # pylint: disable=g-import-not-at-top
  from alignet.evals import stored
  from alignet.human import trials as trials_lib

  names = [f"breeds/{name}" for name in args.breeds]
  names += [f"human/{name}" for name, _ in map(pair, args.rdm)]
  names += [
      f"human/{name}" for name in ("things", "levels") if vars(args)[name]
  ]
  for source, of_set, path in trials(args):
    stored.check_source(source)
    names += [f"{source}/{name}" for name in trials_lib.find(path, of_set)]
  repeated = [name for i, name in enumerate(names) if name in names[:i]]
  if repeated:
    raise AlignetError(
        f"two sets are called {repeated[0]}; name them apart, such as"
        " --trials=SOURCE/SET=PATH"
    )
