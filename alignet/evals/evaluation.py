"""What an evaluation is: its settings, how it computes, how it is shown.

An evaluation of your own is a class like those beside this module, and a line
in `alignet.evals.suite.ALL`: its settings become fields of `Suite` and flags of
`alignet evaluate`, and its scores get a section of the report.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from typing import Any, ClassVar

from alignet.errors import AlignetError
from alignet.evals.model import Model
from alignet.io import files
from alignet.report.shown import Shown
import numpy as np

Pairs = Sequence[tuple[str, files.Path]]
"""Names and files, in order; a mapping does as well."""

PEOPLE = Shown(
    title="Agreement with people",
    text=(
        "People's own judgments: only these scores say whether a model became"
        " more human."
    ),
)


def flag(default: Any = None, *, is_path: bool = False, **argument: Any) -> Any:
  """A field of settings that is a flag, too.

  Args:
    default: where nothing is said; False makes a switch, () one that repeats.
    is_path: its value, or the file of a name and a file, has to exist.
    **argument: of `argparse`'s add_argument, such as help and metavar.
  """
  return dataclasses.field(
      default=default, metadata={"is_path": is_path, "argument": argument}
  )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Models:
  """What is scored: representations of the same images by one or two models.

  Attributes:
    model: the one that is scored.
    baseline: another one, for paired differences.
    train: the model's representations of training images.
    baseline_train: the baseline's, of the same.
  """

  model: Model
  baseline: Model | None = None
  train: Model | None = None
  baseline_train: Model | None = None

  @property
  def tested(self) -> list[Model]:
    """The model and, where there is one, the baseline."""
    return [m for m in (self.model, self.baseline) if m is not None]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Result:
  """What an evaluation found.

  Attributes:
    scores: name to mean, n and, with resamples, se, low, high; with a baseline
      also baseline and difference.
    details: name of a set to what else there is to say, JSON.
    rows: name of a score to the model's one number a judgment, where the score
      is a mean of such numbers.
  """

  scores: Mapping[str, Mapping[str, Any]]
  details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  rows: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Evaluation:
  """One way to score representations.

  Attributes:
    Settings: frozen dataclass whose fields are made by `flag`. The first says
      whether the evaluation is asked for.
    needs: what it takes, one phrase for the documentation.
    needs_train: whether it learns from representations of training images.
    shown: first part of its scores' names to how a report shows them.
  """

  Settings: ClassVar[type]
  needs: ClassVar[str]
  needs_train: ClassVar[bool] = False
  shown: ClassVar[Mapping[str, Shown]] = {}

  @property
  def name(self) -> str:
    """That of its first setting."""
    return dataclasses.fields(self.Settings)[0].name

  def is_asked(self, suite: Any) -> bool:
    """Whether a suite asks for it."""
    return bool(getattr(suite, self.name))

  def sets(self, suite: Any) -> Iterable[str]:
    """Names that its scores begin with, none of which may come twice."""
    del suite
    return ()

  def inputs(self, suite: Any) -> Mapping[str, files.Path]:
    """Files that its scores depend on, by a name for each."""
    del suite
    return {}

  def check(self, suite: Any) -> None:
    """Fails where the settings alone tell that it cannot be computed.

    Raises:
      AlignetError: so.
    """

  def compute(self, suite: Any, models: Models) -> Result:
    """Scores the models.

    Raises:
      AlignetError: judgments that cannot be read, or do not fit the models.
    """
    raise NotImplementedError


def pair(text: str) -> tuple[str, str]:
  """Name and path of NAME=PATH.

  Raises:
    AlignetError: another form.
  """
  name, equals, path = text.partition("=")
  if not name or not path or not equals:
    raise AlignetError(f"expected NAME=PATH, found {text!r}")
  return name, path


def split(text: str) -> tuple[str, ...]:
  """The parts of A,B; none of an empty text."""
  return tuple(filter(None, text.split(",")))
