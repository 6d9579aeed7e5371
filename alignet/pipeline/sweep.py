"""Runs a table of ablations: its cells times seeds, sharing what they share.

Every cell is a pipeline in one folder (`ablation.complete`), so a stage that
two cells agree on runs once, a killed sweep goes on where it was, and several
processes may work on one folder, on any number of machines that see it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import process
import dataclasses
import multiprocessing
import pathlib
from typing import Any

from alignet import config_files
from alignet import files
from alignet.data import images as images_lib
from alignet.data import trials as trials_lib
from alignet.errors import AlignetError
from alignet.evals import stored
from alignet.pipeline import ablation
from alignet.pipeline import runner
from alignet.scores import bootstrap
import jax
import ml_collections
import numpy as np

_HEAD = "_head_dot"
_MOST_CONCEPTS = 1_000_000  # Of a world: what parts those of two.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
  """One line of a table with one seed.

  Attributes:
    name: of the line.
    settings: what differs from the scale's settings.
    seed: see `ablation.complete`.
  """

  name: str
  settings: Mapping[str, Any]
  seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
  """A table at a scale.

  Attributes:
    table: name or path of a config of `configs/ablations/`.
    scale: name of a config of `configs/scales/`, or path of one's own.
    overrides: of the scale's config, `"paths.tfds=DIR"`.
    seeds: a cell each.
  """

  table: str
  scale: str
  overrides: Sequence[str] = ()
  seeds: Sequence[int] = (0, 1, 2)

  def load(self) -> ml_collections.ConfigDict:
    """The table's config."""
    table = config_files.load(self.table)
    if "cells" not in table or not table.cells:
      raise AlignetError(
          f"{self.table} is no table of ablations: it has no cells"
      )
    return table

  def cells(self) -> list[Cell]:
    """All cells that the scale has, seeds innermost; the first is the default.

    A cell that names the scales it exists at is left out of the others, and one
    that needs a path that a scale may do without, where that is not given.

    Raises:
      AlignetError: a config that is no table, or one without cells at this
        scale.
    """
    scale = pathlib.Path(self.scale).stem
    config = self.load_scale()
    absent = [p for p in config.get("optional", ()) if not config.paths[p]]
    lines = [
        line
        for line in self.load().cells
        if scale in line.get("scales", (scale,))
        and line.get("needs") not in absent
    ]
    if not lines:
      raise AlignetError(
          f"the table {self.table} has no cells at the scale {self.scale}"
      )
    return [
        Cell(name=line["name"], settings=line["settings"], seed=seed)
        for line in lines
        for seed in self.seeds
    ]

  def load_scale(self) -> ml_collections.ConfigDict:
    """The scale's config, a new one each time."""
    name = self.scale if self.scale.endswith(".py") else f"scales/{self.scale}"
    return config_files.load(name, self.overrides)

  def pipeline(self, cell: Cell) -> ml_collections.ConfigDict:
    """The config of a cell."""
    return ablation.complete(self.load_scale(), cell.settings, cell.seed)


def run(
    sweep: Sweep,
    cell: Cell,
    out: files.Path,
    *,
    say: Callable[[str], None] = print,
) -> None:
  """Runs what is missing of one cell in the folder of the sweep."""
  out = pathlib.Path(out).absolute()
  try:
    runner.run_stages(runner.plan(sweep.pipeline(cell)), out, say=say)
  finally:
    # A student's programs hold some 2,000 memory maps, and Linux gives a
    # process 65,530: beyond, XLA aborts.
    jax.clear_caches()


def run_all(
    sweep: Sweep,
    cells: Sequence[Cell],
    out: files.Path,
    *,
    processes: int = 1,
    say: Callable[[str], None] = print,
) -> None:
  """Runs cells, several at a time in processes of their own.

  A stage that two of them need is run by the first; the other waits.

  Raises:
    AlignetError: that of the first cell that fails; others have ended or are
      left for the next run.
  """
  if processes < 1:
    raise AlignetError(f"processes: expected 1 or more, found {processes}")
  if processes == 1:
    for number, cell in enumerate(cells, start=1):
      say(f"({number}/{len(cells)}) {cell.name}, seed {cell.seed}")
      run(sweep, cell, out, say=say)
    return
  # A fork would copy JAX's threads in the middle of what they do.
  context = multiprocessing.get_context("spawn")
  with futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
    running = {
        pool.submit(run, sweep, cell, out, say=_silent): cell for cell in cells
    }
    try:
      for number, done in enumerate(futures.as_completed(running), start=1):
        done.result()
        cell = running[done]
        say(f"({number}/{len(cells)}) {cell.name}, seed {cell.seed}")
    except process.BrokenProcessPool as e:
      raise AlignetError(
          "a process was killed, perhaps for want of memory; the same command"
          " goes on, with fewer --processes if so"
      ) from e
    finally:
      pool.shutdown(cancel_futures=True)


def _silent(line: str) -> None:
  del line


def write(sweep: Sweep, out: files.Path) -> list[pathlib.Path]:
  """Writes the finished table into its folder; the paths written."""
  from alignet.report import ablation as page  # pylint: disable=g-import-not-at-top

  name = "-".join(pathlib.Path(x).stem for x in (sweep.table, sweep.scale))
  return page.write(pathlib.Path(out) / "tables" / name, results(sweep, out))


def missing(sweep: Sweep, out: files.Path) -> list[Cell]:
  """Cells that have not been run to their end in this folder."""
  return [
      cell
      for cell in sweep.cells()
      if not all(
          runner.is_done(plan, out)
          for plan in runner.plan(sweep.pipeline(cell)).values()
      )
  ]


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
    of_trials, _ = stored.objects_of(
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
  classes, _ = stored.objects_of(
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


def stages(sweep: Sweep) -> Iterator[tuple[Cell, dict[str, Any]]]:
  """Each cell with its plan, as if the files from outside were there."""
  for cell in sweep.cells():
    scale = sweep.load_scale()
    for name, path in scale.get("paths", {}).items():
      if not path:  # Two files that are not given yet are not the same one.
        scale.paths[name] = f"/{name}"
    config = ablation.complete(scale, cell.settings, cell.seed)
    yield cell, runner.plan(config, without_files=True)
