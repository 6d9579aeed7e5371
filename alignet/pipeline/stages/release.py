"""Stages of a release: triplets, answers of several teachers, the folder."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from alignet.data import image_sources as image_sources
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.pipeline.runner import stage
from alignet.release import card as card_lib
from alignet.release import folder as folder_lib
from alignet.release import verify
from alignet.triplets import sampling
import numpy as np

Path = pathlib.Path

FOLDER = "release"
"""Where in the last stage's output the release lies."""


def _excluded(params: Mapping[str, Any]) -> list[str]:
  """Files that the sampling's parameters name."""
  excluded = [params["exclude_images"]] if params.get("exclude_images") else []
  return excluded + sampling.own_files(params["strategy"])


@stage(version=1, reads=_excluded)
def sample(
    out: Path,
    *,
    representations: Path,
    clusters: Path,
    strategy: str,
    level: str,
    n: int,
    seed: int,
    law: str = "groups",
    exclude_images: str = "",
    exclude_classes: Sequence[str] = (),
    disjoint_from: Path | None = None,
    rows: str = "",
) -> None:
  """Distinct triplets by clusters or by the classes of a level.

  Writes triplets.npz. With `disjoint_from`, none of that file's triplets.
  Left out are the images whose numbers are in the npy file `exclude_images`,
  and those of the level's classes named in `exclude_classes`.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store

  by_cluster = sampling.find(strategy).labels == "cluster"
  reps, trust = store.open(representations), identities.Trust(rows=rows)
  classes = None
  if not by_cluster or exclude_classes:
    levels = reps.labels
    if level not in levels:
      raise AlignetError(
          f"sampling {strategy} needs labels of level {level!r}; the"
          f" representations have {', '.join(sorted(levels)) or 'none'}; pass"
          " --cfg.class_level=…"
      )
    classes = levels[level]
  exclude = []
  if exclude_images:
    trust.check_rows(exclude_images, None, reps.path, reps.rows)
    exclude.append(
        files.load_npy(exclude_images, what="image numbers", shape=(None,))
    )
  if exclude_classes:
    unknown = set(exclude_classes) - set(classes.names.tolist())
    if unknown:
      raise AlignetError(
          f"exclude.classes: {min(unknown)!r} is no class of level {level}"
      )
    numbers = np.flatnonzero(np.isin(classes.names, exclude_classes))
    exclude.append(np.flatnonzero(np.isin(classes.ids, numbers)))
  labels = kmeans.load_for(clusters, reps) if by_cluster else classes.ids
  sampling.write(
      out / "triplets.npz",
      labels,
      strategy,
      n,
      seed=seed,
      law=law,
      exclude=np.concatenate(exclude) if exclude else None,
      distinct=True,
      disjoint_from=[disjoint_from] if disjoint_from else [],
      rows=reps.rows,
  )


@stage(version=1, resumable=True)
def answer(
    out: Path,
    *,
    representations: Path,
    triplets: Path,
    transforms: Mapping[str, Path],
    matched: str,
    clusters: Path | None = None,
    store: str = "float32",
    columns: str = "",
) -> None:
  """Answers of all transforms and of both controls, in one pass.

  Writes {transform}.npz, untransformed.npz and untransformed-matched.npz, the
  last with the mean entropy of the transform named `matched`.
  """
  from response_generation import respond  # pylint: disable=g-import-not-at-top

  if matched not in transforms:
    raise AlignetError(
        f"matched: expected one of the transforms {', '.join(transforms)},"
        f" found {matched!r}"
    )
  responses = [
      respond.Response(out=out / f"{name}.npz", transform=path)
      for name, path in transforms.items()
  ]
  responses += [
      respond.Response(out=out / "untransformed.npz"),
      respond.Response(
          out=out / "untransformed-matched.npz",
          temperature_from=out / f"{matched}.npz",
      ),
  ]
  done = all(Path(r.out).exists() for r in responses)
  if done and not list(out.glob("*.shards")):
    return  # Killed between the last file and the end of the stage.
  respond.respond_all(
      representations=representations,
      triplets=triplets,
      responses=responses,
      clusters=clusters,
      store=store,
      trust=identities.Trust(columns=columns),
  )


@stage(version=2)
def assemble(
    out: Path,
    *,
    representations: Mapping[str, Path],
    clusters: Mapping[str, Path],
    transforms: Mapping[str, Mapping[str, Path]],
    answers: Mapping[str, Mapping[str, Mapping[str, Path]]],
    card: Mapping[str, Any],
    main: str,
    class_level: str,
    csv_rows: int | None,
    gallery: Mapping[str, str] | None = None,
) -> None:
  """The release's folder, verified; writes release/ and verify.json.

  The mappings are by source, `{backbone}-{layer}`; `answers` then by sampling
  and split. `gallery`: `images`, a source as `alignet extract` takes it, and
  `data_dir`, where TFDS keeps its datasets; "" for none and for its default.
  """
  images = None
  if gallery and gallery["images"]:
    images = image_sources.open(
        gallery["images"], data_dir=gallery["data_dir"] or None
    )
  sources = {
      name: folder_lib.Source(
          representations=representations[name],
          clusters=clusters.get(name),
          transforms=transforms[name],
          answers=answers[name],
      )
      for name in representations
  }
  target = out / FOLDER
  folder_lib.write(
      target,
      card_lib.check(card),
      sources,
      main=main,
      class_level=class_level,
      csv_rows=csv_rows,
      images=images,
  )
  found = verify.verify_release(target)
  json_files.write(out / "verify.json", found.to_json() | {"path": FOLDER})
  if not found.ok:
    checks = [*found.checks, *(c for f in found.files for c in f.checks)]
    failed = [check.message for check in checks if check.status == "fail"]
    raise AlignetError(f"the release is not in order: {failed[0]}")
