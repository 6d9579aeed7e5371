"""All charts: edge sizes, layout warnings as errors, what is drawn where."""

import io
import math

from alignet.errors import AlignetError
from alignet.report import figures
from alignet.report import gallery
from alignet.report import structure
from alignet.report import style
import matplotlib
from matplotlib.image import imread
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("error")


def _draw(fig) -> np.ndarray:
  return imread(io.BytesIO(style.png(fig)))


def _gallery(n=1, size=8, **kwargs):
  images = np.zeros((n, 3, size, size, 3), np.uint8)
  images[:] = np.arange(3)[None, :, None, None, None] * 100 + 20
  return gallery.triplet_gallery(images, np.full(n, 2), **kwargs)


@pytest.mark.parametrize("n,columns", [(1, 1), (1, 3), (5, 2)])
@pytest.mark.parametrize("size", [3, 32, 224])
def test_gallery_draws(n, columns, size):
  choices = {"base": np.zeros(n, int), "aligned": np.full(n, 2)}
  assert _draw(_gallery(n, size, choices=choices, columns=columns)).size


def test_gallery_without_models_and_with_odd_names():
  names = np.array([["$x$", "<b>", "word " * 30]])
  assert _draw(_gallery(choices={}, names=names)).size


def test_gallery_badges_lie_under_the_chosen_image():
  fig = _gallery(choices={"base": np.array([0]), "aligned": np.array([2])})
  (ax,) = fig.axes
  x = {t.get_text(): t.get_position()[0] for t in ax.texts}
  centres = [(i.get_extent()[0] + i.get_extent()[1]) / 2 for i in ax.images]
  assert x["✗ base"] == pytest.approx(centres[0])
  assert x["✓ aligned"] == pytest.approx(centres[2])
  assert x["observers"] == pytest.approx(centres[2])


def test_gallery_probability_of_a_pair_stands_under_the_image_left_out():
  # Column s01 leaves out image 2, s02 image 1, s12 image 0.
  fig = _gallery(choices={}, probabilities=np.array([[0.7, 0.2, 0.1]]))
  (ax,) = fig.axes
  x = {t.get_text(): t.get_position()[0] for t in ax.texts}
  assert x["10%"] < x["20%"] < x["70%"]


def test_gallery_enlarges_by_repeating_pixels():
  images = np.zeros((1, 3, 4, 4, 3), np.uint8)
  images[..., ::2, :, :] = 255
  drawn = _draw(gallery.triplet_gallery(images, np.array([2]), {}))
  scale = round(1.3 * style.DPI / 4)
  left, _, top, _ = (0.12, None, 0.12, None)
  x, y = (round(v * style.DPI) for v in (left, top))
  inside = drawn[y + 2 : y + 4 * scale - 2, x + 5, 0]
  assert set(np.unique(inside)) == {0.0, 1.0}
  changes = np.flatnonzero(np.diff(inside))
  assert set(np.diff(changes)) == {scale}


@pytest.mark.parametrize(
    "change",
    [
        {"expected": np.array([3])},
        {"expected": np.array([0, 1])},
        {"choices": {"base": np.array([-1])}},
        {"names": np.array([["a", "b"]])},
        {"images": np.zeros((1, 3, 4, 4, 3), np.float32)},
        {"images": np.zeros((0, 3, 4, 4, 3), np.uint8)},
    ],
)
def test_gallery_refuses(change):
  given = {
      "images": np.zeros((1, 3, 4, 4, 3), np.uint8),
      "expected": np.array([0]),
      "choices": {},
  }
  with pytest.raises(AlignetError, match="expected"):
    gallery.triplet_gallery(**given | change)


@pytest.mark.parametrize("n_matrices", [1, 2, 4])
@pytest.mark.parametrize("n,k", [(1, 1), (30, 1), (200, 60)])
@pytest.mark.parametrize("shared", [True, False])
def test_matrices_draw(n_matrices, n, k, shared):
  rng = np.random.default_rng(0)
  matrices = {f"m{i}": rng.normal(size=(n, n)) for i in range(n_matrices)}
  fig = structure.similarity_matrices(
      matrices,
      np.arange(n) % k,
      [f"a long category name {g}" for g in range(k)],
      subgroups=np.arange(n) % (2 * k),
      shared_scale=shared,
  )
  assert _draw(fig).size


def test_matrices_are_sorted_by_group_then_subgroup():
  rng = np.random.default_rng(1)
  groups = rng.integers(0, 3, 20)
  fine = rng.integers(0, 2, 20)
  # Entry (i, j) tells its row.
  matrix = np.repeat((groups * 10 + fine)[:, None], 20, axis=1).astype(float)
  fig = structure.similarity_matrices(
      {"m": matrix}, groups, "abc", subgroups=fine
  )
  shown = fig.axes[0].images[0].get_array()
  np.testing.assert_array_equal(shown[:, 0], sorted(matrix[:, 0]))


def test_matrices_share_one_scale_or_not():
  rng = np.random.default_rng(1)
  matrix = rng.normal(size=(10, 10))
  pair = {"a": matrix, "b": matrix + 5}
  for shared in (True, False):
    fig = structure.similarity_matrices(
        pair, np.zeros(10, int), ["all"], shared_scale=shared
    )
    limits = {ax.images[0].get_clim() for ax in fig.axes[:2]}
    assert len(limits) == (1 if shared else 2)


