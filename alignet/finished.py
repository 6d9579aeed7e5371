"""A finished training is repeated for nobody, and passed off as no other."""

from collections.abc import Iterator
import json
import pathlib
from typing import Any

from alignet import files
from alignet.errors import AlignetError
from kauldron import kd

CONFIG = "config.json"
"""The config, where Kauldron's writer puts it when a training begins."""

_EXECUTION = (
    *("workdir", "sharding", "checkpointer", "profiler", "setup", "xm_job"),
    *("num_workers", "shard_above_mb", "remat", "scan", "__id__"),
)
"""Fields, at any depth, that change where and how a training is computed."""


def write(trainer: kd.train.Trainer) -> None:
  """Notes the config that the training ended with, also after a resumption."""
  if trainer.raw_cfg is not None:
    with files.atomic_write(
        pathlib.Path(trainer.workdir) / CONFIG, overwrite=True
    ) as f:
      f.write(trainer.raw_cfg.to_json().encode())


def check(trainer: kd.train.Trainer) -> None:
  """Fails where the workdir holds a finished training of another config.

  Raises:
    AlignetError: so, with the first field that differs, those of `aux` first;
      or the workdir does not say what was trained.
  """
  if trainer.raw_cfg is None:  # A trainer that was made without a config.
    return
  there = dict(leaves(files.read_json(pathlib.Path(trainer.workdir) / CONFIG)))
  here = dict(leaves(json.loads(trainer.raw_cfg.to_json())))
  missing = object()
  differ = [
      key
      for key in here | there
      if here.get(key, missing) != there.get(key, missing)
  ]
  if not differ:
    return
  key = min(differ, key=lambda k: not k.startswith("aux."))
  then, now = (repr(x[key]) if key in x else "absent" for x in (there, here))
  raise AlignetError(
      f"{trainer.workdir} holds a finished training of another config: {key}"
      f" was {then} and is now {now}; train in another workdir, or delete this"
      " one first"
  )


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
  """("a.b", value) of all fields that are no matter of execution."""
  for key, value in node.items():
    if key in _EXECUTION:
      continue
    if isinstance(value, dict) and value:
      yield from leaves(value, f"{prefix}{key}.")
    else:
      yield f"{prefix}{key}", value
