"""Joins the files that a page has saved, and says how consistent people are."""

from collections import Counter
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import math
import pathlib
import statistics
from typing import Any

from alignet.collect import page
from alignet.collect import tables
from alignet.collect.settings import Settings
from alignet.errors import AlignetError
from alignet.human import readers
from alignet.io import files
from alignet.io import json_files
import numpy as np

_COMMON = (
    *("subject_id", "rt_ms", "trial", "item", "repetition", "views"),
    *("page", "answered_at"),
)
_RATING = 7

MODELS = ("model", "baseline")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
  """Answers of any number of people to one page.

  Attributes:
    kind: "triplets" or "pairs".
    rows: by participant and trial; columns as the page saves them.
    items: what the page shows, of its items.csv.
  """

  kind: str
  rows: Sequence[tables.Row]
  items: Sequence[tables.Row]


def read(folder: files.Path, paths: Sequence[files.Path]) -> Answers:
  """Reads files of answers to one page.

  A participant may have saved several times: equal answers count once, also
  where a spreadsheet wrote dates and decimal points in its own way. Columns
  that somebody added are left out.

  Args:
    folder: that of the page, as `page.write` writes it.
    paths: the files its participants saved.

  Returns:
    All answers.

  Raises:
    AlignetError: a damaged file, one of another page, an answer that the page
      cannot have given, two different answers of one participant to one trial.
  """
  asked = _open_page(pathlib.Path(folder))
  found: dict[tuple[str, int], tables.Row] = {}
  own = (*_COMMON, *asked.columns)
  for path in paths:
    for number, row in enumerate(tables.read(path, own)):
      row = {key: value for key, value in row.items() if key in own}
      where = f"{path}: row {number}"
      if row["page"] != asked.id:
        raise AlignetError(
            f"{where} is of the page {row['page']!r}, but {folder} is"
            f" {asked.id!r}; give the folder it was made with"
        )
      row["rt_ms"] = row["rt_ms"].replace(",", ".")  # A comma for the point.
      _check(row, asked, where)
      key = (row["subject_id"], int(row["trial"]))
      first = found.setdefault(key, row)
      if _answered(first) != _answered(row):
        raise AlignetError(
            f"{where} and another file hold different answers of {key[0]} to"
            f" trial {key[1]}; two people used one ID: rename one in its file"
        )
      found[key] = min(first, row, key=_as_saved)
  _check_repetitions(found.values())
  return Answers(
      kind=asked.kind,
      rows=[row for _, row in sorted(found.items())],
      items=asked.items,
  )


def _answered(row: tables.Row) -> dict[str, str | float]:
  """A row but for what spreadsheets write in their own ways."""
  return {**row, "answered_at": "", "rt_ms": float(row["rt_ms"])}


def _as_saved(row: tables.Row) -> tuple[bool, str, str]:
  """Sorts rows as the page saves them, which has times in ISO 8601, first."""
  return not row["answered_at"].endswith("Z"), row["answered_at"], row["rt_ms"]


def write(
    path: files.Path, answers: Answers, *, overwrite: bool = False
) -> None:
  """Writes all answers as one file, in the form of those of the page."""
  tables.write(
      path,
      {key: [row[key] for row in answers.rows] for key in answers.rows[0]},
      delimiter="\t",
      overwrite=overwrite,
  )


def summary(answers: Answers) -> dict[str, Any]:
  """What the answers say about people, and about the two models.

  Returns:
    `participants`: of each the number of answers, the median response time in
    ms, `repeated` (trials shown twice) and `consistency`: the share of them
    with the same odd one (chance is 1/3), or for ratings the mean absolute
    difference; None where nothing was repeated. `models`, where the items tell
    what two models say: for triplets, the share of first answers that chose
    each model's odd one; for pairs, Spearman's correlation of the mean rating
    with each model's z-scored similarity, None where it is undefined. Items
    were mined for disagreement: these numbers compare the two models, and say
    nothing about other images.
  """
  people = defaultdict(list)
  for row in answers.rows:
    people[row["subject_id"]].append(row)
  return {
      "kind": answers.kind,
      "answers": len(answers.rows),
      "participants": {
          name: _person(rows, answers.kind) for name, rows in people.items()
      },
      "models": _models(answers),
  }


def _person(rows: Sequence[tables.Row], kind: str) -> dict[str, Any]:
  answers = defaultdict(dict)
  for row in rows:
    answers[row["item"]][row["repetition"]] = _answer(row, kind)
  twice = [pair for pair in answers.values() if len(pair) == 2]
  if kind == "triplets":
    scores = [float(pair["0"] == pair["1"]) for pair in twice]
  else:
    scores = [float(abs(pair["0"] - pair["1"])) for pair in twice]
  return {
      "answers": len(rows),
      "median_rt_ms": statistics.median(float(row["rt_ms"]) for row in rows),
      "repeated": len(twice),
      "consistency": statistics.fmean(scores) if scores else None,
  }


def _models(answers: Answers) -> Mapping[str, float | None] | None:
  prefix = "odd_" if answers.kind == "triplets" else "z_"
  if any(prefix + model not in answers.items[0] for model in MODELS):
    return None
  given = defaultdict(list)
  for row in answers.rows:
    if row["repetition"] == "0":
      given[int(row["item"])].append(_answer(row, answers.kind))
  if not given:
    return None
  if answers.kind == "triplets":
    return {
        model: statistics.fmean(
            name == answers.items[item][prefix + model]
            for item, names in given.items()
            for name in names
        )
        for model in MODELS
    }
  from alignet.evals.scores.rdms import rank_correlation

  mean = np.array([statistics.fmean(ratings) for ratings in given.values()])
  out: dict[str, float | None] = {}
  for model in MODELS:
    z = np.array([float(answers.items[i][prefix + model]) for i in given])
    undefined = len(z) < 2 or np.ptp(mean) == 0 or np.ptp(z) == 0
    out[model] = (
        None if undefined else rank_correlation.correlate(mean, z, "spearman")
    )
  return out


