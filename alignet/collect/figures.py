"""Pictures of what was mined: pairs and triplets with what two models say."""

from collections.abc import Iterator, Sequence
import math
import textwrap

from alignet.errors import AlignetError
from alignet.report import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
import numpy as np

MAX_SHOWN = 48
"""Pairs or triplets of a gallery; of more the first are shown."""

_SIDE = 1.15  # Inches: width of an image.
_GAP = 0.08
_MARGIN = 0.15
_COLUMNS = 2
_HEADER = 0.3
_BARS = 1.6
_LONGEST = 0.7
_LINE = 0.2


@style.styled
def pair_gallery(
    images: np.ndarray,
    z: np.ndarray,
    classes: Sequence[str],
    *,
    names: Sequence[str] = ("model", "baseline"),
) -> Figure:
  """Draws pairs beside what two models say about them.

  Args:
    images: (n, 2, h, w, 3) uint8.
    z: (n, 2) similarities in standard deviations from the mean of the class.
    classes: (n,) name of the class of each pair.
    names: of the two models.

  Returns:
    A figure about 8.5 inches wide; a bar a model shows z.

  Raises:
    AlignetError: arrays of other shapes.
  """
  images = _check(images, 2, (z, (2,)), (classes, ()))
  colors = style.model_colors(names)
  limit = max(float(np.abs(z).max()), 1e-9)
  text = "Bars: similarity in standard deviations from the mean of the class"
  width = 2 * _SIDE + _GAP + _BARS
  fig, ax, places = _canvas(len(images), width, _SIDE + 0.2, text)
  for k, (left, top) in enumerate(places):
    x = _row(ax, images[k], left, top) + 0.05
    title = textwrap.fill(str(classes[k]), 22, max_lines=2, placeholder="…")
    ax.text(x, top - 0.03, title, va="top", fontsize=8, weight="bold")
    middle = x + _LONGEST
    for i, name in enumerate(names):
      y = top + 0.34 + 0.44 * i
      label = f"{style.shorten(name, 14)}  {z[k][i]:+.1f}"
      ax.text(x, y, label, fontsize=8, va="center")
      bar = y + 0.17
      ax.barh(
          bar,
          z[k][i] / limit * _LONGEST,
          left=middle,
          height=0.13,
          color=colors[name],
      )
      ax.plot([middle] * 2, [bar - 0.1, bar + 0.1], color="#5A5A5A", lw=0.8)
  return fig


@style.styled
def triplet_gallery(
    images: np.ndarray,
    odd: np.ndarray,
    divergence: np.ndarray,
    *,
    names: Sequence[str] = ("model", "baseline"),
) -> Figure:
  """Draws triplets with a frame about each model's odd one.

  Args:
    images: (n, 3, h, w, 3) uint8.
    odd: (n, 2) position of the odd one of the two models.
    divergence: (n,) Jensen-Shannon divergence of their choices, nats.
    names: of the two models.

  Returns:
    A figure about 7.5 inches wide.

  Raises:
    AlignetError: arrays of other shapes.
  """
  images = _check(images, 3, (odd, (2,)), (divergence, ()))
  colors = style.model_colors(names)
  text = "Framed: the odd one out; nats: divergence of the two choices"
  fig, ax, places = _canvas(
      len(images), 3 * (_SIDE + _GAP), _SIDE + 2 * _LINE + 0.15, text
  )
  for k, (left, top) in enumerate(places):
    ax.text(left, top, f"{divergence[k]:.2f} nats", va="top", fontsize=8)
    top += _LINE
    _row(ax, images[k], left, top)
    for name, position in zip(names, odd[k]):
      x = left + position * (_SIDE + _GAP)
      ax.add_patch(
          Rectangle((x, top), _SIDE, _SIDE, fill=False, ec=colors[name], lw=3.5)
      )
      ax.text(
          x + _SIDE / 2,
          top + _SIDE + 0.04,
          style.shorten(name, 16),
          ha="center",
          va="top",
          fontsize=9,
          weight="bold",
      )
  return fig


def _canvas(
    n: int, width: float, height: float, text: str
) -> tuple[Figure, Axes, Iterator[tuple[float, float]]]:
  """A figure in inches from the top left, and the place of each of n blocks."""
  columns = min(_COLUMNS, n)
  total = columns * (width + _MARGIN) + _MARGIN
  bottom = _HEADER + math.ceil(n / columns) * height + _MARGIN
  fig = style.figure(total, bottom, layout=None)
  ax = fig.add_axes((0, 0, 1, 1))
  ax.axis("off")
  ax.text(_MARGIN, _MARGIN, text, va="center", fontsize=8)
  # Before the images, which would fit the axes to themselves.
  ax.set(xlim=(0, total), ylim=(bottom, 0), aspect="auto", autoscale_on=False)
  places = (
      (
          _MARGIN + (k % columns) * (width + _MARGIN),
          _HEADER + (k // columns) * height,
      )
      for k in range(n)
  )
  return fig, ax, places


def _row(ax: Axes, images: np.ndarray, left: float, top: float) -> float:
  """Draws images side by side; returns where they end."""
  small = images.shape[2] < _SIDE * style.DPI
  for i, image in enumerate(images):
    x = left + i * (_SIDE + _GAP)
    ax.imshow(
        image,
        extent=(x, x + _SIDE, top + _SIDE, top),
        interpolation="nearest" if small else "antialiased",
        aspect="auto",
    )
  return left + len(images) * (_SIDE + _GAP)


def _check(images, size: int, *others) -> np.ndarray:
  images = np.asarray(images)
  n = len(images)
  if (
      images.ndim != 5
      or images.shape[1] != size
      or images.shape[4] != 3
      or images.dtype != np.uint8
      or not n
      or any(np.shape(array) != (n, *shape) for array, shape in others)
  ):
    raise AlignetError(
        f"gallery: expected uint8 images (n, {size}, h, w, 3) and as many rows"
        f" beside them, found {images.dtype} of shape {images.shape} and"
        f" {', '.join(str(np.shape(array)) for array, _ in others)}"
    )
  return images
