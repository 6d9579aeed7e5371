r"""Sample triplets of images by their labels or clusters.

Examples:
  alignet sample --clusters=clusters.npz --strategy=cluster_border_500 \
      --n=10M --out=triplets.npz
  alignet sample --representations=representations --level=basic \
      --strategy=between_class --n=1000 --seed=1 --out=basic.npz
"""

import argparse

from alignet.cli import flags
from alignet.cli import labels as label_flags
from alignet.errors import AlignetError


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet sample`."""
  label_flags.add_arguments(parser)
  label_flags.add_strategy(parser, required=True)
  parser.add_argument(
      "--n", type=flags.count, required=True, help="how many triplets"
  )
  flags.add_seed(parser)
  parser.add_argument(
      "--law",
      default="groups",
      choices=("groups", "images"),
      help="what is uniform: groups, then images in them (default); or images",
  )
  parser.add_argument(
      "--exclude", metavar="E.npy", help="numbers of images to leave out"
  )
  parser.add_argument(
      "--exclude_classes",
      metavar="C.npy",
      help=(
          "numbers of classes whose images to leave out, at --exclude_level of"
          " --representations"
      ),
  )
  parser.add_argument(
      "--exclude_level", help="level of --exclude_classes, such as basic"
  )
  parser.add_argument(
      "--distinct",
      action="store_true",
      help="no two rows of the same three images",
  )
  parser.add_argument(
      "--disjoint_from",
      metavar="OTHER.npz",
      nargs="+",
      default=(),
      help="triplets to leave out, such as those of another split",
  )
  flags.add_trust(parser, columns=False)
  flags.add_output(parser, "triplets.npz")


def run(args: argparse.Namespace) -> None:
  """Samples, writes, and says what was left out."""
  from alignet.io import files
  from alignet.triplets import sampling

  files.check_output(args.out, overwrite=args.overwrite)
  strategy = sampling.find(args.strategy)
  labels, inputs, rows = _labels(args, strategy)
  exclude = _exclude(args, inputs)
  meta = sampling.write(
      args.out,
      labels,
      args.strategy,
      args.n,
      seed=args.seed,
      law=args.law,
      exclude=exclude,
      distinct=args.distinct,
      disjoint_from=args.disjoint_from,
      rows=rows,
      trust=flags.trust(args),
      meta={"inputs_sha256": inputs},
      overwrite=args.overwrite,
  )
  if args.quiet:
    return
  print(
      f"{args.out}: {meta['n']} triplets, {args.strategy}, of"
      f" {meta['n_images_used']} images in {meta['n_groups_used']} groups"
  )
  if meta["groups_dropped"]:
    print(
        f"left out: {meta['n_groups_dropped']} groups of fewer than"
        f" {meta['min_images_a_group']} images:"
        f" {', '.join(map(str, meta['groups_dropped']))}"
    )


def _exclude(args, inputs):
  """Numbers of images to leave out, None for none; adds hashes to `inputs`."""
  from alignet.io import files
  import numpy as np

  if bool(args.exclude_classes) != bool(args.exclude_level):
    raise AlignetError(
        "--exclude_classes=C.npy and --exclude_level=LEVEL go together; pass"
        " both, with --representations=DIR"
    )
  exclude = []
  for path, of in (
      (args.exclude, "the labels"),
      (args.exclude_classes, f"level {args.exclude_level}"),
  ):
    if path:
      flags.trust(args).check_rows(path, None, of, None)
  if args.exclude:
    exclude.append(
        files.load_npy(args.exclude, what="image numbers", shape=(None,))
    )
    inputs["exclude"] = files.sha256(args.exclude)
  if args.exclude_classes:
    ids = label_flags.level_ids(args, args.exclude_level, "--exclude_level")
    classes = files.load_npy(
        args.exclude_classes, what="class numbers", shape=(None,), kinds="iu"
    )
    exclude.append(np.flatnonzero(np.isin(ids, classes)))
    inputs["exclude_classes"] = files.sha256(args.exclude_classes)
  return np.concatenate(exclude) if exclude else None


def _labels(args, strategy):
  """Labels that fit the strategy, and the hash of their file."""
  import numpy as np

  if strategy.labels == "cluster" and args.level:
    raise AlignetError(
        f"--strategy={strategy.name} samples by clusters; pass"
        " --clusters=clusters.npz instead of --level"
    )
  if strategy.labels == "class" and args.clusters:
    raise AlignetError(
        f"--strategy={strategy.name} samples by classes; with --clusters use"
        " --strategy=cluster_border_K"
    )
  labels, inputs, rows = label_flags.load(args)
  if labels is None and args.representations and strategy.rule.law == "images":
    from alignet.representations import store

    rows = store.open(args.representations).rows
    labels = np.zeros(rows["n"], np.int32)
  if labels is None:
    raise AlignetError(
        "pass the labels: --labels=L.npy, --clusters=clusters.npz, or"
        " --representations=DIR with --level"
    )
  if strategy.clusters is not None and args.clusters:
    from alignet.io import files

    arrays = files.load_npz(args.clusters, required=("centroids",), optional=())
    centroids = files.check_array(
        arrays["centroids"],
        f"centroids in {args.clusters}",
        shape=(None, None),
    )
    if len(centroids) != strategy.clusters:
      raise AlignetError(
          f"--strategy={strategy.name} promises {strategy.clusters} clusters;"
          f" {args.clusters} has {len(centroids)}"
      )
  return labels, inputs, rows
