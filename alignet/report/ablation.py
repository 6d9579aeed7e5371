"""The page of a table of ablations, and the same as LaTeX and as JSON."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet.io import files
from alignet.io import json_files
from alignet.report import figures
from alignet.report import latex
from alignet.report import page
from alignet.report import score_table

_INTERVALS = (
    "95 % intervals, bootstrap over concepts, of class accuracy over classes,"
    " all seeds"
)


def write(out: files.Path, results: Mapping[str, Any]) -> list[pathlib.Path]:
  """Writes results.json, report.html and table.tex; replaces older ones.

  Args:
    out: folder.
    results: as `alignet.pipeline.sweep.sweep_results.results`.

  Returns:
    The three paths.
  """
  out = pathlib.Path(out)
  tables = [scores(results), differences(results, "to_first")]
  paths = [out / n for n in ("results.json", "report.html", "table.tex")]
  json_files.write(paths[0], results, overwrite=True)
  page.write(
      paths[1],
      results["title"],
      results["question"],
      [_section(results, tables)],
      note=_note(results),
      overwrite=True,
  )
  text = "\n".join(latex.table(t) for t in tables)
  with files.atomic_write(paths[2], overwrite=True) as f:
    f.write(text.encode())
  return paths


def scores(results: Mapping[str, Any]) -> page.Table:
  """A line a cell: each score, and its difference to the base."""
  names = _names(results)
  seeds = ", ".join(map(str, results["seeds"]))
  rows = []
  first = results["lines"][0]["scores"]
  rows.append(["base", *(score_table.cell((first[s]["base"],)) for s in names)])
  for line in results["lines"]:
    cells = []
    for score in names:
      found = line["scores"][score]
      gain = score_table.cell(_interval(found["to_base"]), signed=True)
      cells.append(f"{score_table.cell((found['mean'],))} ({gain})")
    rows.append([line["name"], *cells])
  return page.Table(
      header=["", *names.values()],
      rows=rows,
      caption=(
          f"{results['title']}. Agreement with {results['observers']}"
          " (proportion), by the cosine of pre_logits and by the triplet"
          " head's dot, of which the base has none, so that its cosine stands"
          f" there; mean of the seeds {seeds}, and the difference to the"
          f" base; in brackets: {_INTERVALS}."
      ),
  )


def differences(results: Mapping[str, Any], key: str) -> page.Table:
  """A line a cell but the first: its difference to the first."""
  names = _names(results)
  rows = [
      [
          line["name"],
          *(
              score_table.cell(
                  _interval(line["scores"][score][key]), signed=True
              )
              for score in names
          ),
      ]
      for line in results["lines"][1:]
  ]
  return page.Table(
      header=["", *names.values()],
      rows=rows,
      caption=(
          f"Difference to the first line, {results['lines'][0]['name']}, paired"
          f" on the same trials; in brackets: {_INTERVALS}."
      ),
  )


def _section(results, tables) -> page.Section:
  names = _names(results)
  rows = {
      line["name"]: {
          score: _interval(line["scores"][score]["to_base"]) for score in names
      }
      for line in results["lines"]
  }
  figure = figures.scores_with_intervals(
      rows,
      list(names),
      "Difference to the base",
      set_names=names,
      chance={name: 0.0 for name in names},
      chance_name="the base",
      label="student − base (proportion)",
  )
  seeds = "; ".join(
      f"{line['name']}: "
      + ", ".join(
          f"{x:.3f}" for x in line["scores"][next(iter(names))]["seeds"]
      )
      for line in results["lines"]
  )
  text = f"Seed by seed, {next(iter(names.values()))}: {seeds}."
  if results["paper"]:
    text += f"\n\nThe paper: {results['paper']}"
  alt = "Dot plot of the differences to the base in the first table."
  caption = f"Dots: means; bars: {_INTERVALS}."
  return page.Section(
      title="Scores",
      text=text,
      tables=tables,
      figures=((figure, caption, alt),),
  )


def _names(results: Mapping[str, Any]) -> dict[str, str]:
  """Score -> what it is called."""
  names = dict(results["sets"])
  names |= {f"{k}_head_dot": f"{v} (head)" for k, v in names.items()}
  return names | {"class_accuracy": "class accuracy (10-NN)"}


def _interval(found: Mapping[str, float]) -> tuple[float, float, float]:
  return (found["mean"], found["low"], found["high"])


def _note(results: Mapping[str, Any]) -> str:
  if results["scale"] == "shapes":
    return (
        "Everything human on this page is simulated: the observers are a"
        " formula in a world drawn by our own code. It says what matters in"
        " that world, and nothing about people."
    )
  return f"The observers: {results['observers']}."
