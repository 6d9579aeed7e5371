"""Dendrograms: joins, colours, order and sizes."""

import io

from alignet.errors import AlignetError
from alignet.report import style
from alignet.report import tree
import matplotlib
from matplotlib.image import imread
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("error")


def _distances(positions):
  x = np.asarray(positions, float)
  return np.abs(x[:, None] - x)


def test_joins_colours_and_heights():
  """0 and 1 join at 1; 10 and 12 at 2; the pairs at their mean distance."""
  fig = tree.dendrograms(
      {"m": _distances([0, 1, 10, 12])},
      list("abcd"),
      np.array([0, 0, 1, 2]),
      "XYZ",
  )
  (ax,) = fig.axes
  (drawn,) = ax.collections
  joins = {
      round(max(path.vertices[:, 0]), 6): matplotlib.colors.to_hex(color)
      for path, color in zip(drawn.get_paths(), drawn.get_colors())
  }
  assert joins == {
      1: style.OKABE_ITO[0].lower(),
      2: "#b0b0b0",
      10.5: "#b0b0b0",
  }
  names = [t.get_text() for t in ax.get_yticklabels()]
  assert {frozenset(names[:2]), frozenset(names[2:])} == {
      *(frozenset("ab"), frozenset("cd")),
  }
  # Each marker lies at the name of a leaf of its group.
  places = dict(zip(ax.get_yticks(), names))
  found = {
      places[y]: line.get_color() for line in ax.lines for y in line.get_ydata()
  }
  assert found == {
      name: style.OKABE_ITO[group] for name, group in zip("abcd", (0, 0, 1, 2))
  }
  # The lowest join goes from leaf to leaf.
  lowest = min(drawn.get_paths(), key=lambda path: path.vertices[:, 0].max())
  assert {places[y] for y in lowest.vertices[:, 1]} == {"a", "b"}


def test_a_chain_deeper_than_the_interpreter_s_stack():
  fig = tree.dendrograms(
      {"m": _distances(1.01 ** np.arange(1500))},
      [""] * 1500,
      np.zeros(1500, int),
      ["g"],
  )
  assert len(fig.axes[0].collections[0].get_paths()) == 1499


def test_long_names_are_told_apart():
  names = [f"magenta outlined striped {x}" for x in ("disc", "bean", "flower")]
  matrix = np.ones((3, 3)) - np.eye(3)
  fig = tree.dendrograms({"m": matrix}, names, np.zeros(3, int), ["X"])
  (ax,) = fig.axes
  assert {t.get_text() for t in ax.get_yticklabels()} == set(names)
  fig.canvas.draw()
  page = fig.get_window_extent()
  for text in ax.get_yticklabels():
    assert text.get_window_extent().x1 <= page.x1


def test_of_many_leaves_the_groups_are_named():
  """Two far clouds of 100 leaves, and a lone leaf between without a name."""
  positions = np.concatenate(
      [np.arange(100) / 100, [50], 99 + np.arange(100) / 100]
  )
  groups = np.repeat([0, 1, 2], [100, 1, 100])
  fig = tree.dendrograms(
      {"m": _distances(positions)},
      [""] * 201,
      groups,
      ["left", "lone", "right"],
  )
  (ax,) = fig.axes
  names = [t.get_text() for t in ax.get_yticklabels()]
  assert set(names) == {"left", "right"}
  for place, name in zip(ax.get_yticks(), names):
    color = style.OKABE_ITO[0 if name == "left" else 2]
    of_group = [x for x in ax.lines if x.get_color() == color]
    assert np.mean(of_group[0].get_ydata()) == place


@pytest.mark.parametrize("k, n_groups", [(2, 1), (100, 20), (400, 60)])
def test_draws_at_all_sizes(k, n_groups):
  rng = np.random.default_rng(0)
  d = {f"m{i}": _distances(rng.normal(size=k)) for i in range(2)}
  fig = tree.dendrograms(
      d,
      [f"a long name of class {i}" for i in range(k)],
      np.arange(k) % n_groups,
      [f"group {g}" for g in range(n_groups)],
  )
  image = imread(io.BytesIO(style.png(fig)))
  assert image.shape[0] < 20 * style.DPI
  assert isinstance(fig, matplotlib.figure.Figure)


def test_equal_classes_draw():
  fig = tree.dendrograms(
      {"m": np.zeros((3, 3))}, list("abc"), np.zeros(3, int), ["g"]
  )
  assert style.png(fig)


@pytest.mark.parametrize(
    "change",
    [
        {"distances": {}},
        {"distances": {"m": np.zeros((2, 2))}},
        {"names": "ab"},
        {"groups": np.array([0, 1, 5])},
    ],
)
def test_refuses(change):
  given = {
      "distances": {"m": np.zeros((3, 3))},
      "names": "abc",
      "groups": np.array([0, 0, 1]),
      "group_names": "XY",
  }
  with pytest.raises(AlignetError, match="expected"):
    tree.dendrograms(**given | change)
