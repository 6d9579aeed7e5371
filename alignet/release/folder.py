"""The folder of a release: files placed, tables written, sums taken."""

from collections.abc import Iterator, Mapping
import dataclasses
import os
import pathlib
import shutil
from typing import Any

from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import progress
from alignet.release import card as card_lib
from alignet.release import croissant
from alignet.release import tables as tables_lib
from alignet.release.manifest import MANIFEST
from alignet.release.verify.whole_release import SUMS
from alignet.representations import kmeans
from alignet.representations import store
from alignet.triplets import npz
import numpy as np

Path = pathlib.Path

_RAW = "untransformed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
  """What one network's layer gave.

  Attributes:
    representations: folder.
    clusters: clusters.npz, or None.
    transforms: name -> transform.npz.
    answers: sampling -> split ("train", "val") -> folder with an AligNet npz of
      each transform and control, `{name}.npz`.
  """

  representations: Path
  clusters: Path | None
  transforms: Mapping[str, Path]
  answers: Mapping[str, Mapping[str, Path]]


def write(
    folder: Path,
    card: card_lib.Card,
    sources: Mapping[str, Source],
    *,
    main: str,
    class_level: str,
    csv_rows: int | None = 10_000,
    images: image_sources.Source | None = None,
) -> None:
  """Writes all files of a release into a new folder.

  Outputs of stages become hard links where the disk allows; what came from
  outside is copied.

  Args:
    folder: to be made.
    card: what the releaser says.
    sources: `{backbone}-{layer}` -> what there is of it. With several, each has
      a folder of that name; with one, its files lie at the top.
    main: "{transform}/{sampling}" of `alignet_train.npz` and
      `alignet_valid.npz`; of the first source.
    class_level: level of the labels that class-based samplings used.
    csv_rows: rows of the main files that `records/` repeats; None for all.
    images: what the first source was extracted from: some of them are shown in
      gallery.png. None draws none.

  Raises:
    AlignetError: the main files are not among the answers; other images.
  """
  folder.mkdir()
  entries, about, tables = [], {}, []
  manifest = {"sources": {}}
  for name, source in sources.items():
    prefix = f"{name}/" if len(sources) > 1 else ""
    reps = store.open(source.representations)
    # Copies: whoever edits a release must not change what it was made of.
    for file in (store.FEATURES, store.FILENAMES, store.LABELS, store.META):
      target = folder / prefix / "representations" / file
      _copy(source.representations / file, target)
    if source.clusters:
      _place(source.clusters, folder / prefix / "clusters.npz")
    for key, path in source.transforms.items():
      _copy(path, folder / prefix / "transforms" / key / "transform.npz")
    tables.append(tables_lib.of_images(folder, prefix, reps, source.clusters))
    entries += _answers(folder, prefix, name, source, class_level)
    about[name] = _about(reps, source)
    manifest["sources"][name] = {
        "representations": f"{prefix}representations",
        "clusters": f"{prefix}clusters.npz" if source.clusters else None,
    }
  entries = _main(folder, entries, main) + entries
  if images is not None:
    _gallery(folder, images, sources, main, class_level)
  tables += [
      tables_lib.of_triplets(folder, entry, csv_rows)
      for entry in entries
      if entry["path"].startswith("alignet_")
  ]
  manifest |= {
      "card": dataclasses.asdict(card),
      "files": entries,
      "versions": files.versions(),
  }
  json_files.write(folder / MANIFEST, manifest)
  shown = [_shown(folder, entry) for entry in entries]
  pictures = images is not None
  _text(folder / "README.md", card_lib.readme(card, shown, about, pictures))
  _text(folder / "LICENSE.md", card_lib.licence(card, about, pictures))
  _text(folder / "CITATION.bib", card_lib.citation(card))
  sums = dict(_sums(folder))
  json_files.write(
      folder / "croissant.json", croissant.metadata(card, sums, tables)
  )
  sums["croissant.json"] = (0, files.sha256(folder / "croissant.json"))
  lines = [f"{digest}  {path}\n" for path, (_, digest) in sorted(sums.items())]
  _text(folder / SUMS, "".join(lines))


