"""The folder of a release: files placed, tables written, sums taken."""

from collections.abc import Iterator, Mapping
import csv
import dataclasses
import io
import os
import pathlib
import shutil
from typing import Any

from alignet import files
from alignet import progress
from alignet import triplet_io
from alignet.errors import AlignetError
from alignet.release import card as card_lib
from alignet.release import croissant
from alignet.representations import kmeans
from alignet.representations import store
from alignet.triplet_verify.manifest import MANIFEST
from alignet.triplet_verify.release import SUMS
import numpy as np

Path = pathlib.Path

_ROWS = 65536
_TRIPLET_COLUMNS = {
    **{f"filename{i}": "s" for i in range(3)},
    **{f"s{pair}": "f" for pair in ("01", "02", "12")},
    **{f"index{i}": "i" for i in range(3)},
}


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

  Raises:
    AlignetError: the main files are not among the answers.
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
    tables.append(_images(folder, prefix, reps, source.clusters))
    entries += _answers(folder, prefix, name, source, class_level)
    about[name] = _about(reps, source)
    manifest["sources"][name] = {
        "representations": f"{prefix}representations",
        "clusters": f"{prefix}clusters.npz" if source.clusters else None,
    }
  entries = _main(folder, entries, main) + entries
  tables += [
      _records(folder, entry, csv_rows)
      for entry in entries
      if entry["path"].startswith("alignet_")
  ]
  manifest |= {
      "card": dataclasses.asdict(card),
      "files": entries,
      "versions": files.versions(),
  }
  files.write_json(folder / MANIFEST, manifest)
  shown = [_shown(folder, entry) for entry in entries]
  _text(folder / "README.md", card_lib.readme(card, shown, about))
  _text(folder / "LICENSE.md", card_lib.licence(card, about))
  _text(folder / "CITATION.bib", card_lib.citation(card))
  sums = dict(_sums(folder))
  files.write_json(
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


def _images(folder, prefix, reps, clusters) -> dict[str, Any]:
  """images.csv: number, file name and cluster of each image."""
  columns = {"index": "i", "filename": "s"}
  assignments = None
  if clusters:
    assignments = kmeans.load(clusters).assignments
    columns["cluster"] = "i"
  path = f"{prefix}images.csv"

  def rows() -> Iterator[list[Any]]:
    for index, filename in enumerate(reps.filenames):
      row = [index, filename]
      yield row if assignments is None else [*row, assignments[index]]

  _csv(folder / path, columns, rows())
  return {
      "name": f"{prefix}images".replace("/", "_"),
      "path": path,
      "about": "number, file name and cluster of each image",
      "columns": columns,
  }


def _records(folder, entry, limit) -> dict[str, Any]:
  """The first rows of a main file as CSV."""
  opened = triplet_io.open(folder / entry["path"])
  n = len(opened) if limit is None else min(limit, len(opened))
  name = entry["path"].removeprefix("alignet_").removesuffix(".npz")
  path = f"records/{name}.csv"

  def rows() -> Iterator[list[Any]]:
    start = 0
    for names in opened.filename_blocks(_ROWS):
      for i in range(start, min(start + len(names), n)):
        # repr of a float32's shortest text: it reads back the same.
        s = (str(x) for x in opened.similarities[i])
        yield [*names[i - start], *s, *opened.indices[i]]
      start += len(names)
      if start >= n:
        return

  _csv(
      folder / path, _TRIPLET_COLUMNS, progress.bar(rows(), desc=path, total=n)
  )
  return {
      "name": name,
      "path": path,
      "about": f"the first {n} of {len(opened)} rows of {entry['path']}",
      "columns": _TRIPLET_COLUMNS,
  }


def _csv(path: Path, columns, rows) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.atomic_write(path) as f:
    text = io.TextIOWrapper(f, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    text.detach()


def _shown(folder, entry) -> dict[str, Any]:
  """An entry's line in the card."""
  opened = triplet_io.open(folder / entry["path"])
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
  return {
      "model": reps.meta.get("model", "a network not named"),
      "layer": reps.meta.get("layer", "not named"),
      "images": n,
      "dimensions": d,
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
