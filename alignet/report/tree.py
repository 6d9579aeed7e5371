"""Dendrograms: which classes a model joins first."""

from collections.abc import Mapping, Sequence

from alignet.errors import AlignetError
from alignet.report import style
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial import distance

_STEP = 0.125  # Inches a leaf, to be read.
_MOST_NAMED = 150
_LONGEST = 34  # Characters of a name.
_HEIGHT = 12.0  # Inches, where leaves have no names.
_MIXED = "#B0B0B0"
_LEGEND_ENTRIES = 40


@style.styled
def dendrograms(
    distances: Mapping[str, np.ndarray],
    names: Sequence[str],
    groups: np.ndarray,
    group_names: Sequence[str],
    *,
    label: str = "relative distance (mean = 1)",
) -> Figure:
  """Draws trees of average linkage side by side, leaves coloured by group.

  A branch has its group's colour where all leaves below it are of one group,
  and is grey where they are mixed: the more colour, the more the tree agrees
  with the groups. Groups differ by colour and marker.

  Args:
    distances: title -> (k, k) distances of the leaves, in one order.
    names: (k,) of the leaves, printed for up to 150 leaves; of more, the groups
      of longer runs are.
    groups: (k,) group number of each leaf.
    group_names: name of each group.
    label: what the height of a join is, with its unit.

  Returns:
    A figure; one scale for all trees.

  Raises:
    AlignetError: no matrix, one of another size, fewer than two leaves, or a
      group without a name.
  """
  groups = np.asarray(groups)
  k = len(groups)
  if not distances or k < 2 or len(names) != k:
    raise AlignetError(
        "dendrograms: expected distances of two named leaves or more, found"
        f" {len(distances)} matrices, {k} groups and {len(names)} names"
    )
  if groups.min() < 0 or groups.max() >= len(group_names):
    raise AlignetError(
        f"groups: expected numbers from 0 to {len(group_names) - 1}, found"
        f" {groups.min()} to {groups.max()}"
    )
  links = {title: _linkage(title, d, k) for title, d in distances.items()}
  colors = [_look(g)[0] for g in range(len(group_names))]
  named = k <= _MOST_NAMED
  step = _STEP if named else min(_STEP, _HEIGHT / k)
  handles = _legend(groups, group_names)
  longest = max(len(str(n)) for n in names) if named else 0
  # Long names take room of their own, not that of the tree.
  extra = 0.055 * max(min(longest, _LONGEST) - 20, 0)
  width = max(len(links) * ((4.0 if named else 3.2) + extra), 4.8)
  columns = style.legend_columns(handles, width)
  rows = -(-len(handles) // columns)
  fig = style.figure(width, k * step + 1.0 + 0.2 * rows)
  axes = fig.subplots(1, len(links), squeeze=False)[0]
  highest = max(z[-1, 2] for z in links.values()) or 1.0
  for ax, (title, z) in zip(axes, links.items()):
    order = hierarchy.leaves_list(z)
    joins, join_colors = _joins(z, order, groups, colors)
    thin = min(1.0, 4 * step / _STEP)
    thick = [
        0.9 * max(thin, 0.6) if c == _MIXED else 1.5 * thin for c in join_colors
    ]
    ax.add_collection(
        LineCollection(joins, colors=join_colors, linewidths=thick)
    )
    for group in np.unique(groups).tolist():
      color, marker = _look(group)
      places = 5 + 10 * np.flatnonzero(groups[order] == group)
      ax.plot(
          np.zeros(len(places)),
          places,
          marker,
          color=color,
          ms=min(5, 40 * step),
          clip_on=False,
      )
    ax.set_title(title)
    ax.set_xlabel(label)
    ax.set_xlim(highest * 1.04, 0)
    ax.set_ylim(10 * k, 0)
    ax.spines["left"].set_visible(False)
    ax.yaxis.tick_right()
    ax.tick_params(axis="y", length=0, pad=6)
    if named:
      places = 5 + 10 * np.arange(k)
      shown = [str(names[i]) for i in order]
    else:
      places, shown = _runs(groups[order], group_names, _STEP / step)
    shown = [style.shorten(text, _LONGEST if named else 20) for text in shown]
    ax.set_yticks(places, shown, fontsize=7)
    ax.grid(True, axis="x")
  fig.legend(
      handles=handles,
      loc="outside lower center",
      ncols=columns,
      handletextpad=0.3,
      columnspacing=1.2,
  )
  return fig


def _linkage(title: str, matrix: np.ndarray, k: int) -> np.ndarray:
  if np.shape(matrix) != (k, k):
    raise AlignetError(
        f"dendrogram of {title}: expected shape ({k}, {k}), one row a leaf,"
        f" found {np.shape(matrix)}"
    )
  condensed = distance.squareform(np.asarray(matrix, float), checks=False)
  return hierarchy.linkage(condensed, "average")


def _look(group: int) -> tuple[str, str]:
  """Colour and marker of a group."""
  n = len(style.OKABE_ITO)
  marker = style.MARKERS[group // n % len(style.MARKERS)]
  return style.OKABE_ITO[group % n], marker


def _joins(z, order, groups, colors) -> tuple[list, list[str]]:
  """(4, 2) points and the colour of each join; no recursion, however deep."""
  k = len(groups)
  place = np.empty(2 * k - 1)
  place[order] = 5 + 10 * np.arange(k)
  height = np.zeros(2 * k - 1)
  of = groups.tolist()
  points, found = [], []
  for node, (a, b, top) in enumerate(z[:, :3].tolist(), k):
    a, b = int(a), int(b)
    place[node], height[node] = (place[a] + place[b]) / 2, top
    of.append(of[a] if of[a] == of[b] else -1)
    points.append(
        [
            (height[a], place[a]),
            (top, place[a]),
            (top, place[b]),
            (height[b], place[b]),
        ]
    )
    found.append(_MIXED if of[node] < 0 else colors[of[node]])
  return points, found


def _runs(groups, group_names, shortest) -> tuple[list[float], list[str]]:
  """Middle and group of the runs of leaves of one group, of long ones."""
  edges = np.flatnonzero(np.diff(groups, prepend=-1, append=-1))
  places, shown = [], []
  for first, last in zip(edges[:-1], edges[1:]):
    if last - first >= shortest:
      places.append(5.0 * (first + last))
      shown.append(str(group_names[groups[first]]))
  return places, shown


def _legend(groups, group_names) -> list[Line2D]:
  used = np.unique(groups).tolist()
  handles = []
  for group in used[:_LEGEND_ENTRIES]:
    color, marker = _look(group)
    name = style.shorten(str(group_names[group]), 30)
    handles.append(
        Line2D([], [], ls="", marker=marker, ms=6, color=color, label=name)
    )
  if len(used) > _LEGEND_ENTRIES:
    more = f"and {len(used) - _LEGEND_ENTRIES} more"
    handles.append(Line2D([], [], ls="", label=more))
  handles.append(Line2D([], [], color=_MIXED, lw=0.9, label="mixed"))
  return handles
