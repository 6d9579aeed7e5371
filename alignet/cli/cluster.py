"""Cluster representations by k-means; with several k, compare them.

Examples:
  alignet cluster --representations=representations --k=500 --out=clusters.npz
  alignet cluster --representations=representations --k=4,8,16 --out=clusters
"""

import argparse

from alignet.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet cluster`."""
  parser.add_argument(
      "--representations", required=True, metavar="DIR", help="of the images"
  )
  parser.add_argument(
      "--k",
      required=True,
      type=flags.count_list,
      metavar="K[,K…]",
      help="number of clusters, or several to compare",
  )
  flags.add_seed(parser)
  parser.add_argument(
      "--transform",
      help="transform.npz: cluster what it makes of the representations",
  )
  parser.add_argument(
      "--spherical", action="store_true", help="cluster by cosine"
  )
  parser.add_argument(
      "--iterations",
      type=flags.count,
      default=25,
      help="of a run" + flags.DEFAULT,
  )
  parser.add_argument(
      "--restarts",
      type=flags.count,
      default=1,
      help="runs, of which the best is kept" + flags.DEFAULT,
  )
  parser.add_argument(
      "--points_per_centroid",
      type=flags.count,
      default=256,
      help="fit to at most k times as many images" + flags.DEFAULT,
  )
  flags.add_trust(parser, rows=False)
  flags.add_output(
      parser,
      "clusters.npz|DIR",
      "one k: the file. Several: a folder with clusters_K.npz for each,"
      " curve.json and curve.png, elbow and silhouette over k",
  )


def run(args: argparse.Namespace) -> None:
  """Clusters, writes, and lists the clusters that are too small."""
  # pylint: disable=g-import-not-at-top
  import functools

  from alignet import transforms
  from alignet.io import files
  from alignet.io import json_files
  from alignet.report import figures
  from alignet.report import style
  from alignet.representations import kmeans
  from alignet.representations import store

  files.check_output(args.out, overwrite=args.overwrite)
  reps = store.open(args.representations)
  trust = flags.trust(args)
  transform = transforms.load_for(
      args.transform, reps.path, reps.columns, trust
  )
  inputs = {"features": reps.meta["sha256"][store.FEATURES]}
  if args.transform:
    inputs["transform"] = files.sha256(args.transform)
  fit = functools.partial(
      kmeans.fit,
      reps.features,
      seed=args.seed,
      transform=transform,
      spherical=args.spherical,
      iterations=args.iterations,
      restarts=args.restarts,
      points_per_centroid=args.points_per_centroid,
      meta={
          "inputs_sha256": inputs,
          "rows": reps.rows,
          "trusted": trust.meta(),
      },
  )
  if len(args.k) == 1:
    found = fit(args.k[0])
    kmeans.save(args.out, found, overwrite=args.overwrite)
    if not args.quiet:
      print(f"{args.out}: {_summary(found)}")
    return
  with files.atomic_directory(args.out, overwrite=args.overwrite) as folder:
    curve = {}
    for k in args.k:
      found = fit(k)
      kmeans.save(folder / f"clusters_{k}.npz", found)
      curve[k] = {
          "inertia": found.inertia,
          "silhouette": kmeans.silhouette(
              reps.features,
              found,
              transform=transform,
              spherical=args.spherical,
              seed=args.seed,
          ),
      }
      if not args.quiet:
        print(f"{_summary(found)}, silhouette {curve[k]['silhouette']:.3f}")
    json_files.write(folder / "curve.json", curve)
    with files.atomic_write(folder / "curve.png") as f:
      f.write(style.png(figures.cluster_curve(curve)))
  if not args.quiet:
    print(f"{args.out}: clusters_K.npz, curve.json, curve.png")


def _summary(found) -> str:
  sizes = found.meta["sizes"]
  text = (
      f"{found.meta['k']} clusters of {sizes['min']} to {sizes['max']} images"
      f" (median {sizes['median']:g}), inertia {found.inertia:.6g}"
  )
  if small := found.meta["small_clusters"]:
    shown = ", ".join([*small][:10]) + ", …" * (len(small) > 10)
    text += (
        f", {len(small)} of fewer than two: {shown} (sampling leaves them out)"
    )
  return text