def publish(source: Path, target: files.Path, *, overwrite: bool) -> None:
  """A copy of a release folder at another place, whole or not at all."""
  with files.atomic_directory(target, overwrite=overwrite) as new:
    for file in sorted(source.rglob("*")):
      if file.is_file():
        _place(file, new / file.relative_to(source))


def _answers(folder, prefix, name, source, class_level):
  """Places the AligNet files; yields their entries of the manifest."""
  for sampling, splits in source.answers.items():
    for split, answered in splits.items():
      for file in sorted(answered.glob("*.npz")):
        transform = file.stem
        path = f"{prefix}{transform}/{split}_{sampling}.npz"
        _place(file, folder / path)
        entry = {
            "path": path,
            "source": name,
            "transform": transform,
            "split": split,
            "sampling": sampling,
            "level": class_level,
        }
        if transform in source.transforms:
          where = f"{prefix}transforms/{transform}/transform.npz"
          entry["transform_path"] = where
        yield entry


def _main(folder, entries, main) -> list[dict[str, Any]]:
  """alignet_train.npz and alignet_valid.npz."""
  transform, _, sampling = main.partition("/")
  found = []
  for split, name in (("train", "train"), ("val", "valid")):
    wanted = {"transform": transform, "sampling": sampling, "split": split}
    same = [e for e in entries if wanted.items() <= e.items()]
    if not same:
      raise AlignetError(
          f"the main set {main!r} has no {split} file; there are"
          f" {', '.join(sorted(e['path'] for e in entries))}"
      )
    path = f"alignet_{name}.npz"
    _place(folder / same[0]["path"], folder / path)
    found.append(same[0] | {"path": path})
  return found


def _gallery(folder, images, sources, main, class_level) -> None:
  """Draws training triplets of each sampling of the first source."""
  from alignet.release import gallery  # pylint: disable=g-import-not-at-top

  source = next(iter(sources.values()))
  transform, _, first = main.partition("/")
  answers = {}
  for sampling in sorted(source.answers, key=lambda name: name != first):
    answered = source.answers[sampling]["train"]
    by = {name: answered / f"{name}.npz" for name in (transform, _RAW)}
    answers[sampling] = {k: path for k, path in by.items() if path.exists()}
  gallery.write(
      folder / "gallery.png",
      images,
      store.open(source.representations),
      answers,
      level=class_level,
  )


def _shown(folder, entry) -> dict[str, Any]:
  """An entry's line in the card."""
  opened = npz.open(folder / entry["path"])
  return {
      "path": entry["path"],
      "rows": len(opened),
      "entropy": float(opened.meta.get("mean_entropy", np.nan)),
      "bytes": (folder / entry["path"]).stat().st_size,
  }


def _about(reps, source) -> dict[str, Any]:
  n, d = reps.features.shape
  clusters = None
  if source.clusters:
    clusters = len(kmeans.load(source.clusters).centroids)
  splits = next(iter(source.answers.values()), {})
  answered = sorted(next(iter(splits.values())).glob("*.npz")) if splits else []
  meta = npz.open(answered[0]).meta if answered else {}
  sampled = meta.get("triplets", {})
  return {
      "model": reps.meta.get("model", "a network not named"),
      "layer": reps.meta.get("layer", "not named"),
      "images": n,
      "dimensions": d,
      "excluded": sampled.get("n_images_excluded", 0),
      "law": sampled.get("law", "not recorded"),
      "store": meta.get("store", "not recorded"),
      "clusters": clusters,
      "transforms": sorted(source.transforms),
  }


def _sums(folder: Path) -> Iterator[tuple[str, tuple[int, str]]]:
  paths = sorted(path for path in folder.rglob("*") if path.is_file())
  for path in progress.bar(paths, desc="sha256", unit="file"):
    inside = path.relative_to(folder).as_posix()
    yield inside, (path.stat().st_size, files.sha256(path))


def _place(source: Path, target: Path) -> None:
  """A hard link, or a copy where there can be none."""
  target.parent.mkdir(parents=True, exist_ok=True)
  try:
    os.link(source, target)
  except OSError:
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
  target.parent.mkdir(parents=True, exist_ok=True)
  with files.atomic_write(target) as f, open(source, "rb") as original:
    shutil.copyfileobj(original, f, 2**22)


def _text(path: Path, text: str) -> None:
  with files.atomic_write(path) as f:
    f.write(text.encode())
