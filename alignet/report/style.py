"""One look for all figures: colours, sizes, PNG bytes.

Figures are plain `matplotlib.figure.Figure` objects drawn with Agg; nothing
touches pyplot or leaves a trace in the global settings.
"""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import functools
import io

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

DPI = 150
"""Resolution of PNG files, in pixels per inch of figure."""

OKABE_ITO = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#5A5A5A",
    "#B8A800",
)
"""Colours told apart by colour-blind readers (Okabe and Ito 2008).

Black is softened to grey, and yellow darkened to be seen on white.
"""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_KNOWN = {
    "observers": "#009E73",
    "base": "#5A5A5A",
    "untransformed": "#E69F00",
    "matched": "#CC79A7",
    "shuffled": "#D55E00",
    "aligned": "#0072B2",
}

_SETTINGS = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "text.parse_math": False,  # Names may hold a dollar sign.
}


@contextlib.contextmanager
def settings() -> Iterator[None]:
  """Matplotlib's own defaults plus the look of this package, for a while."""
  defaults = {
      key: value
      for key, value in matplotlib.rcParamsDefault.items()
      if not key.startswith("backend")
  }
  with matplotlib.rc_context(defaults | _SETTINGS):
    yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
  """Makes a drawing function independent of the user's settings."""

  @functools.wraps(draw)
  def wrapper(*args, **kwargs):
    with settings():
      return draw(*args, **kwargs)

  return wrapper


def figure(width: float, height: float, layout: str | None = "constrained"):
  """An empty figure of a size in inches, with an Agg canvas."""
  fig = Figure(figsize=(width, height), dpi=DPI, layout=layout)
  FigureCanvasAgg(fig)
  return fig


def png(fig: Figure) -> bytes:
  """PNG bytes; equal figures give equal bytes (no date, no version)."""
  out = io.BytesIO()
  with settings():
    fig.savefig(
        out,
        format="png",
        dpi=DPI,
        facecolor="white",
        metadata={"Software": None},
    )
  return out.getvalue()


def model_colors(names: Iterable[str]) -> dict[str, str]:
  """A colour a model: always the same one for the models we know by name."""
  names = list(names)
  colors = {}
  for name in names:
    known = _KNOWN.get((name.lower().split() or [""])[0])
    if known and known not in colors.values():
      colors[name] = known
  free = [c for c in OKABE_ITO if c not in colors.values()] or list(OKABE_ITO)
  others = [name for name in names if name not in colors]
  for number, name in enumerate(others):
    colors[name] = free[number % len(free)]
  return colors


def group_colors(n: int) -> list:
  """`n` colours for groups: Okabe-Ito, or samples of viridis beyond eight."""
  if n <= len(OKABE_ITO):
    return list(OKABE_ITO[:n])
  return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.95, n)))


def text_color(background: str) -> str:
  """Black or white, whichever reads better on a colour."""
  r, g, b = matplotlib.colors.to_rgb(background)
  return "white" if 0.299 * r + 0.587 * g + 0.114 * b < 0.6 else "black"


def legend_columns(handles: Iterable, width: float) -> int:
  """Columns of a legend of these handles that fit a width in inches."""
  longest = max((len(h.get_label()) for h in handles), default=0)
  return max(1, int(width / (0.6 + 0.072 * longest)))


def shorten(text: str, length: int) -> str:
  """Cuts a text to at most `length` characters, with an ellipsis."""
  return text if len(text) <= length else text[: length - 1].rstrip() + "…"
