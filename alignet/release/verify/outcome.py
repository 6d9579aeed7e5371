"""What a check says."""

from collections.abc import Sequence
import dataclasses
from typing import Any, Literal

import numpy as np

Status = Literal["pass", "warn", "fail", "info", "skipped"]

_ROWS_NAMED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
  """Outcome of one check.

  Attributes:
    name: what was checked.
    status: "fail" for what breaks readers or is wrong, "warn" for what is
      allowed and unusual, "info" for a figure, "skipped" where something needed
      was not given.
    message: one sentence, with the first row at fault.
    rows: the first ten rows at fault, where rows can be.
  """

  name: str
  status: Status
  message: str
  rows: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
  """Outcome of all checks of a file.

  Attributes:
    path: the file.
    n: number of triplets, None where the format is too broken to tell.
    checks: in the order they were made.
  """

  path: str
  n: int | None
  checks: tuple[Check, ...]

  @property
  def ok(self) -> bool:
    """Whether nothing failed."""
    return none_failed(self.checks)

  def __getitem__(self, name: str) -> Check:
    return next(check for check in self.checks if check.name == name)

  def to_json(self) -> dict[str, Any]:
    """The same as JSON values."""
    return {**dataclasses.asdict(self), "ok": self.ok}


def none_failed(checks: Sequence[Check]) -> bool:
  """Whether no check has the status "fail"."""
  return all(check.status != "fail" for check in checks)


def check(name: str, good: bool, message: str, bad: Status = "fail") -> Check:
  """A check that holds or not."""
  return Check(name=name, status="pass" if good else bad, message=message)


def skipped(name: str, needs: str) -> Check:
  """A check that was not made."""
  return Check(name=name, status="skipped", message=f"needs {needs}")


def rows_check(
    name: str, bad: np.ndarray, rule: str, status: Status = "fail"
) -> Check:
  """A check that holds row by row; `bad` is (n,) bool."""
  if not bad.any():
    return Check(name=name, status="pass", message=rule)
  first = np.flatnonzero(bad)[:_ROWS_NAMED].tolist()
  return Check(
      name=name,
      status=status,
      message=(
          f"expected {rule}; not so in {bad.sum()} of {len(bad)} rows, first in"
          f" row {first[0]}"
      ),
      rows=tuple(first),
  )
