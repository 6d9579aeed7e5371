"""Charts: scores with intervals, learning curves, entropies of targets."""

from collections.abc import Mapping, Sequence
import math
import textwrap

from alignet.errors import AlignetError
from alignet.report import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
import numpy as np

_UNIFORM = math.log(3)
_WIDTH = 6.1  # Inches; a page is as wide.


@style.styled
def scores_with_intervals(
    rows: Mapping[str, Mapping[str, tuple[float, float, float]]],
    sets: Sequence[str],
    title: str,
    *,
    set_names: Mapping[str, str] | None = None,
    chance: Mapping[str, float] | None = None,
    chance_name: str = "chance",
    ceiling: Mapping[str, float] | None = None,
    label: str = "accuracy (proportion)",
) -> Figure:
  """Dot plot of each model's scores with their intervals.

  Args:
    rows: model -> set -> (value, low, high); a missing set is left out, an
      interval that is NaN is not drawn.
    sets: the sets to show, from top to bottom.
    title: title of the figure.
    set_names: set -> text on the axis, where it differs.
    chance: set -> score of a random choice, drawn as a dashed line.
    chance_name: what the dashed line is called.
    ceiling: set -> best possible score, drawn as a dotted line.
    label: name and unit of the score.

  Returns:
    A figure.

  Raises:
    AlignetError: nothing to draw.
  """
  if not rows or not sets:
    raise AlignetError(
        "scores: expected at least one model and one set, found"
        f" {len(rows)} and {len(sets)}"
    )
  colors = style.model_colors(rows)
  step = 0.8 / max(len(rows), 2)
  height = 1.3 + len(sets) * (0.25 + 0.17 * max(len(rows), 2))
  fig = style.figure(_WIDTH, height)
  ax = fig.add_subplot()
  for number, (model, scores) in enumerate(rows.items()):
    offset = (number - (len(rows) - 1) / 2) * step
    for y, name in enumerate(sets):
      if name not in scores:
        continue
      value, low, high = scores[name]
      ax.plot(
          value,
          y + offset,
          style.MARKERS[number % len(style.MARKERS)],
          color=colors[model],
          markersize=6.5,
          zorder=3,
      )
      if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [y + offset] * 2, color=colors[model], lw=2)
  handles = _of_models(rows, colors, lw=2)
  for values, dash, name in (
      (chance, "--", chance_name),
      (ceiling, ":", "ceiling"),
  ):
    drawn = [s for s in sets if s in (values or {})]
    for s in drawn:
      y = list(sets).index(s)
      ax.plot([values[s]] * 2, [y - 0.45, y + 0.45], dash, color="#333333")
    if drawn:
      handles.append(
          Line2D([], [], color="#333333", linestyle=dash, label=name)
      )
  ax.set_yticks(
      range(len(sets)),
      [
          textwrap.fill(style.shorten((set_names or {}).get(s, s), 68), 24)
          for s in sets
      ],
      fontsize=10,
  )
  ax.set_ylim(len(sets) - 0.45, -0.55)
  ax.tick_params(axis="y", length=0)
  for y in range(len(sets) - 1):
    ax.axhline(y + 0.5, color="#CCCCCC", lw=0.8)
  ax.grid(True, axis="x")
  ax.set_xlabel(label)
  ax.set_title(title)
  _legend_below(fig, handles, _WIDTH)
  return fig


def _of_models(models, colors, **look) -> list[Line2D]:
  """A legend's entry of each model."""
  return [
      Line2D(
          *([], []),
          color=colors[model],
          marker=style.MARKERS[number % len(style.MARKERS)],
          label=style.shorten(model, 40),
          **look,
      )
      for number, model in enumerate(models)
  ]


def _legend_below(fig: Figure, handles: list[Line2D], width: float) -> None:
  columns = style.legend_columns(handles, width)
  fig.legend(handles=handles, loc="outside lower center", ncols=columns)