def test_group_names_of_a_matrix_keep_their_distance():
  rng = np.random.default_rng(2)
  n, k = 400, 90
  fig = structure.similarity_matrices(
      {"m": rng.normal(size=(n, n))},
      np.sort(rng.integers(0, k, n)),
      [str(i) for i in range(k)],
  )
  fig.draw_without_rendering()
  ticks = fig.axes[0].get_yticklabels()
  boxes = sorted((t.get_window_extent() for t in ticks), key=lambda b: b.y0)
  assert len(boxes) > 10
  assert all(a.y1 < b.y1 - 0.5 * b.height for a, b in zip(boxes, boxes[1:]))


@pytest.mark.parametrize("n_maps", [1, 2, 4])
@pytest.mark.parametrize("n,k", [(1, 1), (50, 9), (300, 90)])
@pytest.mark.parametrize("marked", [True, False])
def test_maps_draw(n_maps, n, k, marked):
  rng = np.random.default_rng(0)
  groups = np.arange(n) % k
  points = {f"m{i}": rng.normal(size=(n, 2)) for i in range(n_maps)}
  fig = structure.maps(
      points,
      groups,
      [f"name {g}" for g in range(k)],
      marks=np.arange(n) % 2 if marked else None,
      mark_names=("seen", "held out") if marked else (),
      explained={"m0": np.array([0.5, 0.25])},
  )
  assert _draw(fig).size
  assert fig.axes[0].get_xlabel() == "component 1 (50% of variance)"
  drawn = np.concatenate([c.get_offsets() for c in fig.axes[0].collections])
  np.testing.assert_array_equal(
      np.sort(drawn, axis=0), np.sort(points["m0"], axis=0)
  )


@pytest.mark.parametrize("draw", ["similarity_matrices", "maps"])
def test_structure_refuses(draw):
  function = getattr(structure, draw)
  array = np.zeros((3, 3) if draw == "similarity_matrices" else (3, 2))
  with pytest.raises(AlignetError, match="at least one"):
    function({}, np.zeros(3, int), ["a"])
  with pytest.raises(AlignetError, match="shape"):
    function({"m": array}, np.zeros(4, int), ["a"])
  with pytest.raises(AlignetError, match="from 0 to 0"):
    function({"m": array}, np.arange(3), ["a"])


@pytest.mark.parametrize("n_models", [1, 4, 12])
def test_scores_draw(n_models):
  rows = {
      f"model {i}": {"a": (0.5, 0.4, 0.6), "b": (0.5, math.nan, math.nan)}
      for i in range(n_models)
  }
  rows["incomplete"] = {}
  fig = figures.scores_with_intervals(
      rows, ["a", "b", "c"], "t", chance={"a": 1 / 3}, ceiling={"z": 1.0}
  )
  assert _draw(fig).size


def test_scores_show_value_and_interval():
  fig = figures.scores_with_intervals({"m": {"a": (0.5, 0.4, 0.7)}}, ["a"], "t")
  drawn = [list(line.get_xdata()) for line in fig.axes[0].lines]
  assert [0.5] in drawn and [0.4, 0.7] in drawn
  with pytest.raises(AlignetError):
    figures.scores_with_intervals({}, ["a"], "t")


@pytest.mark.parametrize("n_panels", [1, 2, 3, 5])
@pytest.mark.parametrize("n_models", [1, 9])
def test_curves_draw(n_panels, n_models):
  steps = np.arange(40)
  values = np.where(steps == 3, np.nan, steps / 40)
  curves = {
      f"loss {p} (nats)": {f"m{i}": (steps, values) for i in range(n_models)}
      for p in range(n_panels)
  }
  curves["loss 0 (nats)"]["short"] = (np.array([5]), np.array([1.0]))
  assert _draw(figures.learning_curves(curves)).size


def test_curves_refuse():
  with pytest.raises(AlignetError, match="at least one"):
    figures.learning_curves({})
  with pytest.raises(AlignetError, match="as many steps"):
    figures.learning_curves({"loss": {"m": (np.arange(3), np.arange(2))}})


def test_entropy_shares_sum_to_all():
  values = np.array([0, 0.5, np.log(3), np.float32(np.log(3))])
  fig = figures.entropy_histogram({"aligned": values})
  shares = fig.axes[0].patches[0].get_data().values
  assert shares.sum() == pytest.approx(100)
  assert shares[-1] == 50
  assert _draw(fig).size


@pytest.mark.parametrize("bad", [[1.2], [-0.1], [np.nan], []])
def test_entropy_refuses(bad):
  with pytest.raises(AlignetError, match="nats"):
    figures.entropy_histogram({"m": np.array(bad)})


def test_known_models_keep_their_colour():
  both = style.model_colors(["base", "aligned"])
  more = style.model_colors(["x", "aligned (ours)", "y", "base"])
  assert more["base"] == both["base"]
  assert more["aligned (ours)"] == both["aligned"]
  assert len(set(more.values())) == 4


def test_settings_of_the_user_neither_matter_nor_change():
  before = dict(matplotlib.rcParams)
  draw = lambda: style.png(_gallery(choices={"base": np.array([1])}))
  plain = draw()
  assert dict(matplotlib.rcParams) == before
  with matplotlib.rc_context({"font.size": 30, "text.color": "red"}):
    assert draw() == plain


def test_png_holds_neither_version_nor_date():
  png = style.png(_gallery(choices={}))
  for key in (b"tEXt", b"tIME", b"iTXt"):
    assert key not in png
