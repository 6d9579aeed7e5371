"""The folder of what was mined: a csv, a gallery, and how it came about."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from alignet.collect import figures
from alignet.collect import mine
from alignet.collect import stimuli
from alignet.collect import tables
from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.evals import model as model_lib
from alignet.io import files
from alignet.io import folders
from alignet.io import identities
from alignet.io import json_files
from alignet.report import style
from alignet.triplets import npz
import numpy as np

PAIRS = "pairs.csv"
TRIPLETS = "triplets.csv"
GALLERY = "gallery.png"
META = "meta.json"

_SHOWN_SIDE = 128  # Pixels of an image in a gallery.


def write_pairs(
    out: files.Path,
    representations: files.Path,
    baseline: files.Path,
    *,
    transform: files.Path | None = None,
    baseline_transform: files.Path | None = None,
    level: str = "subordinate",
    n: int = 2,
    max_images: int = 2000,
    seed: int = 0,
    source: str | None = None,
    data_dir: str | None = None,
    trust: identities.Trust = identities.NOTHING,
    overwrite: bool = False,
) -> mine.Pairs:
  """Finds pairs of each class, see `mine.pairs`, and writes them.

  Args:
    out: the folder: pairs.csv with image1, image2 (file names), class,
      similarity and z of both models, and the difference of the two z;
      gallery.png with a source; meta.json.
    representations: directory of the model's.
    baseline: another model's, of the same images.
    transform: affine transform of the first; similarity is then the dot
      product, and else the cosine.
    baseline_transform: the same of the baseline.
    level: labels of the classes.
    n: as in `mine.pairs`.
    max_images: as there.
    seed: as there.
    source: of the images, see `stimuli.read`; None for no gallery.
    data_dir: where TFDS keeps its datasets.
    trust: what the user vouches for.
    overwrite: replace an existing folder.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: it is something else; directories of different images, no
      such level, and what `mine.pairs` and `stimuli.find` raise.
  """
  _check(out, PAIRS, overwrite)
  model = model_lib.open_model(
      representations, transform=transform, trust=trust
  )
  other = model_lib.of_images(
      model_lib.open_model(baseline, transform=baseline_transform, trust=trust),
      model.filenames,
      baseline,
  )
  if level not in model.labels:
    raise AlignetError(
        f"--level={level}: {representations} has the levels"
        f" {', '.join(sorted(model.labels)) or 'none'}"
    )
  labels = model.labels[level]
  found = mine.pairs(
      model, other, labels, n=n, max_images=max_images, seed=seed
  )
  names, z = model.filenames[found.images], found.z
  classes = labels.names[found.classes]
  figure = None
  if source:
    shown = _first_classes(found.classes, figures.MAX_SHOWN)
    images = pixels(source, names[shown], data_dir)
    figure = figures.pair_gallery(images, z[shown], classes[shown])
  columns = {
      "image1": names[:, 0],
      "image2": names[:, 1],
      "class": classes,
      "similarity_model": found.similarities[:, 0],
      "similarity_baseline": found.similarities[:, 1],
      "z_model": z[:, 0],
      "z_baseline": z[:, 1],
      "z_difference": z[:, 0] - z[:, 1],
  }
  meta = {
      "level": level,
      "n": n,
      "max_images": max_images,
      "seed": seed,
      "similarities": [model.kind, other.kind],
      "left_out": labels.names[list(found.left_out)].tolist(),
  }
  inputs = {
      "representations": pathlib.Path(representations) / META,
      "baseline": pathlib.Path(baseline) / META,
      "transform": transform,
      "baseline_transform": baseline_transform,
  }
  _write(out, PAIRS, columns, figure, meta, inputs, overwrite)
  return found


def write_triplets(
    out: files.Path,
    responses: files.Path,
    baseline: files.Path,
    *,
    n: int = 20,
    source: str | None = None,
    data_dir: str | None = None,
    overwrite: bool = False,
) -> mine.Triplets:
  """Finds triplets, see `mine.triplets`, and writes them.

  Args:
    out: the folder: triplets.csv with image1 to image3 (file names), the odd
      one of both models and the divergence; gallery.png with a source;
      meta.json.
    responses: AligNet npz of the model.
    baseline: another model's, to the same triplets.
    n: how many.
    source: of the images, see `stimuli.read`; None for no gallery.
    data_dir: where TFDS keeps its datasets.
    overwrite: replace an existing folder.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: it is something else; files of different images, and what
      `mine.triplets` and `stimuli.find` raise.
  """
  _check(out, TRIPLETS, overwrite)
  model, other = npz.open(responses), npz.open(baseline)
  found = mine.triplets(
      model.indices,
      model.similarities,
      other.indices,
      other.similarities,
      n=n,
  )
  names = _names(model, found.rows)
  theirs = _names(other, found.baseline_rows)
  differ = (names != theirs).any(axis=1)
  if differ.any():
    row = int(np.argmax(differ))
    raise AlignetError(
        f"the images {found.images[row].tolist()} are {names[row].tolist()} in"
        f" {responses} and {theirs[row].tolist()} in {baseline}; give answers"
        " to the same images"
    )
  figure = None
  if source:
    shown = slice(figures.MAX_SHOWN)
    images = pixels(source, names[shown], data_dir)
    figure = figures.triplet_gallery(
        images, found.odd[shown], found.divergence[shown]
    )
  odd = np.take_along_axis(names, found.odd, axis=1)
  columns = {
      **{key: names[:, i] for i, key in enumerate(tables.IMAGES)},
      "odd_model": odd[:, 0],
      "odd_baseline": odd[:, 1],
      "divergence_nats": found.divergence,
  }
  inputs = {"responses": responses, "baseline": baseline}
  _write(out, TRIPLETS, columns, figure, {"n": n}, inputs, overwrite)
  return found


def _names(opened: npz.AligNetFile, rows: np.ndarray) -> np.ndarray:
  """(n, 3) names of some rows, ascending by the images' numbers."""
  order = np.argsort(opened.indices[rows], axis=1, kind="stable")
  return np.take_along_axis(opened.filenames[rows], order, axis=1)