@style.styled
def learning_curves(
    curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
) -> Figure:
  """Draws one panel a quantity with one line a model.

  Args:
    curves: quantity, with its unit -> model -> (steps (m,), values (m,)).

  Returns:
    A figure with up to three panels side by side and one legend.

  Raises:
    AlignetError: nothing to draw, or steps and values of different lengths.
  """
  if not curves:
    raise AlignetError("learning curves: expected at least one, found none")
  models = list(dict.fromkeys(m for panel in curves.values() for m in panel))
  colors = style.model_colors(models)
  columns = min(3, len(curves))
  rows = -(-len(curves) // columns)
  width = max(3.3 * columns, 4.8)
  fig = style.figure(width, 2.9 * rows + 0.5)
  axes = fig.subplots(rows, columns, squeeze=False)
  for ax, (panel, lines) in zip(axes.flat, curves.items()):
    for model, (steps, values) in lines.items():
      if np.shape(steps) != np.shape(values) or np.ndim(steps) != 1:
        raise AlignetError(
            f"curve {panel} of {model}: expected as many steps as values, found"
            f" shapes {np.shape(steps)} and {np.shape(values)}"
        )
      number = models.index(model)
      ax.plot(
          steps,
          values,
          color=colors[model],
          lw=1.6,
          marker=style.MARKERS[number % 8] if len(steps) <= 25 else None,
          markersize=4,
      )
    ax.set_title(textwrap.fill(style.shorten(panel, 68), 34), fontsize=10)
    ax.set_xlabel("training step")
    ax.grid(True)
    ax.locator_params(axis="x", nbins=5)
  for ax in axes.flat[len(curves) :]:
    ax.axis("off")
  if models:
    _legend_below(fig, _of_models(models, colors, markersize=5), width)
  return fig


@style.styled
def calibration(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> Figure:
  """How often people agree with a pair, over how sure the model was of it.

  Args:
    curves: model, perhaps with its error -> confidences, outcomes.

  Returns:
    A figure; the diagonal is perfect calibration.
  """
  if not curves:
    raise AlignetError("calibration: expected at least one curve, found none")
  colors = style.model_colors(curves)
  fig = style.figure(4.4, 4.0)
  ax = fig.add_subplot()
  ax.plot([1 / 3, 1], [1 / 3, 1], "--", color="#777777", lw=1)
  for number, (name, (confidence, outcome)) in enumerate(curves.items()):
    marker = style.MARKERS[number % len(style.MARKERS)]
    ax.plot(
        confidence,
        outcome,
        marker=marker,
        markersize=5,
        color=colors[name],
        label=style.shorten(name, 40),
    )
  ax.set_xlabel("probability of the pair chosen")
  ax.set_ylabel("people who choose that pair (proportion)")
  ax.grid(True)
  ax.legend(loc="upper left")
  return fig


@style.styled
def budget(
    lines: Mapping[int, tuple[Sequence[int], Sequence[float], Sequence[float]]],
    teacher: str,
) -> Figure:
  """Held-out agreement over the number of choices, a line a number of concepts.

  Args:
    lines: concepts -> numbers of choices, mean agreement, its spread (standard
      deviation over the repeats).
    teacher: which one was fitted; the title.

  Returns:
    A figure.
  """
  if not lines:
    raise AlignetError("budget: expected at least one line, found none")
  fig = style.figure(5.6, 3.6)
  ax = fig.add_subplot()
  colors = style.group_colors(len(lines))
  for number, (k, (choices, mean, spread)) in enumerate(sorted(lines.items())):
    ax.errorbar(
        choices,
        mean,
        yerr=spread,
        marker=style.MARKERS[number % len(style.MARKERS)],
        markersize=5,
        capsize=2,
        color=colors[number],
        label=f"{k} concepts",
    )
  ax.axhline(1 / 3, linestyle="--", color="#777777", lw=1)
  ax.set_xscale("log")
  shown = sorted({m for choices, *_ in lines.values() for m in choices})
  ax.set_xticks(shown, [f"{m:,}" for m in shown])
  ax.minorticks_off()
  ax.set_xlabel("choices (log scale)")
  ax.set_ylabel("agreement on held-out concepts")
  ax.set_title(teacher, fontsize=10)
  ax.grid(True)
  ax.legend()
  return fig


@style.styled
def cluster_curve(
    curve: Mapping[int, Mapping[str, float]],
) -> Figure:
  """Inertia (elbow) and silhouette of clusterings over their number k.

  Args:
    curve: k -> {"inertia", "silhouette"}.

  Returns:
    A figure of two panels.
  """
  if not curve:
    raise AlignetError("cluster curve: expected at least one k, found none")
  ks = sorted(curve)
  fig = style.figure(6.6, 2.9)
  for ax, (key, label) in zip(
      fig.subplots(1, 2),
      (
          ("inertia", "inertia (sum of squared distances)"),
          ("silhouette", "silhouette (-1 to 1)"),
      ),
  ):
    ax.plot(ks, [curve[k][key] for k in ks], "o-", color=style.OKABE_ITO[0])
    ax.set_xlabel("clusters k")
    ax.set_ylabel(label)
    ax.grid(True)
    if len(ks) > 1 and ks[-1] / ks[0] > 8:
      ax.set_xscale("log")
      ax.set_xticks(ks, [str(k) for k in ks])
      ax.minorticks_off()
  return fig


@style.styled
def entropy_histogram(entropies: Mapping[str, np.ndarray]) -> Figure:
  """Histogram of the entropy of target choice probabilities.

  Args:
    entropies: name of the targets -> (n,) entropies in nats, from 0 (certain)
      to ln 3 (any of the three pairs).

  Returns:
    A figure; the legend states each mean.

  Raises:
    AlignetError: nothing to draw, or entropies that are not in [0, ln 3].
  """
  if not entropies:
    raise AlignetError("entropies: expected at least one array, found none")
  colors = style.model_colors(entropies)
  fig = style.figure(_WIDTH, 3.4)
  ax = fig.add_subplot()
  edges = np.linspace(0, _UNIFORM, 41)
  for number, (name, values) in enumerate(entropies.items()):
    values = np.asarray(values, np.float64)
    tolerance = 1e-4
    if not values.size or not (
        values.min() >= -tolerance and values.max() <= _UNIFORM + tolerance
    ):
      raise AlignetError(
          f"entropies of {name}: expected at least one, all in nats from 0 to"
          f" ln 3 = {_UNIFORM:.4f}"
      )
    values = np.clip(values, 0, _UNIFORM)
    share = np.histogram(values, edges)[0] / len(values) * 100
    label = f"{style.shorten(name, 40)} (mean {values.mean():.2f})"
    ax.stairs(share, edges, color=colors[name], fill=True, alpha=0.15)
    ax.stairs(
        share,
        edges,
        color=colors[name],
        lw=2,
        linestyle=("-", "--", "-.", ":")[number % 4],
        label=label,
    )
  ax.axvline(_UNIFORM, color="#333333", ls=":", label="uniform: ln 3 = 1.10")
  ax.set_xlabel("entropy of the target choice probabilities (nats)")
  ax.set_ylabel("share of triplets (%)")
  ax.set_ylim(bottom=0)
  ax.grid(True, axis="y")
  fig.legend(loc="outside lower center", ncols=2)
  return fig
