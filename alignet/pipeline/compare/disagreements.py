"""Galleries of the pairs and triplets that two models differ on most."""

from collections.abc import Callable
from typing import Any, NamedTuple

from alignet.collect import figures
from alignet.collect import mine
from alignet.errors import AlignetError
from alignet.evals.model import Model
from alignet.evals.scores import ties
from alignet.human.trials import Trials
from alignet.report import gallery
from alignet.report import page
from alignet.triplets import layout
from alignet.triplets import similarity
import numpy as np

_PAIRS = 10  # Each way.
_TRIPLETS = 12
_CANDIDATES = 20_000

Pixels = Callable[[np.ndarray], np.ndarray]
"""From (...) file names to (..., side, side, 3) uint8."""


class Found(NamedTuple):
  """What is shown.

  Attributes:
    section: of a page.
    items: the same for JSON.
  """

  section: page.Section
  items: list[dict[str, Any]]


def of_pairs(
    model: Model,
    baseline: Model,
    level: str,
    pixels: Pixels,
    *,
    names: tuple[str, str],
    seed: int = 0,
) -> Found:
  """Pairs of images of a class that one model calls much closer.

  Args:
    model: representations with labels of the level.
    baseline: another model's, of the same images.
    level: of the classes.
    pixels: finds images by name.
    names: of the two models.
    seed: see `mine.pairs`.

  Returns:
    The largest differences each way; or why there are none.
  """
  title = "Pairs on which the models differ most"
  labels = model.labels[level]
  try:
    found = mine.pairs(model, baseline, labels, n=1, seed=seed)
  except AlignetError as e:
    return _none(title, e)
  difference = found.z[:, 0] - found.z[:, 1]
  pictures, items = [], []
  for sign, name in zip((1, -1), names):
    order = ties.descending(sign * difference)[:_PAIRS]
    rows = order[sign * difference[order] > 0]
    if not len(rows):
      continue
    images = model.filenames[found.images[rows]]
    classes = labels.names[found.classes[rows]]
    figure = figures.pair_gallery(
        pixels(images), found.z[rows], classes, names=names
    )
    alt = f"Pairs of images that {name} calls closer: " + "; ".join(
        f"{c}, z {z[0]:+.1f} and {z[1]:+.1f}"
        for c, z in zip(classes.tolist(), found.z[rows].tolist())
    )
    pictures.append((figure, f"Closer to {name}.", alt + "."))
    items += [
        {"closer_to": name, "class": c, "images": pair, "z": z}
        for c, pair, z in zip(
            classes.tolist(), images.tolist(), found.z[rows].tolist()
        )
    ]
  text = (
      "Similarities are z-scored over all pairs of a class, for each model on"
      " its own. Of each class the pair that differs most in either direction;"
      " of these the largest differences."
  )
  return Found(page.Section(title=title, text=text, figures=pictures), items)


def of_triplets(
    model: Model,
    baseline: Model,
    level: str | None,
    pixels: Pixels,
    *,
    names: tuple[str, str],
    trials: Trials | None = None,
    observers: str = "observers",
    seed: int = 0,
) -> Found:
  """Triplets whose odd one out the models call differently, both sure of it.

  Args:
    model: representations.
    baseline: another model's, of the same images.
    level: of labels to print under the images; None for none.
    pixels: finds images by name.
    names: of the two models.
    trials: triplets to look among, with what was answered; None for triplets at
      random.
    observers: who answered.
    seed: of the draw.

  Returns:
    The most different; or why there are none.
  """
  title = "Triplets on which the models differ most"
  rows = trials.indices if trials else _random(len(model.features), seed)
  scaled = []
  for one in (model, baseline):
    s = similarity.of_triplets(one.features, rows, one.kind)
    s = s.astype(np.float64)
    scaled.append(s / (s.std() or 1))
  try:
    found = mine.triplets(rows, scaled[0], rows, scaled[1], n=_TRIPLETS)
  except AlignetError as e:
    return _none(title, e)
  images = model.filenames[found.images]
  odd = np.take_along_axis(images, found.odd, axis=1).tolist()
  items = [
      {"images": row, "odd": dict(zip(names, o)), "divergence_nats": d}
      for row, o, d in zip(images.tolist(), odd, found.divergence.tolist())
  ]
  text = (
      f"Of {len(rows):,} triplets{'' if trials else ' at random'} those on"
      " whose odd one out the models differ, by the divergence of their"
      " choices. Each model's similarities are divided by their standard"
      " deviation, so that both count as equally sure."
  )
  shown = _classes(model, level, found.images)
  if trials is None:
    figure = figures.triplet_gallery(
        pixels(images), found.odd, found.divergence, names=names
    )
    alt = "Triplets; odd one out by the two models: " + "; ".join(
        " and ".join(shown[i, list(o)]) for i, o in enumerate(found.odd)
    )
    pictures = [(figure, "", alt + ".")]
  else:
    p = _ascending(rows[found.rows], trials.probabilities[found.rows])
    for item, values in zip(items, p.tolist()):
      item["probabilities"] = values
    text += (
        f" The frame marks the odd one of the {observers}, percentages how"
        " often each image is theirs. A badge lies under the image that a"
        f" model calls odd, with a tick where it agrees with the {observers}."
    )
    pictures = [
        _answered(one, o, q, c, names, observers)
        for one, o, q, c in zip(
            pixels(images), found.odd, p, shown if level else [None] * len(p)
        )
    ]
  return Found(page.Section(title=title, text=text, figures=pictures), items)


def _none(title: str, error: AlignetError) -> Found:
  """A section that says why nothing is shown."""
  return Found(page.Section(title=title, text=f"None: {error}."), [])


def _answered(images, odd, probabilities, classes, names, observers):
  """One triplet with the observers' answer: (figure, caption, alt)."""
  expected = layout.ODD[int(ties.first_largest(probabilities))]
  figure = gallery.triplet_gallery(
      images[None],
      np.array([expected]),
      {name: odd[i : i + 1] for i, name in enumerate(names)},
      names=None if classes is None else classes[None],
      probabilities=probabilities[None],
      observers=observers,
  )
  judges = {observers: expected} | dict(zip(names, odd.tolist()))
  what = "" if classes is None else ": " + ", ".join(classes)
  alt = f"Triplet{what}. Odd one out: " + "; ".join(
      f"{judge}, the {('first', 'second', 'third')[position]}"
      for judge, position in judges.items()
  )
  return figure, "", alt + "."


def _classes(model, level, images) -> np.ndarray:
  """(n, 3) class of each image; its file name where there is no level."""
  if level is None:
    return model.filenames[images]
  labels = model.labels[level]
  # An image without a class has number -1: the text after the names.
  return np.append(labels.names, "no class")[labels.ids[images]]


def _random(n: int, seed: int) -> np.ndarray:
  """(m, 3) different triplets of n images, at random."""
  drawn = np.random.default_rng([seed, 5]).integers(n, size=(_CANDIDATES, 3))
  drawn = np.sort(drawn, axis=1)
  return np.unique(drawn[(np.diff(drawn, axis=1) > 0).all(axis=1)], axis=0)


def _ascending(triplets: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Values of the three pairs, for rows with their images ascending."""
  order = np.argsort(triplets, axis=1, kind="stable")
  return layout.permute_similarities(values, order)
