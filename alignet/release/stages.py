"""Stages of a release: triplets, answers of several teachers, the folder."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet import files
from alignet import sampling
from alignet import triplet_verify
from alignet.errors import AlignetError
from alignet.pipeline.runner import stage
from alignet.release import card as card_lib
from alignet.release import folder as folder_lib

Path = pathlib.Path

FOLDER = "release"
"""Where in the last stage's output the release lies."""


@stage(version=1)
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
    disjoint_from: Path | None = None,
) -> None:
  """Distinct triplets by clusters or by the classes of a level.

  Writes triplets.npz. With `disjoint_from`, none of that file's triplets.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.representations import kmeans
  from alignet.representations import store

  if sampling.parse(strategy).labels == "cluster":
    labels = kmeans.load(clusters).assignments
  else:
    levels = store.open(representations).labels
    if level not in levels:
      raise AlignetError(
          f"sampling {strategy} needs labels of level {level!r}; the"
          f" representations have {', '.join(sorted(levels)) or 'none'}; pass"
          " --cfg.class_level=…"
      )
    labels = levels[level].ids
  sampling.write(
      out / "triplets.npz",
      labels,
      strategy,
      n,
      seed=seed,
      law=law,
      distinct=True,
      disjoint_from=[disjoint_from] if disjoint_from else [],
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
  )


@stage(version=1)
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
) -> None:
  """The release's folder, verified; writes release/ and verify.json.

  The mappings are by source, `{backbone}-{layer}`; `answers` then by sampling
  and split.
  """
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
  )
  found = triplet_verify.verify_release(target)
  files.write_json(out / "verify.json", found.to_json() | {"path": FOLDER})
  if not found.ok:
    checks = [*found.checks, *(c for f in found.files for c in f.checks)]
    failed = [check.message for check in checks if check.status == "fail"]
    raise AlignetError(f"the release is not in order: {failed[0]}")
