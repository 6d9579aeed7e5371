"""The numbers of a table of ablations whose cells have all been run."""

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
from typing import Any

from alignet.data import images as images_lib
from alignet.evals import model as model_lib
from alignet.evals.scores import bootstrap
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.pipeline import runner
from alignet.pipeline.sweep import ablation
from alignet.pipeline.sweep.sweep import Cell
from alignet.pipeline.sweep.sweep import Sweep
from alignet.report import ablation as page
import ml_collections
import numpy as np

_HEAD = "_head_dot"
_MOST_CONCEPTS = 1_000_000  # Of a world: what parts those of two.


def write(sweep: Sweep, out: files.Path) -> list[pathlib.Path]:
  """Writes the finished table into its folder; the paths written."""
  name = "-".join(pathlib.Path(x).stem for x in (sweep.table, sweep.scale))
  return page.write(pathlib.Path(out) / "tables" / name, results(sweep, out))


def results(
    sweep: Sweep, out: files.Path, *, resamples: int = 1000
) -> dict[str, Any]:
  """The numbers of a table whose cells have all been run.

  Differences are paired on the same trials; intervals are 95 % of a bootstrap
  over concepts, of class accuracy over classes, in which the trials of all
  seeds are pooled. Where each seed draws a world, concepts of two worlds are
  different concepts.

  Args:
    sweep: the table.
    out: folder of the sweep.
    resamples: of the bootstrap.

  Returns:
    {"title", "question", "paper", "scale", "overrides", "observers", "sets",
    "seeds", "meta", "lines": [{"name", "settings", "scores": {score: {"mean",
    "seeds", "base", "to_base": {"mean", "low", "high", "se"}, "to_first": …
    }}}]}.
    Scores are `{set}` (cosine of pre_logits) and `{set}_head_dot`, agreement
    with the most likely answer, and `class_accuracy` (10-NN).
  """
  table = sweep.load()
  by_line = {}
  for cell in sweep.cells():
    by_line.setdefault(cell.name, []).append(_scores(sweep, cell, out))
  lines, first = [], None
  settings = {cell.name: cell.settings for cell in sweep.cells()}
  for name, found in by_line.items():
    scores = {}
    for score in found[0]:
      scores[score] = _line(
          [rows[score] for rows in found],
          first and [rows[score] for rows in first],
          resamples,
      )
    first = first or found
    lines.append({"name": name, "settings": settings[name], "scores": scores})
  scale = sweep.load_scale()
  heads = [score for score in first[0] if score.endswith(_HEAD)]
  sets = [score.removesuffix(_HEAD) for score in heads]
  return {
      "title": table.title,
      "question": table.question,
      "paper": table.get("paper", ""),
      "scale": pathlib.Path(sweep.scale).stem,
      "observers": scale.observers,
      "sets": {name: scale.sets.get(name, name) for name in sets},
      "overrides": list(sweep.overrides),
      "seeds": list(sweep.seeds),
      "lines": lines,
      "meta": {"versions": files.versions()},
  }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
  """A score of each trial, of the student and of its base.

  Attributes:
    student: (n,) floats.
    base: (n,) floats, on the same trials.
    concepts: (n, 3) what is drawn: concepts of the trials, classes of images.
  """

  student: np.ndarray
  base: np.ndarray
  concepts: np.ndarray


def _scores(sweep: Sweep, cell: Cell, out: files.Path) -> dict[str, _Rows]:
  config = sweep.pipeline(cell)
  plans = runner.plan(config)
  folders = {
      name: runner.folder_of(plan, pathlib.Path(out).absolute())
      for name, plan in plans.items()
  }
  student, base = (
      files.load_npz(folders[name] / "scores.npz", required=("knn",))
      for name in ("evaluate", "evaluate_base")
  )
  store = images_lib.open_store(_find(config, config.roles.test, folders))
  world = _MOST_CONCEPTS * cell.seed if config.draws_world else 0
  rows = {}
  sets = trials_lib.read_folder(
      _find(config, config.roles.trials, folders), image_names=store.filenames
  )
  for name, trials in sets.items():
    of_trials, _ = model_lib.objects_of(
        store.labels, trials.indices, config.levels.concept
    )
    for score, key in ((name, "modal"), (name + _HEAD, "head_dot")):
      rows[score] = _Rows(
          student=student[f"{name}/{key}"],
          base=base[f"{name}/modal"],  # The base model has no such head.
          concepts=of_trials + world,
      )
  if "class_test" in config.roles:
    store = images_lib.open_store(
        _find(config, config.roles.class_test, folders)
    )
  classes, _ = model_lib.objects_of(
      store.labels, np.arange(len(store)), config.levels.classes
  )
  rows["class_accuracy"] = _Rows(
      student=student["knn"],
      base=base["knn"],
      concepts=np.repeat(classes[:, None] + world, 3, axis=1),
  )
  return rows


def _find(
    config: ml_collections.ConfigDict,
    path: str,
    folders: Mapping[str, pathlib.Path],
) -> pathlib.Path:
  """The path of a role: inside a stage's folder, or outside."""
  if ablation.is_outside(config, path):
    return pathlib.Path(path)
  name, _, inside = path.partition("/")
  return folders[name] / inside


def _line(
    rows: Sequence[_Rows], first: Sequence[_Rows] | None, resamples: int
) -> dict[str, Any]:
  """One score of a line, seeds pooled."""
  student = np.concatenate([r.student for r in rows]).astype(np.float64)
  base = np.concatenate([r.base for r in rows]).astype(np.float64)
  out = {
      "mean": float(student.mean()),
      "seeds": [float(r.student.mean()) for r in rows],
      "base": float(base.mean()),
  }
  others = {"to_base": base}
  if first:
    others["to_first"] = np.concatenate([r.student for r in first])
  for key, other in others.items():
    found = bootstrap.paired_difference(
        student,
        other,
        np.concatenate([r.concepts for r in rows]),
        rng=np.random.default_rng(0),
        resamples=resamples,
    )
    out[key] = {
        "mean": found.mean,
        "low": found.low,
        "high": found.high,
        "se": found.se,
    }
  return out
