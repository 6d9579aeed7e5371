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

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import files
from alignet.pipeline import runner
from alignet.pipeline.sweep import ablation
import jax
import ml_collections


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
  errors.check_least(1, processes=processes)
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


def stages(sweep: Sweep) -> Iterator[tuple[Cell, dict[str, Any]]]:
  """Each cell with its plan, as if the files from outside were there."""
  for cell in sweep.cells():
    scale = sweep.load_scale()
    for name, path in scale.get("paths", {}).items():
      if not path:  # Two files that are not given yet are not the same one.
        scale.paths[name] = f"/{name}"
    config = ablation.complete(scale, cell.settings, cell.seed)
    yield cell, runner.plan(config, without_files=True)
