"""Runs a pipeline config: each stage once, resumable, shared by fingerprint.

A pipeline is a config with a group `stages`. A stage names a function
(`run`), and its arguments in three groups:

  inputs  outputs of other stages: "clusters" is that stage's folder,
          "clusters/clusters.npz" a file in it
  files   paths of files or folders from outside
  params  plain values

A stage's fingerprint is its function, the function's version, its parameters,
the fingerprints of its inputs and the contents of its files. Its output lies in
`OUT/stages/{name}-{fingerprint}`: a stage that is there is not run again, and
pipelines with the same OUT share what is the same. Of each output the digest is
kept: one that is damaged is computed again. A folder under work has
`.partial` behind its name and is renamed when the stage has ended. At the end
the files named in `publish` are copied to OUT, under their own names or, where
an entry is a pair, under the second of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import graphlib
import hashlib
import importlib
import inspect
import json
import os
import pathlib
import shutil
import time
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import locks
import ml_collections

_RECORD = "stage.json"
_OUTPUTS = "outputs.json"
"""File to size, time of its last change and sha256 of what a stage wrote."""


@dataclasses.dataclass(frozen=True)
class _Output:
  size: int
  mtime_ns: int
  sha256: str


def stage(
    version: int,
    *,
    resumable: bool = False,
    reads: Callable[[Mapping[str, Any]], Sequence[files.Path]] | None = None,
) -> Callable[[Callable], Callable]:
  """Marks a function as a stage.

  Args:
    version: raised when the same arguments come to mean another output.
    resumable: the function goes on from what an interrupted run has left in its
      output folder; otherwise that is removed first.
    reads: from the parameters to files that they name and whose contents
      belong to the fingerprint, such as a training's config.

  Returns:
    A decorator. The function takes its output folder, then keyword arguments:
    paths for inputs and files, values for params.
  """

  def mark(function):
    function.stage_version = version
    function.stage_resumable = resumable
    function.stage_reads = reads
    return function

  return mark


def run(
    config: ml_collections.ConfigDict,
    out: files.Path,
    *,
    check: bool = False,
    say: Callable[[str], None] = print,
) -> pathlib.Path:
  """Runs all stages that are not there yet, then publishes the outputs.

  Args:
    config: a pipeline config.
    out: folder of the run; made if need be.
    check: compare the contents of all outputs that are there with their
      digests, not only size and time.
    say: called with a line a stage.

  Returns:
    The folder.

  Raises:
    AlignetError: a config that is no pipeline, or an error of a stage.
  """
  out = pathlib.Path(out).absolute()  # Orbax refuses relative paths.
  plans = plan(config)
  with locks.held(out / locks.LOCK):
    folders = run_stages(plans, out, check=check, say=say)
    for source, target in published(config).items():
      name, _, inside = source.partition("/")
      _publish(folders[name] / inside, out / target)
  return out


def run_stages(
    plans: Mapping[str, Mapping[str, Any]],
    out: files.Path,
    *,
    check: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, pathlib.Path]:
  """Runs the stages that are not there yet, or no longer as they were.

  Several processes may do so in one folder: each stage is run by the first that
  comes to it, and the others wait for it. Of what another stage is computed
  from, contents are compared.

  Args:
    plans: as `plan` gives them.
    out: absolute path of the folder of the run.
    check: compare contents of all.
    say: called with a line a stage.

  Returns:
    Name to folder of each stage.
  """
  folders, wrong = {}, _wrong(plans, out, check)
  for number, name in enumerate(plans, start=1):
    title = f"[{number:2d}/{len(plans)}] {name}"
    if name in wrong and is_done(plans[name], out):
      say(f"{title}: {wrong[name]} is not as it was written")
      _discard(plans[name], out)
    folders[name] = _run_stage(plans[name], folders, out, title, say)
  return folders


def _wrong(plans, out, check) -> dict[str, str]:
  """Stages to run, each with what is wrong of it; "" where it is not there."""
  wrong = {}
  for name, plan_ in plans.items():
    if not is_done(plan_, out):
      wrong[name] = ""
    elif damaged := damage(folder_of(plan_, out), contents=check):
      wrong[name] = damaged
  todo = [*wrong]
  while todo:
    for _, source, _ in plans[todo.pop()]["inputs"]:
      if source not in wrong:
        folder = folder_of(plans[source], out)
        if damaged := damage(folder, contents=True):
          wrong[source] = damaged
          todo.append(source)
  return wrong


def damage(folder: pathlib.Path, *, contents: bool) -> str | None:
  """The first output of a finished stage that is not as it was written.

  Args:
    folder: of the stage.
    contents: compare the sha256 of all; else only of files whose time of the
      last change is another.

  Returns:
    Its name; None where all are as they were, or where an earlier version of
    alignet kept no digests.
  """
  if not (folder / _OUTPUTS).is_file():
    return None
  try:
    outputs = json_files.read(folder / _OUTPUTS, dict[str, _Output])
    for name, known in outputs.items():
      path = folder / name
      if not path.is_file() or path.stat().st_size != known["size"]:
        return name
      moved = path.stat().st_mtime_ns != known["mtime_ns"]
      if (contents or moved) and files.sha256(path) != known["sha256"]:
        return name
  except AlignetError:
    return _OUTPUTS
  return None


def damaged(out: files.Path) -> tuple[int, list[str]]:
  """Number of finished stages of a run, and outputs that are damaged."""
  folders = sorted(
      path.parent
      for path in (pathlib.Path(out) / "stages").glob(f"*/{_RECORD}")
  )
  found = []
  for folder in folders:
    if (name := damage(folder, contents=True)) is not None:
      found.append(f"{folder}/{name}")
  return len(folders), found


def _write_outputs(folder: pathlib.Path) -> None:
  """Notes the digest of each file of a stage."""
  found = {}
  for path in sorted(folder.rglob("*")):
    if path.is_file():
      found[path.relative_to(folder).as_posix()] = {
          "size": path.stat().st_size,
          "mtime_ns": path.stat().st_mtime_ns,
          "sha256": files.sha256(path),
      }
  json_files.write(folder / _OUTPUTS, found, overwrite=True)


def _discard(plan_, out) -> None:
  """Removes a stage's folder; a run that is killed here finds none or all."""
  folder = folder_of(plan_, out)
  with locks.held(out / ".locks" / folder.name, wait=True):
    if is_done(plan_, out):
      (folder / _RECORD).unlink()
      shutil.rmtree(folder)


