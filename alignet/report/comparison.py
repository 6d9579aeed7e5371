"""The page that sets models side by side: scores, triplets, maps, curves."""

from collections.abc import Mapping
import json
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.report import figures
from alignet.report import gallery
from alignet.report import page
from alignet.report import score_table
from alignet.report import structure
from alignet.report.inputs import ReportInputs
import numpy as np

_POSITIONS = ("first", "second", "third")


def comparison_page(
    path: files.Path,
    results: Mapping[str, Any],
    inputs: ReportInputs,
    *,
    overwrite: bool = False,
) -> pathlib.Path:
  """Writes the comparison of models as one self-contained HTML page.

  Models, sets, arrays and texts that are not there are left out. The order of
  the entries of `results` does not matter: JSON written sorted and read again
  gives the same page.

  Args:
    path: the html file.
    results: model -> {set: score, "intervals": {set: [low, high]},
      "difference_to_base": {set: {"value", "low", "high"}}}, beside "meta" (any
      JSON, shown as a table). Entries that hold none of `inputs.sets` are no
      models and are ignored.
    inputs: texts and arrays.
    overwrite: replace an existing file.

  Returns:
    The path.

  Raises:
    OutputExistsError: the file exists.
    AlignetError: the results hold no model.
  """
  files.check_output(path, overwrite=overwrite)
  models = score_table.models_of(results, inputs)
  if not models:
    raise AlignetError(
        "results: expected at least one model with a score among"
        f" {', '.join(inputs.sets)}, found the entries"
        f" {', '.join(results) or 'none'}"
    )
  # Arrays may tell of models without scores, such as the teacher.
  names = dict(inputs.models) | models
  sections = [
      _summary(inputs),
      score_table.section(results, models, inputs),
      _gallery(names, inputs),
      _matrices(names, inputs),
      _maps(names, inputs),
      _curves(names, inputs),
      _targets(names, inputs),
      provenance(results.get("meta"), inputs.texts.get("provenance", "")),
  ]
  return page.write(
      path,
      inputs.title,
      inputs.subtitle,
      [s for s in sections if s is not None],
      note=inputs.note,
      overwrite=overwrite,
  )


def _summary(inputs: ReportInputs) -> page.Section | None:
  text = inputs.texts.get("summary", "")
  return page.Section(title="Summary", text=text) if text else None


def _gallery(models, inputs: ReportInputs) -> page.Section | None:
  images = inputs.gallery_images
  if images is None or not len(images):
    return None
  choices = _named(inputs.gallery_choices, models)
  pictures = []
  for row in range(len(images)):
    one = slice(row, row + 1)
    figure = gallery.triplet_gallery(
        images[one],
        inputs.gallery_expected[one],
        {name: odd[one] for name, odd in choices.items()},
        names=_rows(inputs.gallery_names, one),
        probabilities=_rows(inputs.gallery_probabilities, one),
        labels=_rows(inputs.gallery_labels, one),
        observers=inputs.observers,
    )
    odd = {inputs.observers: inputs.gallery_expected[row]}
    odd |= {name: value[row] for name, value in choices.items()}
    names = inputs.gallery_names
    shown = "" if names is None else ": " + ", ".join(map(str, names[row]))
    alt = f"Triplet {row + 1}{shown}. Odd one out: " + "; ".join(
        f"{judge}, the {_POSITIONS[int(o)]}" for judge, o in odd.items()
    )
    pictures.append((figure, "", alt + "."))
  text = (
      f"Each box is one triplet. The frame marks the odd one of the"
      f" {inputs.observers}. Below, one line a judge: its badge lies under the"
      " image it calls odd, filled with a tick where it agrees with the"
      f" {inputs.observers}, hollow with a cross where it does not."
  )
  if inputs.gallery_probabilities is not None:
    text += f" Percentages: how often the {inputs.observers} choose each image."
  return page.Section(
      title="Triplets and choices",
      text=_join(text, inputs.texts.get("gallery")),
      figures=pictures,
  )


