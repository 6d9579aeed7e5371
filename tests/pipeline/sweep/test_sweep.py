"""A sweep from its command line, at the smallest size that runs."""

import json
import shutil
import signal
import subprocess
import sys

from alignet.cli import main as cli
from alignet.errors import AlignetError
from alignet.pipeline import runner
from alignet.pipeline.sweep import sweep as sweep_lib
from alignet.pipeline.sweep import sweep_results
from alignet.report import latex
from alignet.report import page
import jax
import numpy as np
import pytest
from tests import tiny

_TABLE = """
import ml_collections

def get_config():
  config = ml_collections.ConfigDict()
  config.title = "Losses"
  config.question = "Which?"
  config.cells = (
      dict(name="JSD", settings={}),
      dict(name="raw & more", settings=dict(teacher="untransformed")),
      dict(name="elsewhere", settings=dict(k=3), scales=("cifar",)),
  )
  return config
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
  """Folder of a sweep whose second half was another task."""
  root = tmp_path_factory.mktemp("sweep")
  (root / "tiny.py").write_text(tiny.SCALE)
  (root / "two.py").write_text(_TABLE)
  command = [
      *("sweep", str(root / "two.py"), f"--scale={root / 'tiny.py'}"),
      *("--seeds=0,1", f"--out={root / 'out'}", "--quiet"),
  ]
  assert cli.main([*command, "--part=0/2"]) == 0
  assert not (root / "out" / "tables").exists()
  assert cli.main([*command, "--part=1/2"]) == 0
  return root


def _sweep(root):
  return sweep_lib.Sweep(
      table=str(root / "two.py"), scale=str(root / "tiny.py"), seeds=(0, 1)
  )


@pytest.mark.slow
def test_table(swept):
  folder = swept / "out" / "tables" / "two-tiny"
  results = json.loads((folder / "results.json").read_text())
  assert [line["name"] for line in results["lines"]] == ["JSD", "raw & more"]
  first, second = (line["scores"] for line in results["lines"])
  assert "to_first" not in first["across"]
  for score, found in second.items():
    assert found["mean"] == pytest.approx(np.mean(found["seeds"]))
    gain, change = found["to_base"], found["to_first"]
    assert gain["mean"] == pytest.approx(found["mean"] - found["base"])
    assert change["mean"] == pytest.approx(found["mean"] - first[score]["mean"])
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert change["low"] <= change["mean"] <= change["high"]
  assert "simulated" in (folder / "report.html").read_text()
  assert r"raw \& more" in (folder / "table.tex").read_text()


@pytest.mark.slow
def test_intervals_of_class_accuracy_draw_classes(swept):
  sweep = _sweep(swept)
  cells = sweep.cells()[:2]  # Two worlds.
  a, b = (
      sweep_results._scores(sweep, cell, swept / "out")["class_accuracy"]
      for cell in cells
  )
  assert (a.concepts == a.concepts[:, :1]).all()
  assert len(np.unique(a.concepts)) * 6 == len(a.student)
  assert not set(a.concepts.ravel()) & set(b.concepts.ravel())


@pytest.mark.slow
def test_stages_are_shared(swept):
  stages = [p.name for p in (swept / "out" / "stages").iterdir()]
  count = lambda name: sum(s.startswith(f"{name}-") for s in stages)
  assert count("base") == count("clusters") == count("triplets") == 2
  assert count("student") == count("responses") == 4
  assert count("teacher") == 2


@pytest.mark.slow
def test_nothing_is_missing_and_nothing_runs_again(swept):
  sweep = _sweep(swept)
  assert sweep_lib.missing(sweep, swept / "out") == []
  said = []
  sweep_lib.run_all(sweep, sweep.cells(), swept / "out", say=said.append)
  assert all("done before" in s for s in said if s.startswith("["))


_KILLED = """
import os, pathlib, signal, sys
from alignet.training import training_run

def half(trainer):
  pathlib.Path(trainer.workdir, "half").write_text("of a training")
  os.kill(os.getpid(), signal.SIGKILL)

