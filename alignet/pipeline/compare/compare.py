"""From an evaluation's scores and two models to one page, JSON and LaTeX."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import pathlib
from typing import Any

from alignet.collect import mined
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.evals import hierarchy as hierarchy_evals
from alignet.evals import model as model_lib
from alignet.evals import suite
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.io import folders
from alignet.io import identities
from alignet.io import json_files
from alignet.pipeline.compare import class_figures
from alignet.pipeline.compare import disagreements
from alignet.report import comparison
from alignet.report import evaluation
from alignet.report import latex
from alignet.report import page
import numpy as np

PAGE = "report.html"
TABLES = "tables.tex"
RESULTS = "comparison.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
  """What a comparison is drawn from; all but the scores may be missing.

  Attributes:
    scores: what `alignet evaluate representations` or `student` wrote.
    representations: directory of the model's.
    transform: to apply to them.
    baseline: directory of the other model's, of the same images.
    baseline_transform: to apply to those.
    levels: of labels, from fine to coarse; none for those of subordinate, basic
      and superordinate that the labels have.
    source: of the images, for galleries; see `alignet.data.image_sources.open`.
    data_dir: where TFDS keeps its datasets.
    trials: AligNet npz with choice probabilities of the images: galleries show
      its triplets, and what was answered; else triplets drawn at random.
    observers: who answered these.
    names: of model and baseline; of those that are not given, the names that
      the scores have, which are not to be the same.
    title: of the page.
    seed: of the draws.
  """

  scores: files.Path
  representations: files.Path | None = None
  transform: files.Path | None = None
  baseline: files.Path | None = None
  baseline_transform: files.Path | None = None
  levels: Sequence[str] = ()
  source: str | None = None
  data_dir: str | None = None
  trials: files.Path | None = None
  observers: str = "observers"
  names: Sequence[str] = ()
  title: str = "Comparison of two models"
  seed: int = 0


def write(
    out: files.Path, inputs: Inputs, *, overwrite: bool = False
) -> pathlib.Path:
  """Writes the folder of a comparison.

  Args:
    out: the folder: report.html, one self-contained page; comparison.json, the
      scores and which pairs and triplets are shown; tables.tex, the tables for
      LaTeX with `booktabs`.
    inputs: what to draw.
    overwrite: replace an older comparison.

  Returns:
    The page.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: it is something else; scores of other representations, models
      of different images, levels or images that are not there.
  """
  folders.check(out, RESULTS, '"names": ', (PAGE, TABLES), overwrite=overwrite)
  result = suite.read(inputs.scores)
  scored = (result.get("meta") or {}).get("names") or suite.NAMES
  names = (*inputs.names, *scored[len(inputs.names) :])
  inputs = dataclasses.replace(inputs, names=names)
  sections = evaluation.sections(result, inputs.names, suite.shown())
  tables = [t for s in sections.values() for t in s.tables]
  model, baseline = _models(inputs, result)
  parts = [_summary(result, inputs), *sections.values()]
  shown: dict[str, Any] = {}
  levels = levels_of(model.labels, inputs.levels) if model else ()
  if levels:
    models = dict(zip(inputs.names, (model, baseline)))
    ordered = {name: m for name, m in reversed(models.items()) if m}
    parts.append(class_figures.section(ordered, levels))
  if model and baseline and inputs.source:
    for kind, found in _galleries(model, baseline, levels, inputs).items():
      parts.append(found.section)
      shown[kind] = found.items
  parts.append(comparison.provenance(result.get("meta")))
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    page.write(
        folder / PAGE,
        inputs.title,
        f"{inputs.names[0]} against {inputs.names[1]}"
        if baseline or _is_paired(result)
        else inputs.names[0],
        [p for p in parts if p is not None],
        note=evaluation.note(result),
    )
    with files.atomic_write(folder / TABLES) as f:
      f.write("\n".join(map(latex.table, tables)).encode())
    json_files.write(
        folder / RESULTS,
        {**result, "names": list(inputs.names), "shown": shown},
    )
  return pathlib.Path(out) / PAGE


def levels_of(
    labels: Mapping[str, labels_lib.Labels], wanted: Sequence[str]
) -> tuple[str, ...]:
  """The levels to draw; () where none are asked for and none are of use.

  Raises:
    AlignetError: unknown ones, or such as the labels lack.
  """
  if not wanted:
    found = [x for x in labels_lib.LEVELS if x in labels and x != "concept"]
    found = found or [x for x in ("concept",) if x in labels]
    if not found:
      return ()
    known = np.all([labels[x].ids >= 0 for x in found], axis=0)
    several = len(np.unique(labels[found[0]].ids[known])) > 1
    return tuple(found) if several else ()
  hierarchy_evals.check_levels(wanted)
  for level in wanted:
    if level not in labels:
      raise AlignetError(
          f"the representations have no labels of the level {level!r}; found"
          f" {', '.join(labels) or 'none'}"
      )
  return tuple(wanted)


def _models(inputs: Inputs, result):
  """Model and baseline, None where they are not given."""
  meta = result.get("meta") or {}
  trust = identities.Trust(**meta.get("trusted", {}))
  out = []
  for path, transform, kind, key in (
      (
          inputs.representations,
          inputs.transform,
          meta.get("similarity"),
          "representations",
      ),
      (
          inputs.baseline,
          inputs.baseline_transform,
          meta.get("baseline_similarity"),
          "baseline",
      ),
  ):
    if path is None:
      out.append(None)
      continue
    _check_scored(inputs.scores, meta, key, pathlib.Path(path), transform)
    out.append(
        model_lib.open_model(path, transform=transform, kind=kind, trust=trust)
    )
  model, baseline = out
  if baseline and not model:
    raise AlignetError("a baseline needs the model's representations, too")
  if baseline:
    baseline = model_lib.of_images(baseline, model.filenames, inputs.baseline)
  return model, baseline


def _check_scored(scores, meta, key, path, transform) -> None:
  """Fails on what is known to be something else than what was scored."""
  if (scored := meta.get("representations")) is not None:
    if key not in scored:
      raise AlignetError(
          f"{scores} was computed without {key}; leave {path} out, or evaluate"
          " again"
      )
    held = json_files.read(path / "meta.json")
    if scored[key].get("sha256") != held.get("sha256"):
      raise AlignetError(
          f"{scores} was computed on other {key} than {path}; give those it was"
          " computed on, or evaluate again"
      )
  if (hashes := meta.get("sha256")) is not None:
    name = "baseline_transform" if key == "baseline" else "transform"
    wanted = hashes.get(name)
    if wanted != (files.sha256(transform) if transform else None):
      raise AlignetError(
          f"--{name}: {scores} was computed"
          f" {'with another' if wanted else 'without one'}, found"
          f" {transform or 'none'}; give it as `alignet evaluate` got it"
      )


def _is_paired(result) -> bool:
  return any("baseline" in score for score in result["scores"].values())


def _summary(result, inputs) -> page.Section | None:
  text = evaluation.summary(result, inputs.names, suite.shown())
  return page.Section(title="Summary", text=text) if text else None


def _galleries(model, baseline, levels, inputs):
  pixels = functools.partial(
      mined.pixels, inputs.source, data_dir=inputs.data_dir
  )
  level = levels[0] if levels else None
  trials = inputs.trials and trials_lib.read(
      inputs.trials, image_names=model.filenames
  )
  found = {}
  if level:
    found["pairs"] = disagreements.of_pairs(
        model, baseline, level, pixels, names=inputs.names, seed=inputs.seed
    )
  found["triplets"] = disagreements.of_triplets(
      model,
      baseline,
      level,
      pixels,
      names=inputs.names,
      trials=trials or None,
      observers=inputs.observers,
      seed=inputs.seed,
  )
  return found