def published(config: ml_collections.ConfigDict) -> dict[str, str]:
  """Files that are copied to OUT: "stage/file" to the name there."""
  pairs = [
      (entry, entry.rpartition("/")[2]) if isinstance(entry, str) else entry
      for entry in config.get("publish", ())
  ]
  return dict(pairs)


def plan(
    config: ml_collections.ConfigDict, *, without_files: bool = False
) -> dict[str, dict[str, Any]]:
  """Stages in an order in which they can run, with their fingerprints.

  Args:
    config: a pipeline config.
    without_files: files from outside need not be there; the fingerprints are
      then those of their paths.

  Returns:
    Name to {"name", "function", "inputs", "files", "params", "fingerprint"}.

  Raises:
    AlignetError: an unknown function or input, arguments that the function does
      not take or lacks, a missing file, a cycle.
  """
  stages = config.get("stages")
  if not stages:
    raise AlignetError("the config has no stages: it is not a pipeline config")
  stages = {name: stages[name].to_dict() for name in stages}
  needs = {}
  for name, fields in stages.items():
    needs[name] = [source for _, source, _ in inputs_of(fields)]
    unknown = [source for source in needs[name] if source not in stages]
    if unknown:
      raise AlignetError(
          f"stage {name} takes its input from {unknown[0]!r}, but there is no"
          f" such stage; found {', '.join(stages)}"
      )
  try:
    order = list(graphlib.TopologicalSorter(needs).static_order())
  except graphlib.CycleError as e:
    raise AlignetError(
        f"stages depend on each other in a circle: {' -> '.join(e.args[1])}"
    ) from e
  plans = {}
  for name in order:
    plans[name] = _plan_stage(name, stages[name], plans, without_files)
  return plans


def _plan_stage(name, fields, plans, without_files) -> dict[str, Any]:
  function = find(fields["run"])
  params = fields.get("params", {})
  _check_arguments(name, function, fields)
  outside = {}
  for key, path in flatten(fields.get("files", {})):
    if without_files:
      outside[key] = (path, path)
      continue
    if not path:
      raise AlignetError(
          f"stage {name} needs the path {key!r}, which the config leaves open;"
          " give it on the command line (see the config's docstring)"
      )
    outside[key] = (path, files.digest(path))
  identity = {
      "run": fields["run"],
      "version": function.stage_version,
      "params": params,
      "inputs": {
          key: [plans[source]["fingerprint"], inside]
          for key, source, inside in inputs_of(fields)
      },
      "files": {key: digest for key, (_, digest) in outside.items()},
  }
  reads = function.stage_reads(params) if function.stage_reads else ()
  if hashes := [files.digest(path) for path in reads]:
    identity["reads"] = hashes[0] if len(hashes) == 1 else hashes
  text = json.dumps(identity, sort_keys=True)
  return {
      "name": name,
      "function": function,
      "inputs": list(inputs_of(fields)),
      "files": {key: path for key, (path, _) in outside.items()},
      "params": params,
      "identity": identity,
      "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:12],
  }


