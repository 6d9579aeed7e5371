"""Gallery of triplets: what was shown and who called which image odd."""

from collections.abc import Mapping, Sequence
import math
import textwrap

from alignet.errors import AlignetError
from alignet.report import style
from alignet.triplets import layout
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.patches import Rectangle
import numpy as np

_SIDE = 1.3  # Inches: wanted width of an image.
_GAP = 0.14
_MARGIN = 0.12
_TITLE = 0.26
_NAME_LINE = 0.15
_NAME_CHARACTERS = 21
_JUDGE_CHARACTERS = 21
_ODDS_LINE = 0.17
_PILL = 0.2
_PILL_STEP = 0.25
_FAINT = "#6B6B6B"


@style.styled
def triplet_gallery(
    images: np.ndarray,
    expected: np.ndarray,
    choices: Mapping[str, np.ndarray],
    *,
    names: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    observers: str = "observers",
    columns: int = 1,
) -> Figure:
  """Draws triplets with the odd one of the observers and of each model.

  Below the images stands one line a judge. Its badge lies under the image that
  the judge calls the odd one: filled with a tick where it agrees with the
  observers, hollow with a cross where not. The observers' odd one is framed.

  Args:
    images: (n, 3, h, w, 3) uint8, in [0, 255]; small ones are enlarged by
      repeating pixels.
    expected: (n,) position (0, 1, 2) of the observers' odd one.
    choices: model name -> (n,) position of the model's odd one.
    names: (n, 3) names printed under the images.
    probabilities: (n, 3) probability the observers give to each *pair* being
      the most similar one, in the order [s01, s02, s12]; printed under the
      image that the pair leaves out.
    labels: (n,) title of each triplet.
    observers: name of the observers' line, for example "simulated observers".
    columns: triplets side by side.

  Returns:
    A figure about 4.5 inches wide a column.

  Raises:
    AlignetError: an array of another shape, or a position that is none of
      the three.
  """
  images = _check(images, expected, choices, names, probabilities, labels)
  n, _, h, w, _ = images.shape
  columns = max(1, min(columns, n))
  rows = math.ceil(n / columns)
  # A whole number of pixels for each pixel of a small image.
  scale = _SIDE * style.DPI / w
  side = (round(scale) if scale > 2 else scale) * w / style.DPI
  image_height = side * h / w
  wrapped = None
  lines = 0
  if names is not None:
    wrapped = [[_wrap(str(name)) for name in row] for row in names]
    lines = max(len(text) for row in wrapped for text in row)
  block_width = 3 * side + 2 * _GAP + 2 * _MARGIN
  block_height = (
      (_TITLE if labels is not None else 0)
      + image_height
      + lines * _NAME_LINE
      + (_ODDS_LINE if probabilities is not None else 0)
      + (1 + len(choices)) * _PILL_STEP
      + 0.2
  )
  width = columns * block_width
  height = rows * block_height + _MARGIN
  fig = style.figure(width, height, layout=None)
  ax = fig.add_axes((0, 0, 1, 1))
  ax.axis("off")
  colors = style.model_colors(["observers", *choices])
  judges = {observers: (colors["observers"], np.asarray(expected))}
  judges |= {k: (colors[k], np.asarray(v)) for k, v in choices.items()}
  for row in range(n):
    left = (row % columns) * block_width + _MARGIN
    y = (row // columns) * block_height + _MARGIN
    if labels is not None:
      title = style.shorten(str(labels[row]), 56)
      ax.text(left, y, title, va="top", fontsize=9.5, weight="bold")
      y += _TITLE
    below = y + image_height + 0.05
    y_odds = below + lines * _NAME_LINE
    y_pills = y_odds + (_ODDS_LINE if probabilities is not None else 0) + 0.04
    for position in range(3):
      x = round((left + position * (side + _GAP)) * style.DPI) / style.DPI
      middle = x + side / 2
      _image(ax, images[row, position], x, y, side, image_height, scale)
      if position == expected[row]:
        _frame(ax, x, y, side, image_height, judges[observers][0])
      if wrapped is not None:
        for number, line in enumerate(wrapped[row][position]):
          _centred(ax, middle, below + (number + 0.5) * _NAME_LINE, line)
      if probabilities is not None:
        p = float(probabilities[row][layout.ODD.index(position)])
        _centred(ax, middle, y_odds + _ODDS_LINE / 2, f"{p:.0%}", _FAINT)
      for number, (judge, (color, odd)) in enumerate(judges.items()):
        y_pill = y_pills + number * _PILL_STEP
        if int(odd[row]) == position:
          agrees = int(odd[row]) == int(expected[row])
          mark = "" if number == 0 else "✓ " if agrees else "✗ "
          text = mark + style.shorten(judge, _JUDGE_CHARACTERS - len(mark))
          _pill(ax, x, y_pill, side, text, color, filled=agrees)
        else:
          _centred(ax, middle, y_pill + _PILL / 2, "·", _FAINT)
  ax.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
  return fig


@style.styled
def montage(images: np.ndarray, names: Sequence[str]) -> Figure:
  """Draws rows of images, each row with a name before it.

  Args:
    images: (rows, columns, h, w, 3) uint8.
    names: name of each row.

  Returns:
    A figure about 8 inches wide.

  Raises:
    AlignetError: another shape or dtype, or not one name a row.
  """
  images = np.asarray(images)
  if (
      images.ndim != 5
      or images.shape[4] != 3
      or images.dtype != np.uint8
      or not images.size
      or len(images) != len(names)
  ):
    raise AlignetError(
        "montage: expected uint8 images of shape (rows, columns, h, w, 3) and a"
        f" name a row, found {images.dtype} of shape {images.shape} and"
        f" {len(names)} names"
    )
  rows, columns, h, w, _ = images.shape
  side, before = 0.75, 1.5
  step = side + 0.06
  width, height = before + columns * step, rows * (side * h / w + 0.06)
  fig = style.figure(width, height, layout=None)
  ax = fig.add_axes((0, 0, 1, 1))
  ax.axis("off")
  for row in range(rows):
    y = row * (side * h / w + 0.06)
    text = "\n".join(_wrap(str(names[row])))
    ax.text(0.05, y + side * h / w / 2, text, va="center", fontsize=9)
    for column in range(columns):
      x = before + column * step
      scale = side * style.DPI / w
      _image(ax, images[row, column], x, y, side, side * h / w, scale)
  ax.set_xlim(0, width)
  ax.set_ylim(height, 0)
  return fig


def _image(ax: Axes, image, x, y, width, height, scale) -> None:
  ax.imshow(
      image,
      extent=(x, x + width, y + height, y),
      interpolation="nearest" if scale > 1 else "antialiased",
      aspect="auto",
  )


def _frame(ax: Axes, x, y, width, height, color) -> None:
  pad = 0.025
  ax.add_patch(
      Rectangle(
          (x - pad, y - pad),
          width + 2 * pad,
          height + 2 * pad,
          fill=False,
          edgecolor=color,
          linewidth=3,
      )
  )


def _pill(ax: Axes, x, y, width, text, color, *, filled) -> None:
  ax.add_patch(
      FancyBboxPatch(
          (x, y),
          width,
          _PILL,
          boxstyle="round,pad=0,rounding_size=0.07",
          facecolor=color if filled else "white",
          edgecolor=color,
          linewidth=1.4,
      )
  )
  ax.text(
      x + width / 2,
      y + _PILL / 2,
      text,
      ha="center",
      va="center_baseline",
      fontsize=8,
      color=style.text_color(color) if filled else "black",
  )


def _centred(ax: Axes, x, y, text, color="black") -> None:
  ax.text(
      x,
      y + 0.04,  # Half the height of small letters.
      text,
      ha="center",
      va="baseline",
      fontsize=8,
      color=color,
  )


def _wrap(name: str) -> list[str]:
  """At most two lines."""
  lines = textwrap.wrap(name, _NAME_CHARACTERS) or [""]
  if len(lines) > 2:
    lines = [lines[0], style.shorten(" ".join(lines[1:]), _NAME_CHARACTERS)]
  return lines


def _check(images, expected, choices, names, probabilities, labels):
  images = np.asarray(images)
  if (
      images.ndim != 5
      or images.shape[1] != 3
      or images.shape[4] != 3
      or images.dtype != np.uint8
      or not len(images)
  ):
    raise AlignetError(
        "gallery images: expected uint8 of shape (n, 3, height, width, 3) with"
        f" n >= 1, found {images.dtype} of shape {images.shape}"
    )
  n = len(images)
  for name, odd in {"the observers": expected, **choices}.items():
    odd = np.asarray(odd)
    if odd.shape != (n,) or not np.isin(odd, (0, 1, 2)).all():
      raise AlignetError(
          f"odd positions of {name}: expected ({n},) numbers 0, 1 or 2, found"
          f" shape {odd.shape} and values {np.unique(odd)[:5].tolist()}"
      )
  for what, array, shape in (
      ("names", names, (n, 3)),
      ("probabilities", probabilities, (n, 3)),
      ("labels", labels, (n,)),
  ):
    if array is not None and np.shape(array) != shape:
      raise AlignetError(
          f"gallery {what}: expected shape {shape}, found {np.shape(array)}"
      )
  return images
