"""Scores representations: all evaluations that are asked for, in one object.

  import alignet
  scores = alignet.evaluate(
      alignet.Suite(
          representations="representations",
          levels="levels.npz",
          rdm={"mur2013": "92_behavRDMs.mat"},
          rdm_images={"mur2013": "names.txt"},
      )
  )
  print(scores)

The command line, the pipelines and the evaluators of a training call the same
function.
"""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import html
import pathlib
from typing import Any, get_args

from alignet.errors import AlignetError
from alignet.evals import choices
from alignet.evals import evaluation
from alignet.evals import hierarchy
from alignet.evals import levels
from alignet.evals import model as model_lib
from alignet.evals import rdms
from alignet.evals import trials
from alignet.evals import usefulness
from alignet.evals.evaluation import flag
from alignet.evals.model import Model
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.report.shown import Shown
from alignet.triplets import similarity as similarity_lib
import numpy as np

ALL: Sequence[evaluation.Evaluation] = (
    trials.Trials(),
    choices.Things(),
    levels.Levels(),
    rdms.Rdms(),
    hierarchy.Hierarchy(),
    usefulness.Classes(),
    usefulness.Breeds(),
)
"""Every evaluation there is, in the order of flags and sections."""


NAMES = ("model", "baseline")
"""What models are called unless they are named."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite(*(one.Settings for one in ALL)):
  """What is evaluated, and on what; each evaluation has settings of its own.

  Attributes:
    representations: directory of the model's, as `alignet extract` writes it.
    baseline: directory of another model's, of the same images, for paired
      differences.
    train_representations: of training images with labels, for classes.
    baseline_train: the baseline's, of the same.
    transform: affine transform to apply to the model's first.
    baseline_transform: likewise, to the baseline's.
    similarity: "dot" or "cosine"; None for dot with a transform and cosine
      without.
    columns: "as_given": vouches for a transform that does not say of which
      network it is.
    names: of model and baseline, for reports.
    resamples: of bootstraps, 0 for no intervals.
    seed: of temperatures, splits and bootstraps.
  """

  representations: files.Path | None = flag(
      is_path=True, metavar="DIR", help="as `alignet extract` writes them"
  )
  train_representations: files.Path | None = flag(
      is_path=True,
      metavar="DIR",
      help="of training images with labels, for classes and BREEDS",
  )
  transform: files.Path | None = flag(
      is_path=True, metavar="t.npz", help="affine transform to apply first"
  )
  similarity: similarity_lib.Kind | None = flag(
      choices=get_args(similarity_lib.Kind),
      help="default: dot with a transform, cosine without",
  )
  baseline: files.Path | None = flag(
      is_path=True,
      metavar="DIR",
      help="another model's representations of the same images",
  )
  baseline_train: files.Path | None = flag(
      is_path=True, metavar="DIR", help="for classes"
  )
  baseline_transform: files.Path | None = flag(is_path=True, metavar="t.npz")
  columns: str | None = flag(
      choices=("as_given",),
      help="for a transform that does not say of which network it is",
  )
  names: Sequence[str] = flag(NAMES)
  resamples: int = flag(
      1000, type=int, help="of bootstraps, 0 for none (default: %(default)s)"
  )
  seed: int = flag(0, type=int, help="default: %(default)s")

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if isinstance(value, Mapping):
        value = tuple(value.items())
      elif isinstance(value, list):
        value = tuple(value)
      elif field.default == () and isinstance(value, str):
        raise AlignetError(
            f"{field.name}: expected several values, such as [{value!r}],"
            f" found {value!r}"
        )
      object.__setattr__(self, field.name, value)

  @property
  def asked(self) -> list[evaluation.Evaluation]:
    """The evaluations that are asked for."""
    return [one for one in ALL if one.is_asked(self)]

  def check(self, made: Collection[str] = ()) -> None:
    """Fails where the settings alone tell that a score cannot be given.

    Args:
      made: names of paths that will be made, or whose contents are in memory.

    Raises:
      AlignetError: nothing is asked for, something is missing beside it, a name
        is unknown or there twice, a path does not exist.
    """
    if not self.asked:
      flags = [f"--{one.name}" for one in ALL]
      raise AlignetError(
          f"nothing to evaluate: pass {', '.join(flags[:-1])} or {flags[-1]}"
      )
    if self.resamples < 0 or self.resamples == 1:
      raise AlignetError(
          "--resamples: expected 0 for no intervals, or 2 or more, found"
          f" {self.resamples}"
      )
    self._check_paths(made)
    learning = [one for one in self.asked if one.needs_train]
    has_train = self.train_representations or "train_representations" in made
    if learning and not (
        has_train and (self.baseline_train or not self.baseline)
    ):
      raise AlignetError(
          f"--{learning[0].name} needs training images: pass"
          " --train_representations, or --train_source for a student, and"
          " --baseline_train with --baseline"
      )
    for one in self.asked:
      one.check(self)
    names = [name for one in self.asked for name in one.sets(self)]
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
      raise AlignetError(
          f"two sets are called {repeated[0]}; name them apart, such as"
          " --trials=SOURCE/SET=PATH"
      )

  def _check_paths(self, made) -> None:
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if not field.metadata.get("is_path") or field.name in made:
        continue
      if isinstance(value, tuple):  # Names and files.
        paths = [one[1] for one in value if isinstance(one, tuple)]
      else:
        paths = [value]
      for path in paths:
        is_path = isinstance(path, str | pathlib.Path)
        if is_path and not pathlib.Path(path).exists():
          raise AlignetError(f"--{field.name}: {path} does not exist")

  def models(self) -> evaluation.Models:
    """Opens the representations.

    Raises:
      AlignetError: a broken directory or transform, models of other images.
    """
    needs_train = any(one.needs_train for one in self.asked)
    train, baseline_train = None, None
    if needs_train:
      train = self._open(self.train_representations, self.transform)
      if self.baseline:
        baseline_train = self._open(
            self.baseline_train, self.baseline_transform
        )
        baseline_train = model_lib.of_images(
            baseline_train, train.filenames, self.baseline_train
        )
    model = self._open(self.representations, self.transform)
    baseline = None
    if self.baseline:
      baseline = self._open(self.baseline, self.baseline_transform)
      baseline = model_lib.of_images(baseline, model.filenames, self.baseline)
    return evaluation.Models(
        model=model,
        baseline=baseline,
        train=train,
        baseline_train=baseline_train,
    )

  def _open(self, directory, transform) -> Model:
    return model_lib.open_model(
        directory,
        transform=transform,
        kind=self.similarity,
        trust=identities.Trust(columns=self.columns),
    )

  def meta(self) -> dict[str, Any]:
    """What scores depend on: settings, representations, sha256 of files."""
    kind = lambda transform: self.similarity or (
        "dot" if transform else "cosine"
    )
    directories = {
        "representations": self.representations,
        "train": self.train_representations,
        "baseline": self.baseline,
        "baseline_train": self.baseline_train,
    }
    inputs = {
        "transform": self.transform,
        "baseline_transform": self.baseline_transform,
    }
    for one in self.asked:
      inputs |= one.inputs(self)
    return {
        "seed": self.seed,
        "similarity": kind(self.transform),
        "baseline_similarity": kind(self.baseline_transform),
        "names": list(self.names),
        "trusted": identities.Trust(columns=self.columns).meta(),
        "representations": {
            name: json_files.read(pathlib.Path(path) / "meta.json")
            for name, path in directories.items()
            if path
        },
        "sha256": {
            name: files.sha256(path) for name, path in inputs.items() if path
        },
        "versions": files.versions(),
    }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scores(evaluation.Result):
  """What a suite found; prints as a table.

  Attributes:
    meta: what the scores depend on; empty for models that no directory holds.
  """

  meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def to_json(self) -> dict[str, Any]:
    """What `alignet evaluate` writes."""
    return {"scores": self.scores, "details": self.details, "meta": self.meta}

  def __str__(self) -> str:
    return "\n".join(
        f"{name:44s} {_text(score)}" for name, score in self.scores.items()
    )

  __repr__ = __str__

  def _repr_html_(self) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{_text(score)}</td></tr>"
        for name, score in self.scores.items()
    )
    return f"<table><tr><th>score</th><th>mean</th></tr>{rows}</table>"


def evaluate(suite: Suite, models: evaluation.Models | None = None) -> Scores:
  """Computes all scores that a suite asks for.

  Args:
    suite: what to evaluate, and on what.
    models: representations in memory; None for those that the suite names.

  Returns:
    The scores, in the order of the evaluations.

  Raises:
    AlignetError: see `Suite.check`; judgments that do not fit the
      representations.
  """
  if models is None:
    suite.check()
    if not suite.representations:
      raise AlignetError("nothing to score: give representations=DIR")
    models = suite.models()
    meta = suite.meta()
  else:
    meta = {}
  found = [one.compute(suite, models) for one in suite.asked]
  merged = lambda part: {
      k: v for f in found for k, v in getattr(f, part).items()
  }
  return Scores(
      scores=merged("scores"),
      details=merged("details"),
      rows={
          name: rows
          for name, rows in merged("rows").items()
          if isinstance(rows, np.ndarray)
      },
      meta=meta,
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Number:
  """A score, or a difference, as JSON has it."""

  mean: float | None
  n: float | None = None
  low: float | None = None
  high: float | None = None
  se: float | None = None
  baseline: float | None = None
  no_interval: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Score(_Number):
  difference: _Number | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Meta:
  names: list[str] | None = None
  trusted: dict[str, str] | None = None
  sha256: dict[str, str] | None = None
  representations: dict[str, json_files.Object] | None = None


_Numbers = dict[str, float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Detail:
  """Ceilings, by level for Levels, of an evaluation; levels of a hierarchy."""

  ceilings: _Numbers | dict[str, _Numbers | None] | None = None
  mean_ceiling: _Numbers | None = None
  ceiling: _Numbers | None = None
  levels: list[str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Written:
  """What a file of scores holds."""

  scores: dict[str, _Score]
  details: dict[str, _Detail] | None = None
  meta: _Meta | None = None


def read(path: files.Path) -> dict[str, Any]:
  """What `alignet evaluate` has written.

  Raises:
    AlignetError: another file.
  """
  return json_files.read(path, _Written, mend="evaluate again")


def shown() -> dict[str, Shown]:
  """First part of scores' names to how a report shows them, people first."""
  return {source: how for one in ALL for source, how in one.shown.items()}


def _text(score: Mapping[str, Any]) -> str:
  """`.523 (.510 to .536), +.021 (.009 to .034) over .502`."""
  text = f"{_number(score['mean'])}{_interval(score)}"
  if "difference" in score:
    change = score["difference"]
    text += (
        f", {_number(change['mean'], '+')}{_interval(change)} over"
        f" {_number(score['baseline'])}"
    )
  return text


def _number(value: float | None, sign: str = "") -> str:
  return "undefined" if value is None else f"{value:{sign}z.4f}"


def _interval(score: Mapping[str, float]) -> str:
  if "no_interval" in score:
    return f" (no interval: {score['no_interval']})"
  if "low" not in score:
    return ""
  return f" ({score['low']:z.4f} to {score['high']:z.4f})"
