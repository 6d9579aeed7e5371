"""A training that makes one file, and knows itself when that is done."""

from collections.abc import Iterator
import contextlib
import contextvars
import pathlib
from typing import Any, ClassVar, Protocol

from alignet.errors import AlignetError
import jax
from kauldron import kd

_may_stop = contextvars.ContextVar("may_stop", default=False)


class Done(Exception):  # pylint: disable=g-bad-exception-name
  """Ends a training whose result is written; holds the state."""

  def __init__(self, state: kd.train.TrainState):
    super().__init__("the result is written")
    self.state = state


class Recipe(Protocol):
  """What a training follows."""

  def plan(self) -> dict[str, Any]:
    """What the result depends on; JSON-serialisable."""


class Result(kd.evals.EvaluatorBase):
  """Writes `{workdir}/{file_name}` once, when that is done.

  The launcher of `alignet.train` then ends the training. Kauldron's own goes on
  to `num_train_steps`, which changes nothing of the file.
  """

  file_name: ClassVar[str]

  def updates(self) -> int:
    """After so many, if not before, it is done."""
    raise NotImplementedError

  def done(self, state: kd.train.TrainState) -> bool:
    """Whether this is the state to write."""
    raise NotImplementedError

  def write(self, state: kd.train.TrainState, path: pathlib.Path) -> None:
    """Writes the file, whole or not at all."""
    raise NotImplementedError

  def evaluate(self, state: kd.train.TrainState, step: int) -> None:
    """Writes the file if it is time."""
    if not step and self.base_cfg.num_train_steps < self.updates():
      raise AlignetError(
          f"num_train_steps: expected at least {self.updates()}, after which"
          f" {self.file_name} is written, found"
          f" {self.base_cfg.num_train_steps}; leave it as it is"
      )
    with jax.transfer_guard("allow"):
      if not self.done(state):
        return
      path = path_of(self)
      if not path.exists() and not jax.process_index():
        self.write(jax.device_get(state), path)
    if _may_stop.get():
      raise Done(state)


def path_of(evaluator: Result) -> pathlib.Path:
  """Where a result is written."""
  return pathlib.Path(evaluator.base_cfg.workdir) / evaluator.file_name


@contextlib.contextmanager
def stopping() -> Iterator[None]:
  """Inside, a training whose result is written raises `Done`."""
  token = _may_stop.set(True)
  try:
    yield
  finally:
    _may_stop.reset(token)