def _first_classes(classes: np.ndarray, most: int) -> slice:
  """Rows of the first classes that are `most` or fewer, no class cut."""
  ends = np.flatnonzero(np.append(classes[1:] != classes[:-1], True)) + 1
  return slice(int(max(ends[ends <= most], default=most)))


def pixels(
    source: str, names: np.ndarray, data_dir: str | None = None
) -> np.ndarray:
  """Images by name, small enough for a gallery.

  Args:
    source: of the images, see `stimuli.find`.
    names: (...) file names.
    data_dir: where TFDS keeps its datasets.

  Returns:
    (..., side, side, 3) uint8.

  Raises:
    AlignetError: an image that is not there.
  """
  wanted: Sequence[str] = np.unique(names).tolist()
  found = stimuli.find(source, wanted, data_dir=data_dir)
  small = {
      k: image_sources.pixels(one, _SHOWN_SIDE) for k, one in found.items()
  }
  shown = np.stack([small[name] for name in names.ravel().tolist()])
  return shown.reshape(*names.shape, *shown.shape[1:])


def _check(out: files.Path, name: str, overwrite: bool) -> None:
  folders.check(out, META, '"sha256": ', (name, GALLERY), overwrite=overwrite)


def _write(
    out: files.Path,
    name: str,
    columns: Mapping[str, np.ndarray],
    figure: Any,
    meta: Mapping[str, Any],
    inputs: Mapping[str, files.Path | None],
    overwrite: bool,
) -> None:
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    tables.write(folder / name, {k: v.tolist() for k, v in columns.items()})
    if figure is not None:
      with files.atomic_write(folder / GALLERY) as f:
        f.write(style.png(figure))
    hashes = {k: files.sha256(path) for k, path in inputs.items() if path}
    json_files.write(
        folder / META,
        {**meta, "sha256": hashes, "versions": files.versions()},
    )
