"""gallery.png: triplets of each sampling, with the teacher's probabilities."""

from collections.abc import Callable, Mapping
from typing import Any

from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.io import files
from alignet.report import gallery
from alignet.report import style
from alignet.representations import store
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np

_ROWS = 4  # Triplets of a sampling.
_SIDE = 160  # Pixels.


def write(
    path: files.Path,
    images: image_sources.Source,
    representations: store.Representations,
    answers: Mapping[str, Mapping[str, files.Path]],
    *,
    level: str,
) -> None:
  """Draws rows from all over each file, with the odd one in any place.

  Args:
    path: PNG to write.
    images: what the representations were extracted from.
    representations: of the images.
    answers: sampling -> who answers -> AligNet npz, the teacher first; all of a
      sampling answer the same triplets, row by row.
    level: of the labels, whose names stand under the images; where there is
      none, file names do.

  Raises:
    AlignetError: other images.
  """
  rng = np.random.default_rng(0)
  shown, p, names, odd = [], [], [], []
  for sampling, by in answers.items():
    opened = [npz.open(file) for file in by.values()]
    n = len(opened[0])
    rows = np.linspace(0, n - 1, min(n, _ROWS)).astype(int)
    # Canonical rows have the odd one last: show it in any place.
    order = rng.permuted(np.tile(np.arange(3), (len(rows), 1)), axis=1)
    triplet = np.take_along_axis(opened[0].indices[rows], order, axis=1)
    probabilities = similarity.choice_probabilities(
        opened[0].similarities[rows]
    )
    shown.append(triplet)
    p.append(layout.permute_similarities(probabilities, order))
    names += [f"{sampling}, row {row}" for row in rows]
    odd.append(
        [(triplet == file.indices[rows, 2:]).argmax(axis=1) for file in opened]
    )
  teacher, *others = next(iter(answers.values()))
  choices = dict(zip([teacher, *others], np.concatenate(odd, axis=1)))
  shown = np.concatenate(shown)
  figure = gallery.triplet_gallery(
      _each(lambda i: _image(images, representations, i), shown),
      choices.pop(teacher),
      choices,
      names=_each(lambda i: _name(representations, level, i), shown),
      probabilities=np.concatenate(p),
      labels=np.array(names),
      observers="teacher",
      columns=2,
  )
  with files.atomic_write(path) as f:
    f.write(style.png(figure))


def _each(function: Callable[[int], Any], rows: np.ndarray) -> np.ndarray:
  """function(i) of each image number of (n, 3) rows."""
  return np.array([[function(i) for i in row] for row in rows.tolist()])


def _name(representations, level: str, i: int) -> str:
  """Name of an image's class, its own where it has none."""
  labels = representations.labels.get(level)
  if labels is None or labels.ids[i] < 0:
    return str(representations.filenames[i])
  return str(labels.names[labels.ids[i]])


def _image(images, representations, i: int) -> np.ndarray:
  """(side, side, 3) pixels of an image, found by its number and name."""
  name = str(representations.filenames[i])
  # Behind those that could not be decoded, numbers are those of images before.
  more = len(representations.meta.get("skipped", {}))
  for number in range(i, min(i + more + 1, len(images))):
    record = images[number]
    if name in (
        record.filename,
        image_sources.numbered(record.filename, number),
    ):
      return image_sources.pixels(record, _SIDE)
  raise AlignetError(
      f"the gallery's images: expected image {i} to be {name!r}, as in the"
      f" representations, found {len(images)} images and"
      f" {images[i].filename if i < len(images) else 'none of that number'};"
      " give what the representations were extracted from"
  )
