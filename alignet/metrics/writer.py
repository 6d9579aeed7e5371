"""Scalars as JSON lines, beside Kauldron's TensorBoard files."""

from collections.abc import Mapping
import dataclasses
import json
import math
import pathlib

from kauldron import kd
import numpy as np


@dataclasses.dataclass(frozen=True, eq=True, kw_only=True)
class JsonlWriter(kd.train.KDMetricWriter):
  """Also appends each set of scalars to `{workdir}/scalars/{collection}.jsonl`.

  A line is `{"step": 100, "losses/jsd": .12, …}`. A run that was stopped and
  resumed repeats some steps: `read_scalars` keeps the last word on each.
  """

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    super().write_scalars(step, scalars)
    folder = pathlib.Path(self.workdir) / "scalars"
    folder.mkdir(parents=True, exist_ok=True)
    values = {k: float(np.asarray(v)) for k, v in scalars.items()}
    line = {k: v for k, v in values.items() if math.isfinite(v)}
    with open(folder / f"{self.collection}.jsonl", "a") as f:
      f.write(json.dumps({"step": int(step), **line}) + "\n")


def read_scalars(path: str | pathlib.Path) -> dict[str, dict[int, float]]:
  """Reads one JSON-lines file -> {scalar name: {step: value}}, steps sorted."""
  rows = {}
  for line in pathlib.Path(path).read_text().splitlines():
    try:
      row = json.loads(line)
    except ValueError:
      continue  # The last line of a run that was killed while writing it.
    rows[row.pop("step")] = row
  scalars = {}
  for step in sorted(rows):
    for name, value in rows[step].items():
      scalars.setdefault(name, {})[step] = value
  return scalars
