"""CSV tables of a release, for readers that know no npz."""

from collections.abc import Iterator, Mapping
import csv
import io
import pathlib
from typing import Any

from alignet.io import files
from alignet.io import progress
from alignet.representations import kmeans
from alignet.representations import store
from alignet.triplets import npz

_ROWS = 65536
_TRIPLET_COLUMNS = {
    **{f"filename{i}": "s" for i in range(3)},
    **{f"s{pair}": "f" for pair in ("01", "02", "12")},
    **{f"index{i}": "i" for i in range(3)},
}


def of_images(
    folder: pathlib.Path,
    prefix: str,
    representations: store.Representations,
    clusters: pathlib.Path | None,
) -> dict[str, Any]:
  """Writes {prefix}images.csv: number, file name and cluster of each image.

  Returns:
    What `croissant.metadata` says of it: name, path, about, columns.
  """
  columns = {"index": "i", "filename": "s"}
  assignments = None
  if clusters:
    assignments = kmeans.load(clusters).assignments
    columns["cluster"] = "i"
  path = f"{prefix}images.csv"

  def rows() -> Iterator[list[Any]]:
    for index, filename in enumerate(representations.filenames):
      row = [index, filename]
      yield row if assignments is None else [*row, assignments[index]]

  _csv(folder / path, columns, rows())
  return {
      "name": f"{prefix}images".replace("/", "_"),
      "path": path,
      "about": "number, file name and cluster of each image",
      "columns": columns,
  }


def of_triplets(
    folder: pathlib.Path, entry: Mapping[str, Any], limit: int | None
) -> dict[str, Any]:
  """Writes the first rows of a main file, all without a limit, as CSV.

  Returns:
    As `of_images`.
  """
  opened = npz.open(folder / entry["path"])
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


def _csv(path: pathlib.Path, columns, rows) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.atomic_write(path) as f:
    text = io.TextIOWrapper(f, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    text.detach()
