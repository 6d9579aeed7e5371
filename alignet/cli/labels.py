"""Flags that say which labels make the groups of a sampling strategy."""

import argparse
from typing import Any

from alignet.cli import flags
from alignet.errors import AlignetError


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds --labels, --clusters, --representations, --level."""
  parser.add_argument(
      "--labels", metavar="L.npy", help="(n,) integers, the group of each image"
  )
  parser.add_argument(
      "--clusters", metavar="clusters.npz", help="k-means clusters as groups"
  )
  parser.add_argument(
      "--representations",
      metavar="DIR",
      help="representations with labels; --level says which",
  )
  parser.add_argument(
      "--level", help="level of the labels in DIR, such as basic"
  )


def add_strategy(
    parser: argparse.ArgumentParser, use: str = "", *, required: bool = False
) -> None:
  """Adds --strategy, with what there is."""
  from alignet.triplets import sampling

  rules = (f"{rule.name} ({rule.says})" for rule in sampling.RULES.values())
  papers = (name for name in sampling.NAMES if name not in sampling.RULES)
  parser.add_argument(
      "--strategy",
      required=required,
      help=(
          f"{use}{', '.join(papers)} (K the number of clusters);"
          f" {', '.join(rules)}; or a rule of your own, FILE.py:NAME"
      ),
  )


def load(args: argparse.Namespace) -> tuple[Any, dict[str, str], Any]:
  """The labels that the flags name, None where they name none.

  Args:
    args: parsed flags.

  Returns:
    (n,) integers or None; sha256 of the file they come from by flag; the
    identity of their rows, None where nothing says it.

  Raises:
    AlignetError: more than one source, a level that is not there, a file that
      cannot be read.
  """
  from alignet.io import files

  level = args.representations if args.level else None
  given = [x for x in (args.labels, args.clusters, level) if x]
  if args.level and not args.representations:
    raise AlignetError("--level names labels of --representations=DIR; add it")
  if len(given) > 1:
    raise AlignetError(
        "expected one of --labels, --clusters, and --representations with"
        f" --level; found {len(given)} of them"
    )
  if args.labels:
    labels = files.load_npy(
        args.labels, what="labels", shape=(None,), kinds="iu"
    )
    rows = _check_rows(args, None, args.labels)
    return labels, {"labels": files.sha256(args.labels)}, rows
  if args.clusters:
    from alignet.representations import kmeans

    labels, rows = kmeans.load_assignments(args.clusters)
    rows = _check_rows(args, rows, args.clusters)
    return labels, {"clusters": files.sha256(args.clusters)}, rows
  if level:
    import pathlib

    path = pathlib.Path(args.representations) / "labels.npz"
    labels = level_ids(args, args.level, "--level")
    return labels, {"labels": files.sha256(path)}, _rows(args)
  return None, {}, None


def _check_rows(args, rows, what) -> Any:
  """The identity of labels' rows, compared with --representations if given."""
  if not args.representations:
    return rows
  named = _rows(args)
  flags.trust(args).check_rows(what, rows, args.representations, named)
  return named


def _rows(args: argparse.Namespace) -> Any:
  from alignet.representations import store

  return store.open(args.representations).rows


def level_ids(args: argparse.Namespace, level: str, flag: str) -> Any:
  """(n,) int32, each image's label at a level of --representations.

  Raises:
    AlignetError: no representations, or none of that level.
  """
  from alignet.representations import store

  if not args.representations:
    raise AlignetError(f"{flag} names labels of --representations=DIR; add it")
  levels = store.open(args.representations).labels
  if level not in levels:
    raise AlignetError(
        f"{flag}={level}: {args.representations} has the levels"
        f" {', '.join(sorted(levels)) or 'none'}"
    )
  return levels[level].ids
