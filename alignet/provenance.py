"""What a training was made from, kept in the header of its weights."""

from collections.abc import Iterator
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

from alignet import files
from alignet import finished
from alignet.models.init_transform import InitFromWeights
import jax
from kauldron import kd

FILE = "inputs.json"
"""In a workdir, from the beginning: what a run that goes on may find gone."""

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
  files.write_json(workdir / FILE, noted, overwrite=True)


def of(trainer: kd.train.Trainer) -> dict[str, Any]:
  """Config, initial weights (None: random), data and versions of libraries.

  Of the config what decides the result, flat ("aux.peak"); of the others what
  `note` wrote.
  """
  config = {}
  if trainer.raw_cfg is not None:
    config = dict(finished.leaves(json.loads(trainer.raw_cfg.to_json())))
  config = {key: _without_folder(value) for key, value in config.items()}
  noted = files.read_json(pathlib.Path(trainer.workdir) / FILE)
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