training_run.train = half
from alignet.cli import main
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_killed_sweep_goes_on(swept, tmp_path):
  """Killed in the middle of a student; the same command ends it, alike."""
  out = tmp_path / "out"
  shutil.copytree(swept / "out", out)
  shutil.rmtree(out / "tables")
  sweep = _sweep(swept)
  cell = sweep.cells()[1]
  plans = runner.plan(sweep.pipeline(cell))
  lost = [runner.folder_of(plans[n], out) for n in ("student", "evaluate")]
  for folder in lost:
    shutil.rmtree(folder)
  kept = {p: p.stat().st_mtime_ns for p in out.glob("stages/*/stage.json")}
  command = [
      *("sweep", str(swept / "two.py"), f"--scale={swept / 'tiny.py'}"),
      *("--seeds=0,1", f"--out={out}", "--quiet"),
  ]
  done = subprocess.run(
      [sys.executable, "-c", _KILLED, *command], timeout=600, check=False
  )
  assert done.returncode == -signal.SIGKILL
  (missing,) = sweep_lib.missing(sweep, out)
  assert (missing.name, missing.seed) == (cell.name, cell.seed)
  assert not (out / "tables").exists()
  assert cli.main(command) == 0
  assert {p: p.stat().st_mtime_ns for p in kept} == kept  # None ran again.
  table = "tables/two-tiny/results.json"
  assert (out / table).read_text() == (swept / "out" / table).read_text()
  weights = "weights.safetensors"
  there = runner.folder_of(plans["student"], swept / "out")
  assert (lost[0] / weights).read_bytes() == (there / weights).read_bytes()


@pytest.mark.slow
def test_a_cell_leaves_no_compiled_programs(swept):
  sweep = _sweep(swept)
  program = jax.jit(lambda x: x + 1)
  program(1.0)
  sweep_lib.run(sweep, sweep.cells()[0], swept / "out", say=lambda line: None)
  assert program._cache_size() == 0


@pytest.mark.slow
def test_cells_in_processes(swept):
  sweep = _sweep(swept)
  record = max((swept / "out" / "stages").glob("clusters-*/stage.json"))
  shutil.rmtree(record.parent)
  said = []
  cells = [cell for cell in sweep.cells() if cell.name == "JSD"]
  sweep_lib.run_all(sweep, cells, swept / "out", processes=2, say=said.append)
  assert len(said) == 2
  assert record.is_file() and not sweep_lib.missing(sweep, swept / "out")


@pytest.mark.slow
def test_a_lost_cell_is_missing(swept):
  sweep = _sweep(swept)
  record = min((swept / "out" / "stages").glob("teacher-*/stage.json"))
  text = record.read_text()
  record.unlink()
  try:
    (cell,) = sweep_lib.missing(sweep, swept / "out")
    assert cell.name == "JSD"
  finally:
    record.write_text(text)


def test_line():
  rows = [
      sweep_results._Rows(
          student=np.ones(3), base=np.zeros(3), concepts=np.eye(3, dtype=int)
      )
  ] * 2
  line = sweep_results._line(rows, rows, resamples=20)
  assert line["to_base"]["mean"] == 1 and line["to_first"]["mean"] == 0
  assert line["to_base"]["low"] == line["to_base"]["high"] == 1


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--task=0/2"], "--task is now called --part=I/N"),
        (["--part=2/2"], "argument --part: expected I/N"),
        (["--part=x"], "argument --part: expected I/N"),
        (["--merge"], "cells are still to be run"),
        (["--processes=0"], "processes: expected at least 1"),
        (["--dry_run", "--tflops=0"], "tflops: expected more than 0"),
    ],
)
def test_wrong_flags(flags, message, tmp_path, capsys):
  command = ["sweep", "loss", "--scale=shapes", f"--out={tmp_path}"]
  assert cli.main([*command, *flags]) == 2
  assert message in capsys.readouterr().err


def test_no_out(capsys):
  assert cli.main(["sweep", "loss", "--scale=shapes"]) == 2
  assert "expected --out=DIR" in capsys.readouterr().err


def test_no_table():
  with pytest.raises(AlignetError, match="no table of ablations"):
    sweep_lib.Sweep(table="demo", scale="shapes").cells()


def test_latex():
  text = latex.table(
      page.Table(
          header=["", "50 % of x_1"],
          rows=[["a & b", "−0.5 [–]"]],
          caption="~{5}",
      ),
      label="t",
  )
  assert r"\caption{\textasciitilde{}\{5\}}" in text
  assert r" & 50 \% of x\_1 \\" in text
  assert r"a \& b & $-$0.5 [--] \\" in text
  assert r"\label{t}" in text and r"\begin{tabular}{lr}" in text