def _answer(row: tables.Row, kind: str) -> str | int:
  """The file name of the odd one, or the rating."""
  if kind == "triplets":
    return row[f"name{row['choice']}"]
  return int(row["rating"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Page:
  """A page, as far as its answers depend on it.

  Attributes:
    id: what its answers carry.
    kind: "triplets" or "pairs".
    items: what it shows.
    number: number of each image in its answers, by file name.
  """

  id: str
  kind: str
  items: Sequence[tables.Row]
  number: Mapping[str, int]

  @property
  def answer(self) -> str:
    return "choice" if self.kind == "triplets" else "rating"

  @property
  def images(self) -> Sequence[str]:
    return tables.IMAGES[: 3 if self.kind == "triplets" else 2]

  @property
  def names(self) -> Sequence[str]:
    return [f"name{i + 1}" for i in range(len(self.images))]

  @property
  def columns(self) -> Sequence[str]:
    return [*self.images, *self.names, self.answer]


_FOLDER = "give the folder that `alignet collect page` wrote"


@dataclasses.dataclass(frozen=True)
class _Meta:
  settings: json_files.Object
  page: str


def _open_page(folder: pathlib.Path) -> _Page:
  meta = json_files.read(folder / page.META, _Meta, mend=_FOLDER)
  try:
    settings = Settings(**meta["settings"])
  except TypeError as e:
    raise AlignetError(
        f"{folder / page.META} is not that of a page ({e!r})"
    ) from e
  columns = tables.IMAGES[: settings.size]
  items = tables.read(folder / page.ITEMS, columns)
  shown = {row[column] for row in items for column in columns}
  lines = readers.read_names(folder / page.NAMES).tolist()
  line = {name: i + 1 for i, name in enumerate(lines)}
  called = {name: page.image_name(name, settings.name_by) for name in shown}
  if absent := sorted(set(called.values()) - line.keys()):
    raise AlignetError(
        f"{folder}: {page.ITEMS} shows {absent[0]!r}, which {page.NAMES} lacks:"
        f" the page was changed; {_FOLDER}"
    )
  return _Page(
      id=meta["page"],
      kind=settings.kind,
      items=items,
      number={name: line[called[name]] for name in shown},
  )


def _check(row: tables.Row, asked: _Page, where: str) -> None:
  """Fails on a row that the page cannot have written."""
  for key, low, high in (
      ("item", 0, len(asked.items) - 1),
      ("repetition", 0, 1),
      ("trial", 1, 2 * len(asked.items)),
      (asked.answer, 1, 3 if asked.kind == "triplets" else _RATING),
  ):
    if not row[key].isdecimal() or not low <= int(row[key]) <= high:
      raise AlignetError(
          f"{where}: {key} is {row[key]!r}; expected a number from {low} to"
          f" {high}"
      )
  try:
    good = 0 <= float(row["rt_ms"]) < math.inf
  except ValueError:
    good = False
  if not good:
    raise AlignetError(
        f"{where}: rt_ms is {row['rt_ms']!r}; expected milliseconds"
    )
  item = asked.items[int(row["item"])]
  shown = sorted(row[name] for name in asked.names)
  expected = sorted(item[image] for image in asked.images)
  if shown != expected:
    raise AlignetError(
        f"{where} shows {', '.join(shown)}; item {row['item']} of the page is"
        f" {', '.join(expected)}: the file was changed"
    )
  for image, name in zip(asked.images, asked.names):
    number = asked.number[row[name]]
    if row[image] != str(number):
      raise AlignetError(
          f"{where}: {image} is {row[image]!r}; expected {row[name]}, number"
          f" {number}: the file was changed"
      )


def _check_repetitions(rows: Iterable[tables.Row]) -> None:
  """Fails where somebody answered an item again that was not due again."""
  seen = Counter(
      (row["subject_id"], int(row["item"]), int(row["repetition"]))
      for row in rows
  )
  for (person, item, repetition), n in seen.items():
    if n > 1 or (repetition and not seen[person, item, 0]):
      raise AlignetError(
          f"{person} answered item {item}"
          f" {f'{n} times' if n > 1 else 'again, and never before'}: a file was"
          " changed, or two people used one ID"
      )


def table(found: Mapping[str, Any]) -> str:
  """A summary as text, a line a participant."""
  triplets = found["kind"] == "triplets"
  what = "same again" if triplets else "points apart"
  lines = [f"{'participant':20}{'answers':>9}{'median ms':>11}{what:>20}"]
  for name, person in found["participants"].items():
    again = "-"
    if person["consistency"] is not None:
      again = f"{person['consistency']:.2f} of {person['repeated']}"
    lines.append(
        f"{name:20}{person['answers']:>9}{person['median_rt_ms']:>11.0f}"
        f"{again:>20}"
    )
  if found["models"]:
    by = "share of answers" if triplets else "Spearman with the mean rating"
    lines.append(
        f"{by}: "
        + ", ".join(
            f"{model} {'undefined' if value is None else f'{value:z.3f}'}"
            for model, value in found["models"].items()
        )
    )
  return "\n".join(lines)
