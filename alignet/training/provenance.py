"""What a training was made from: kept in its weights, checked when it resumes.

A workdir belongs to one config. `resume_check` rejects a workdir that holds a
finished training of another one, so that no command returns weights that it did
not ask for.
"""

from collections.abc import Iterator
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.models.formats.init_transform import InitFromWeights
import jax
from kauldron import kd

FILE = "inputs.json"
"""In a workdir, from the beginning: what a run that goes on may find gone."""

CONFIG = "config.json"
"""The config, where Kauldron's writer puts it when a training begins."""

_EXECUTION = (
    *("workdir", "sharding", "checkpointer", "profiler", "setup", "xm_job"),
    *("num_workers", "shard_above_mb", "remat", "scan", "__id__"),
)
"""Fields, at any depth, that change where and how a training is computed."""

_PLACES = ("data_dir",)  # Where data lie, which is not what they are.


def note(trainer: kd.train.Trainer) -> None:
  """Writes `FILE`: initial weights and data, each with its sha256.

  What is noted stays, once there is a checkpoint. Paths are kept without their
  folders, so that the same training elsewhere writes the same bytes.
  """
  workdir = pathlib.Path(trainer.workdir)
  begun = any(workdir.glob("checkpoints/ckpt_*"))
  if jax.process_index() or (begun and (workdir / FILE).exists()):
    return
  init = None
  if isinstance(trainer.init_transform, InitFromWeights):
    init = _input(trainer.init_transform.path, _contents)
  source = getattr(trainer.train_ds, "data_source", None)
  noted = {"init": init, "data": dict(_inputs(source))}
  json_files.write(workdir / FILE, noted, overwrite=True)


def of(trainer: kd.train.Trainer) -> dict[str, Any]:
  """Config, initial weights (None: random), data and versions of libraries.

  Of the config what decides the result, flat ("aux.peak"); of the others what
  `note` wrote.
  """
  config = {}
  if trainer.raw_cfg is not None:
    config = dict(leaves(json.loads(trainer.raw_cfg.to_json())))
  config = {key: _without_folder(value) for key, value in config.items()}
  noted = json_files.read(pathlib.Path(trainer.workdir) / FILE)
  return {"config": config, **noted, "versions": files.versions()}


def _inputs(source: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
  """(field, input) of each path in the fields of a data source."""
  if not dataclasses.is_dataclass(source):
    return
  for field in dataclasses.fields(source):
    value = getattr(source, field.name)
    if isinstance(value, str):
      if value and field.name not in _PLACES and os.path.exists(value):
        yield prefix + field.name, _input(value, files.digest)
    else:
      yield from _inputs(value, f"{prefix}{field.name}.")


def _input(path: files.Path, digest) -> dict[str, str | None]:
  there = os.path.exists(path)
  return {
      "name": os.path.basename(os.path.abspath(path)),
      "sha256": digest(path) if there else None,
  }


def _contents(path: files.Path) -> str:
  """sha256 of a file, or of the names and contents of all in a folder."""
  path = pathlib.Path(path)
  if path.is_file():
    return files.sha256(path)
  lines = [
      f"{part.relative_to(path).as_posix()} {files.sha256(part)}\n"
      for part in sorted(path.rglob("*"))
      if part.is_file()
  ]
  return hashlib.sha256("".join(lines).encode()).hexdigest()


def _without_folder(value: Any) -> Any:
  if isinstance(value, str) and os.path.isabs(value):
    return os.path.basename(value)
  return value


def note_config(trainer: kd.train.Trainer) -> None:
  """Notes the config that the training ended with, also after a resumption."""
  if trainer.raw_cfg is not None:
    with files.atomic_write(
        pathlib.Path(trainer.workdir) / CONFIG, overwrite=True
    ) as f:
      f.write(trainer.raw_cfg.to_json().encode())


def resume_check(trainer: kd.train.Trainer) -> None:
  """Fails where the workdir holds a finished training of another config.

  Raises:
    AlignetError: so, with the first field that differs, those of `aux` first;
      or the workdir does not say what was trained.
  """
  if trainer.raw_cfg is None:  # A trainer that was made without a config.
    return
  there = dict(leaves(json_files.read(pathlib.Path(trainer.workdir) / CONFIG)))
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
