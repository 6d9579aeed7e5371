"""Scalars as JSON lines, beside Kauldron's TensorBoard files."""

from collections.abc import Mapping
import dataclasses
import json
import math
import os
import pathlib
from typing import BinaryIO

from alignet.errors import AlignetError
from kauldron import kd
from kauldron.utils.status_utils import status
import numpy as np


@dataclasses.dataclass(frozen=True, eq=True, kw_only=True)
class JsonlWriter(kd.train.KDMetricWriter):
  """Also appends each set of scalars to `{workdir}/scalars/{collection}.jsonl`.

  A line is `{"step": 100, "losses/jsd": .12, …}`, with null for a value that is
  not finite. A run that was stopped and resumed repeats some steps:
  `read_scalars` keeps the last word on each.
  """

  def write_context_structure(
      self, init_step: int, trainer: kd.train.Trainer
  ) -> None:
    """Writes nothing: Kauldron would compile the whole initialisation again."""

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    super().write_scalars(step, scalars)
    if not status.is_lead_host:
      return
    folder = pathlib.Path(self.workdir) / "scalars"
    folder.mkdir(parents=True, exist_ok=True)
    values = {k: float(np.asarray(v)) for k, v in scalars.items()}
    line = {k: v if math.isfinite(v) else None for k, v in values.items()}
    text = json.dumps({"step": int(step), **line}) + "\n"
    with open(folder / f"{self.collection}.jsonl", "ab+") as f:
      # A run that was killed may have left half a line: end it first.
      if f.tell() and not _ends_with_newline(f):
        text = "\n" + text
      f.write(text.encode())


def read_scalars(path: str | pathlib.Path) -> dict[str, dict[int, float]]:
  """Reads what `JsonlWriter` wrote.

  Args:
    path: a JSON-lines file.

  Returns:
    {scalar name: {step: value}}, steps in order; a value that was not finite
    is left out.

  Raises:
    AlignetError: no such file.
  """
  try:
    lines = pathlib.Path(path).read_text().splitlines()
  except FileNotFoundError as e:
    raise AlignetError(f"{path} does not exist") from e
  rows = {}
  for line in lines:
    try:
      row = json.loads(line)
    except ValueError:
      continue  # Half a line of a run that was killed while writing it.
    rows.setdefault(row.pop("step"), {}).update(row)
  scalars = {}
  for step in sorted(rows):
    for name, value in rows[step].items():
      if value is not None:
        scalars.setdefault(name, {})[step] = value
  return scalars


def _ends_with_newline(f: BinaryIO) -> bool:
  f.seek(-1, os.SEEK_END)
  return f.read(1) == b"\n"
