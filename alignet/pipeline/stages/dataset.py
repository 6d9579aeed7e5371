"""The dataset: clusters, triplets, responses."""

import pathlib

from alignet import transforms
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.pipeline.runner import stage
from alignet.release import verify
from alignet.triplets import sampling
import numpy as np

Path = pathlib.Path


@stage(version=1)
def cluster(
    out: Path,
    *,
    representations: Path,
    k: int,
    seed: int,
    transform: Path | None = None,
    columns: str = "",
) -> None:
  """k-means of raw or transformed representations; writes clusters.npz."""
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib

  reps = store_lib.open(representations)
  trust = identities.Trust(columns=columns)
  clusters = kmeans.fit(
      reps.features,
      k,
      seed=seed,
      transform=transforms.load_for(transform, reps.path, reps.columns, trust),
      meta={"rows": reps.rows, "trusted": trust.meta()},
  )
  kmeans.save(out / "clusters.npz", clusters)


@stage(version=1, reads=lambda params: sampling.own_files(params["strategy"]))
def sample(
    out: Path,
    *,
    strategy: str,
    n: int,
    seed: int,
    clusters: Path | None = None,
    law: str = "groups",
    representations: Path | None = None,
    group_level: str = "",
    held_out: Path | None = None,
    level: str = "concept",
) -> None:
  """Triplets of images by a rule over groups; writes triplets.npz.

  Groups are the clusters, or the labels of the representations at
  `group_level`. With `held_out` (classes,) bool, images whose class at `level`
  is held out are in no triplet.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib

  if clusters is not None:
    labels, rows = kmeans.load_assignments(clusters)
  else:
    reps = store_lib.open(representations)
    labels, rows = reps.labels[group_level].ids, reps.rows
  exclude = None
  if held_out is not None:
    hidden = files.load_npy(held_out, what="held-out classes", shape=(None,))
    ids = store_lib.open(representations).labels[level].ids
    exclude = np.flatnonzero((ids >= 0) & hidden[np.maximum(ids, 0)])
  sampling.write(
      out / "triplets.npz",
      labels,
      strategy,
      n,
      seed=seed,
      law=law,
      exclude=exclude,
      rows=rows,
  )


@stage(version=2, resumable=True)
def respond(
    out: Path,
    *,
    representations: Path,
    triplets: Path,
    transform: Path | None = None,
    temperature_from: Path | None = None,
    clusters: Path | None = None,
    columns: str = "",
) -> None:
  """Responses to triplets, verified; writes alignet.npz and verify.json."""
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib
  from response_generation import respond as respond_lib

  path = out / "alignet.npz"
  respond_lib.respond(
      representations=representations,
      triplets=triplets,
      out=path,
      transform=transform,
      temperature_from=temperature_from,
      overwrite=path.exists(),
      trust=identities.Trust(columns=columns),
  )
  reps = store_lib.open(representations)
  _, meta = sampling.read(triplets)
  verification = verify.verify(
      path,
      image_filenames=reps.filenames,
      labels=kmeans.load_for(clusters, reps) if clusters else None,
      rule=sampling.RULES.get(meta["rule"]) if clusters else None,
      features=reps.features if transform else None,
      transform=transforms.load(transform) if transform else None,
  )
  outcome = verification.to_json() | {"path": path.name}
  json_files.write(out / "verify.json", outcome, overwrite=True)
  failed = [c.message for c in verification.checks if c.status == "fail"]
  if failed:
    raise AlignetError(f"the responses are not in order: {failed[0]}")


@stage(version=1)
def dataset_report(
    out: Path,
    *,
    images: Path,
    representations: Path,
    clusters: Path,
    aligned: Path,
    untransformed: Path,
    transform: Path,
    title: str,
    seed: int,
    note: str = "",
) -> None:
  """Counts and pictures of the answers for a folder of images: report.html."""
  # pylint: disable=g-import-not-at-top
  from alignet.pipeline import summary
  from alignet.report import dataset

  found = summary.dataset(
      images=images,
      representations=representations,
      clusters=clusters,
      responses={"aligned": aligned, "untransformed": untransformed},
      transform=transform,
      title=title,
      note=note,
      seed=seed,
  )
  dataset.write(out / "report.html", found)
