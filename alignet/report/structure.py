"""Figures of a representation's structure: similarity matrices and maps."""

from collections.abc import Mapping, Sequence

from alignet.errors import AlignetError
from alignet.report import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
import numpy as np

_LEGEND_ENTRIES = 40
_MOST_LINES = 36


@style.styled
def similarity_matrices(
    matrices: Mapping[str, np.ndarray],
    groups: np.ndarray,
    group_names: Sequence[str],
    *,
    subgroups: np.ndarray | None = None,
    label: str = "cosine similarity",
    shared_scale: bool = True,
    rows_are: str = "images",
) -> Figure:
  """Draws similarity matrices side by side, sorted by group.

  Args:
    matrices: title -> (n, n) similarities, rows and columns in one order.
    groups: (n,) group number of each row.
    group_names: name of each group.
    subgroups: (n,) finer group numbers: sorted within groups and parted by
      thinner lines.
    label: what the colour shows, with its unit.
    shared_scale: one colour scale for all panels; otherwise each has its own.
      Either way it spans the 1st to the 99th percentile off the diagonal.
    rows_are: what the rows are.

  Returns:
    A figure.

  Raises:
    AlignetError: no matrix, or one of another size than `groups`.
  """
  groups = np.asarray(groups)
  n = len(groups)
  if not matrices:
    raise AlignetError("similarity matrices: expected at least one, found none")
  for name, matrix in matrices.items():
    if np.shape(matrix) != (n, n):
      raise AlignetError(
          f"similarity matrix of {name}: expected shape ({n}, {n}), one row a"
          f" group label, found {np.shape(matrix)}"
      )
  _check_groups(groups, group_names, n)
  fine = np.zeros(n, int) if subgroups is None else np.asarray(subgroups)
  order = np.lexsort((fine, groups))
  groups, fine = groups[order], fine[order]
  sorted_matrices = [
      np.asarray(m)[np.ix_(order, order)] for m in matrices.values()
  ]
  limits = [_limits(m) for m in sorted_matrices]
  if shared_scale:
    limits = [(min(a for a, _ in limits), max(b for _, b in limits))] * len(
        limits
    )
  size = 3.6
  columns = min(3, len(matrices))
  rows = -(-len(matrices) // columns)
  longest = max((len(style.shorten(g, 18)) for g in group_names), default=0)
  names_width = 0.15 + 0.068 * longest
  bars_width = 0.95 if shared_scale else 0.95 * columns
  fig = style.figure(
      columns * (size + 0.1) + 0.35 + names_width + bars_width,
      rows * (size + 0.35 + names_width),
      layout="compressed",
  )
  axes = fig.subplots(rows, columns, squeeze=False)
  edges = np.flatnonzero(np.diff(groups)) + 0.5
  fine_edges = np.flatnonzero(np.diff(fine) | np.diff(groups)) + 0.5
  centres, shown = _group_ticks(groups, group_names, minimum=n * 0.14 / size)
  for number, ax in enumerate(axes.flat):
    if number >= len(matrices):
      ax.axis("off")
      continue
    low, high = limits[number]
    image = ax.imshow(
        sorted_matrices[number],
        cmap="viridis",
        vmin=low,
        vmax=high,
        interpolation="nearest" if n < size * style.DPI else "antialiased",
    )
    if len(fine_edges) <= _MOST_LINES:
      _lines(ax, fine_edges, 0.35)
    if len(edges) <= _MOST_LINES:
      _lines(ax, edges, 1.1)
    ax.set_title(list(matrices)[number])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
      spine.set_visible(False)
    ax.set_xticks(centres, shown, rotation=90, fontsize=8.5)
    first = number % columns == 0
    ax.set_yticks(
        centres, shown if first else [""] * len(centres), fontsize=8.5
    )
    if first:
      ax.set_ylabel(f"{rows_are}, sorted by category")
    if not shared_scale:
      bar = fig.colorbar(image, ax=ax, shrink=0.8, extend="both")
      bar.set_label(f"{label} (own scale)")
  if shared_scale:
    bar = fig.colorbar(image, ax=axes, shrink=0.8, extend="both", aspect=25)
    bar.set_label(label)
  return fig


@style.styled
def maps(
    points: Mapping[str, np.ndarray],
    groups: np.ndarray,
    group_names: Sequence[str],
    *,
    marks: np.ndarray | None = None,
    mark_names: Sequence[str] = (),
    explained: Mapping[str, np.ndarray] | None = None,
) -> Figure:
  """Draws two-dimensional maps side by side, coloured by group.

  Args:
    points: title -> (n, 2) coordinates, objects in one order.
    groups: (n,) group number of each object: its colour (and its marker, where
      there are more than eight groups and no marks).
    group_names: name of each group.
    marks: (n,) number of each object's marker, for example 0 for concepts the
      teacher saw and 1 for those it did not.
    mark_names: name of each marker.
    explained: title -> (2,) share of the variance along each axis.

  Returns:
    A figure with one legend.

  Raises:
    AlignetError: no map, or one of another size than `groups`.
  """
  groups = np.asarray(groups)
  n = len(groups)
  if not points:
    raise AlignetError("maps: expected at least one, found none")
  for name, xy in points.items():
    if np.shape(xy) != (n, 2):
      raise AlignetError(
          f"map of {name}: expected shape ({n}, 2), one row a group label,"
          f" found {np.shape(xy)}"
      )
  _check_groups(groups, group_names, n)
  k = len(group_names)
  n_colors = len(style.OKABE_ITO)
  if marks is None and k > n_colors:
    colors = [style.OKABE_ITO[g % n_colors] for g in range(k)]
    group_markers = [
        style.MARKERS[g // n_colors % len(style.MARKERS)] for g in range(k)
    ]
  else:
    colors, group_markers = style.group_colors(k), ["o"] * k
  if marks is None:
    marker_of = np.array(group_markers)[groups]
  else:
    marker_of = np.array(style.MARKERS)[np.asarray(marks) % len(style.MARKERS)]
  handles = [
      _handle(style.shorten(name, 22), group_markers[g], colors[g])
      for g, name in enumerate(group_names[:_LEGEND_ENTRIES])
  ]
  if k > _LEGEND_ENTRIES:
    handles.append(_handle(f"and {k - _LEGEND_ENTRIES} more", "", "none"))
  handles += [
      _handle(style.shorten(name, 22), style.MARKERS[m], "none")
      for m, name in enumerate(mark_names)
  ]
  columns = min(3, len(points))
  rows = -(-len(points) // columns)
  width = max(columns * 3.6, 4.8)
  legend_columns = style.legend_columns(handles, width)
  legend_rows = -(-len(handles) // legend_columns)
  fig = style.figure(
      width, rows * 3.75 + 0.2 * legend_rows, layout="compressed"
  )
  axes = fig.subplots(rows, columns, squeeze=False)
  size = float(np.clip(9000 / max(n, 1), 9, 36))
  # Drawn in an order that hides no group behind another.
  order = np.argsort((np.arange(n) * 0.6180339887) % 1)
  for ax, (name, xy) in zip(axes.flat, points.items()):
    xy = np.asarray(xy)
    for marker in dict.fromkeys(marker_of):
      rows_of = order[marker_of[order] == marker]
      ax.scatter(
          *xy[rows_of].T,
          s=size,
          marker=marker,
          c=[colors[g] for g in groups[rows_of]],
          edgecolors="white",
          linewidths=0.3,
          alpha=0.9,
      )
    share = None if explained is None else explained.get(name)
    for axis, number in ((ax.xaxis, 0), (ax.yaxis, 1)):
      text = f"component {number + 1}"
      if share is not None:
        text += f" ({float(share[number]):.0%} of variance)"
      axis.set_label_text(text)
    ax.set_title(name)
    # Squares of equal scale along both axes.
    low, high = xy.min(axis=0, initial=np.inf), xy.max(axis=0, initial=-np.inf)
    span = (float(np.max(high - low)) if n else 0.0) or 1.0
    middle = (low + high) / 2 if n else np.zeros(2)
    ax.set_xlim(middle[0] - 0.55 * span, middle[0] + 0.55 * span)
    ax.set_ylim(middle[1] - 0.55 * span, middle[1] + 0.55 * span)
    ax.set_aspect("equal")
    ax.grid(True)
    ax.locator_params(nbins=5)
  for ax in axes.flat[len(points) :]:
    ax.axis("off")
  fig.legend(
      handles=handles,
      loc="outside lower center",
      ncols=legend_columns,
      handletextpad=0.3,
      columnspacing=1.2,
  )
  return fig


def _handle(label: str, marker: str, color) -> Line2D:
  hollow = isinstance(color, str) and color == "none"
  return Line2D(
      [],
      [],
      linestyle="",
      marker=marker or None,
      markersize=7,
      markerfacecolor=color,
      markeredgecolor="#333333" if hollow else color,
      label=label,
  )


def _lines(ax, edges: np.ndarray, width: float) -> None:
  for edge in edges:
    ax.axhline(edge, color="white", linewidth=width)
    ax.axvline(edge, color="white", linewidth=width)


def _limits(matrix: np.ndarray) -> tuple[float, float]:
  values = matrix[~np.eye(len(matrix), dtype=bool)]
  values = values if values.size else matrix.ravel()
  low, high = np.percentile(values, (1, 99)) if values.size else (0, 1)
  return (float(low), float(high)) if high > low else (low - 0.5, low + 0.5)


def _group_ticks(groups, group_names, *, minimum: float):
  """Centre and name of each group; names too close to the last are left out."""
  centres, shown, last = [], [], -np.inf
  for group in np.unique(groups):
    centre = float(np.flatnonzero(groups == group).mean())
    if centre - last >= minimum:
      centres.append(centre)
      shown.append(style.shorten(str(group_names[group]), 18))
      last = centre
  return centres, shown


def _check_groups(groups, group_names, n: int) -> None:
  if n and not (0 <= groups.min() and groups.max() < len(group_names)):
    raise AlignetError(
        f"groups: expected numbers from 0 to {len(group_names) - 1}, one for"
        f" each name, found {groups.min()} to {groups.max()}"
    )
