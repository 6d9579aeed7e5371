"""What a workdir was begun with: noted, compared, kept in the weights.

A workdir belongs to one training. `begin` notes the files that it reads and the
config, and rejects a workdir that was begun with others, finished or not: no
result is a mixture of two, and no command returns one that it did not ask for.
What cannot change the result may change, and so may the number of steps, where
no schedule depends on it; `FILE` then holds a segment more.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
import jax
from kauldron import kd

FILE = "inputs.json"
"""In a workdir, from the beginning: inputs, config, recipe and segments."""

FINISHED = ("weights.safetensors", "*.npz")
"""What is there when a training is complete."""

_EXECUTION = (
    *("workdir", "sharding", "checkpointer", "profiler", "setup", "xm_job"),
    *("num_workers", "shard_above_mb", "remat", "scan", "__id__"),
)
"""Fields, at any depth, that change where and how a training is computed."""

_WATCHED = ("evals", "writer", "log_metrics_every", "log_summaries_every")
"""Fields of the trainer that change what is seen of a training."""

_STEPS = (
    *("num_train_steps", "stop_after_steps"),
    "train_ds.data_source.num_batches",
)
"""What more steps change, where no schedule depends on their number."""

_PLACES = ("data_dir",)  # Where data lie, which is not what they are.


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Begun:
  inputs: dict[str, json_files.Object]
  config: json_files.Object
  recipe: json_files.Object | None
  segments: list[json_files.Object]


def begin(trainer: kd.train.Trainer) -> None:
  """Notes what a training begins with; in a workdir that has begun, compares.

  Where the training was finished and more steps are asked for, its result is
  removed, and it goes on.

  Raises:
    AlignetError: the workdir holds a training with other inputs, another config
      or recipe, or with more steps than are asked for; or one of a version that
      noted nothing. The message names the field, both values and what to do.
  """
  if jax.process_index():
    return
  workdir = pathlib.Path(trainer.workdir)
  now, path = _beginning(trainer), workdir / FILE
  done = _steps_done(workdir)
  finished = [p for name in FINISHED for p in workdir.glob(name)]
  if done is None and not finished:
    return json_files.write(path, now, overwrite=True)
  if not path.exists():
    raise AlignetError(
        f"{workdir} holds a training of an earlier version of alignet, which"
        " did not note what it was begun with; train in another workdir, or"
        " delete this one first"
    )
  there = json_files.read(path, _Begun)
  for key in there["inputs"].keys() & now["config"].keys():
    # What is gone is not needed any more, or the training will say so.
    if (
        os.path.basename(str(now["config"][key]))
        == there["inputs"][key]["name"]
    ):
      del now["config"][key]
      now["inputs"][key] = there["inputs"][key]
  last, segment = there["segments"][-1], now["segments"][0]
  for kind in ("inputs", "recipe", "config"):
    then, asked = there[kind] or {}, now[kind] or {}
    differ = _differing(then, asked)
    if not all(map(_is_aux, differ)):
      if last["steps"] != segment["steps"] and not any(map(_is_aux, differ)):
        # Which is what a schedule depends on.
        differ, then, asked = ["num_train_steps"], *(
            {"num_train_steps": one["steps"]} for one in (last, segment)
        )
      key = min(differ, key=lambda key: (not _is_aux(key), key))
      raise AlignetError(
          f"{workdir} holds a training with another {kind.rstrip('s')}: {key}"
          f" was {_shown(then, key)} and is now {_shown(asked, key)}; train in"
          " another workdir, or give what it was begun with"
      )
  least = _to_the_end(last) if finished else done
  asked = _to_the_end(segment)
  if asked < least:
    raise AlignetError(
        f"num_train_steps is now {asked}, and {workdir} holds a training of"
        f" {least} steps; ask for at least as many, or train in another workdir"
    )
  if finished and asked > least:
    for each in finished:
      each.unlink()
  if {**segment, "from": 0} != {**last, "from": 0}:
    segment["from"] = done or 0
    there["segments"].append(segment)
    json_files.write(path, there, overwrite=True)


def of(trainer: kd.train.Trainer) -> dict[str, Any]:
  """Config, inputs, versions of libraries, and segments if there are several.

  Of the config what decides the result, flat ("aux.peak"). Paths are without
  their folders, so that the same training elsewhere writes the same bytes.
  """
  config = {}
  if trainer.raw_cfg is not None:
    config = dict(leaves(json.loads(trainer.raw_cfg.to_json())))
  config = {key: _without_folder(value) for key, value in config.items()}
  noted = json_files.read(pathlib.Path(trainer.workdir) / FILE, _Begun)
  init = noted["inputs"].get("init_transform.path")
  data = {
      key.removeprefix("train_ds.data_source."): value
      for key, value in noted["inputs"].items()
      if key.startswith("train_ds.data_source.")
  }
  found = {"config": config, "init": init, "data": data}
  segments = [
      {key: s[key] for key in ("from", "steps", "versions")}
      for s in noted["segments"]
  ]
  # Others only changed where it was computed, or what was seen of it.
  kept = [
      s
      for before, s in zip([None, *segments], segments)
      if before is None or {**before, "from": 0} != {**s, "from": 0}
  ]
  if len(kept) > 1:
    found["segments"] = kept
  return found | {"versions": files.versions()}


def _beginning(trainer: kd.train.Trainer) -> dict[str, Any]:
  config, recipe = {}, getattr(trainer.trainstep, "recipe", None)
  if trainer.raw_cfg is not None:
    config = json.loads(trainer.raw_cfg.to_json())
  flat = dict(_leaves(config))
  deciding = {
      key: value
      for key, value in leaves(config)
      if key.split(".")[0] not in _WATCHED and key not in _STEPS
  }
  inputs = {
      key: _input(value)
      for key, value in deciding.items()
      if isinstance(value, str)
      and key.split(".")[-1] not in _PLACES
      and os.path.exists(value)
  }
  plan = recipe.plan() if recipe is not None else None
  if plan is not None:  # Recorded with the segment: they may change.
    plan = json.loads(json.dumps({k: plan[k] for k in plan if k != "versions"}))
    plan = dict(_leaves(plan))
  kept = {k: v for k, v in deciding.items() if k not in inputs}
  return {
      "inputs": inputs,
      "config": kept,
      "recipe": plan,
      "segments": [
          {
              "from": 0,
              "steps": trainer.num_train_steps,
              "stop": trainer.stop_after_steps,
              "versions": files.versions(),
              "devices": jax.device_count(),
              "settings": {
                  key: value
                  for key, value in flat.items()
                  if key not in deciding and "workdir" not in key
              }
              | {k: v["sha256"] for k, v in inputs.items() if _is_aux(k)},
          }
      ],
  }


def _to_the_end(segment: Mapping[str, Any]) -> int:
  """Steps after which it ends."""
  stop = segment["stop"]
  return segment["steps"] if stop is None else min(segment["steps"], stop)


def _steps_done(workdir: pathlib.Path) -> int | None:
  """Step of the last checkpoint; None without any."""
  names = [p.name.removeprefix("ckpt_") for p in workdir.glob("checkpoints/*")]
  steps = [int(name) for name in names if name.isdecimal()]
  return max(steps, default=None)


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
  absent = object()
  keys = {**now, **then}
  return [k for k in keys if then.get(k, absent) != now.get(k, absent)]


def _is_aux(key: str) -> bool:
  """Whether a field only gives others their values, which count."""
  return key.startswith("aux.")


def _shown(found: Mapping[str, Any], key: str) -> str:
  value = found.get(key, "absent")
  if isinstance(value, Mapping) and "sha256" in value:
    return f"{value['name']} (sha256 {value['sha256'][:12]}…)"
  return repr(value)


def _input(path: str) -> dict[str, Any]:
  path = os.path.abspath(path)
  size = None if os.path.isdir(path) else os.path.getsize(path)
  found = {"name": os.path.basename(path), "sha256": files.digest(path)}
  return found | {"size": size}


def _without_folder(value: Any) -> Any:
  if isinstance(value, str) and os.path.isabs(value):
    return os.path.basename(value)
  return value


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
  """("a.b", value) of all fields that are no matter of execution."""
  for key, value in _leaves(node, prefix):
    if not any(part in _EXECUTION for part in key.split(".")):
      yield key, value


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
  for key, value in node.items():
    if isinstance(value, dict) and value:
      yield from _leaves(value, f"{prefix}{key}.")
    else:
      yield f"{prefix}{key}", value