def _check_arguments(name, function, fields) -> None:
  """Refuses what the function cannot be called with, before anything runs."""
  given = {
      key.partition(".")[0]
      for group in ("inputs", "files", "params")
      for key in fields.get(group, {})
  }
  signature = inspect.signature(function)
  try:
    signature.bind(None, **dict.fromkeys(given))
  except TypeError as e:
    expected = list(signature.parameters.values())[1:]
    found = ", ".join(sorted(given)) or "none"
    raise AlignetError(
        f"stage {name}: {e}; {fields['run']} takes"
        f" {', '.join(map(str, expected))}; found {found}"
    ) from e


def find(name: str) -> Callable:
  """The stage function of that name.

  Args:
    name: a function of `alignet.pipeline.stages`, or "package.module.function"
      for one's own.
  """
  module, _, function = name.rpartition(".")
  module = module or "alignet.pipeline.stages"
  try:
    found = getattr(importlib.import_module(module), function)
  except (ImportError, AttributeError) as e:
    raise AlignetError(f"{name!r} is not a stage: {e}") from e
  if not hasattr(found, "stage_version"):
    raise AlignetError(
        f"{name!r} is not a stage: mark it with"
        " @alignet.pipeline.runner.stage(version=1)"
    )
  return found


def folder_of(plan_: Mapping[str, Any], out: files.Path) -> pathlib.Path:
  """Where a planned stage's output lies, or will."""
  name = f"{plan_['name']}-{plan_['fingerprint']}"
  return pathlib.Path(out) / "stages" / name


def is_done(plan_: Mapping[str, Any], out: files.Path) -> bool:
  """Whether a planned stage has been run to its end in this folder."""
  return (folder_of(plan_, out) / _RECORD).is_file()


def _run_stage(plan_, folders, out, title, say) -> pathlib.Path:
  folder = folder_of(plan_, out)
  with locks.held(out / ".locks" / folder.name, wait=True):
    if is_done(plan_, out):
      say(f"{title}: done before")
    else:
      _work(plan_, folders, folder, title, say)
  return folder


def _work(plan_, folders, folder, title, say) -> None:
  if folder.exists() and (folder / _OUTPUTS).is_file():
    shutil.rmtree(folder)  # Killed while it was being removed.
  if folder.exists():
    raise AlignetError(
        f"{folder} exists, but no run has ended in it (it has no {_RECORD});"
        " move it away"
    )
  partial = folder.with_name(folder.name + ".partial")
  if partial.exists() and not plan_["function"].stage_resumable:
    shutil.rmtree(partial)
  partial.mkdir(parents=True, exist_ok=True)
  arguments = nest(
      {key: folders[source] / inside for key, source, inside in plan_["inputs"]}
      | {key: pathlib.Path(path) for key, path in plan_["files"].items()}
  )
  say(f"{title} …")
  start, cpu = time.monotonic(), time.process_time()
  plan_["function"](partial, **merge(arguments, plan_["params"]))
  _write_outputs(partial)
  json_files.write(partial / _RECORD, plan_["identity"], overwrite=True)
  os.replace(partial, folder)
  say(
      f"{title}: {time.monotonic() - start:.1f} s"
      f" ({time.process_time() - cpu:.1f} CPU-s)"
  )


def _publish(source: pathlib.Path, target: pathlib.Path) -> None:
  """Copies a stage's output to where people look for it."""
  with files.atomic_write(target, overwrite=True) as f:
    f.write(source.read_bytes())


def inputs_of(fields: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
  """(argument, stage, path inside its folder) of each input of a stage."""
  for key, source in flatten(fields.get("inputs", {})):
    name, _, inside = source.partition("/")
    yield key, name, inside


def flatten(
    tree: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
  """("a.b", 1) of {"a": {"b": 1}}."""
  for key, value in tree.items():
    if isinstance(value, Mapping):
      yield from flatten(value, f"{prefix}{key}.")
    else:
      yield prefix + key, value


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
  """{"a.b": 1} -> {"a": {"b": 1}}."""
  tree = {}
  for key, value in flat.items():
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
      node = node.setdefault(parent, {})
    node[last] = value
  return tree


def merge(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
  """Two trees of arguments in one; where both have a value, that of b."""
  merged = dict(a)
  for key, value in b.items():
    both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
    merged[key] = merge(merged[key], value) if both else value
  return merged