def _matrices(models, inputs: ReportInputs) -> page.Section | None:
  matrices = _named(inputs.matrices, models)
  if not matrices:
    return None
  figure = structure.similarity_matrices(
      matrices,
      inputs.matrix_groups,
      inputs.group_names,
      subgroups=inputs.matrix_subgroups,
      label=inputs.matrix_label,
      shared_scale=inputs.matrix_shared_scale,
  )
  n = len(inputs.matrix_groups)
  caption = (
      f"Similarity of {n} images to each other; lines part the categories."
      " Colours span the 1st to the 99th percentile off the diagonal, "
      + ("one scale for all." if inputs.matrix_shared_scale else "one each.")
  )
  alt = (
      f"Similarity matrices of {', '.join(matrices)}, rows and columns sorted"
      f" by the categories {', '.join(map(str, inputs.group_names))}."
  )
  return page.Section(
      title="Similarity matrices",
      text=_join(
          "Blocks along the diagonal are images of one category: the brighter"
          " a block against its surroundings, the closer the category.",
          inputs.texts.get("matrices"),
      ),
      figures=((figure, caption, alt),),
  )


def _maps(models, inputs: ReportInputs) -> page.Section | None:
  points = _named(inputs.points, models)
  if not points:
    return None
  figure = structure.maps(
      points,
      inputs.point_groups,
      inputs.group_names,
      marks=inputs.point_marks,
      mark_names=inputs.mark_names,
      explained=_named(inputs.explained, models) or None,
  )
  caption = (
      f"{len(inputs.point_groups)} objects, first two principal components of"
      " the unit-length representations of each model; axes are fitted to each"
      " model on its own."
  )
  alt = (
      f"Two-dimensional maps of {', '.join(points)}, coloured by the categories"
      f" {', '.join(map(str, inputs.group_names))}."
  )
  return page.Section(
      title="Maps",
      text=_join(
          "Close points are similar to the model; colours are categories.",
          inputs.texts.get("maps"),
      ),
      figures=((figure, caption, alt),),
  )


def _curves(models, inputs: ReportInputs) -> page.Section | None:
  if not inputs.curves:
    return None
  curves = {
      panel: {
          name: (line[0], line[1])
          for name, line in _named(lines, models).items()
      }
      for panel, lines in inputs.curves.items()
  }
  alt = f"Learning curves over training steps: {', '.join(curves)}."
  return page.Section(
      title="Learning curves",
      text=inputs.texts.get("curves", ""),
      figures=((figures.learning_curves(curves), "", alt),),
  )


def _targets(models, inputs: ReportInputs) -> page.Section | None:
  entropies = _named(inputs.entropies, models)
  if not entropies:
    return None
  alt = "Histogram of target entropies. Means: " + ", ".join(
      f"{name} {np.mean(v):.2f} nats" for name, v in entropies.items()
  )
  return page.Section(
      title="How certain the targets are",
      text=_join(
          "Entropy of the choice probabilities the students are trained on: 0"
          " where the target is certain, ln 3 where it is uniform.",
          inputs.texts.get("targets"),
      ),
      figures=((figures.entropy_histogram(entropies), "", alt + "."),),
  )


def provenance(
    meta: Mapping[str, Any] | None, text: str = ""
) -> page.Section | None:
  """What the numbers were made with, nested entries by dotted names.

  Args:
    meta: any JSON object.
    text: before the table.

  Returns:
    A section, or None where there is nothing to say.
  """
  if not meta and not text:
    return None
  rows = sorted([key, _plain(value)] for key, value in _flat(meta or {}))
  table = page.Table(
      header=("entry", "value"),
      rows=rows,
      caption="What the numbers were made with.",
      numeric=False,
  )
  return page.Section(
      title="Provenance", text=text, tables=(table,) if rows else ()
  )


def _named(values: Mapping[str, Any], models: Mapping[str, str]):
  """Keys of models replaced by their text, in the order of the models."""
  order = [m for m in models if m in values]
  order += [m for m in values if m not in models]
  return {models.get(m, m): values[m] for m in order}


def _rows(array, rows: slice):
  return None if array is None else array[rows]


def _join(*texts: str | None) -> str:
  return "\n\n".join(t for t in texts if t)


def _flat(meta: Mapping[str, Any], prefix: str = ""):
  """Nested mappings as dotted keys."""
  for key, value in meta.items():
    if isinstance(value, Mapping) and value:
      yield from _flat(value, f"{prefix}{key}.")
    else:
      yield f"{prefix}{key}", value


def _plain(value: Any) -> str:
  if isinstance(value, str):
    return value
  return json.dumps(value, default=str, sort_keys=True)
