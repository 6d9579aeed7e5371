"""Finds experiment configs by name or path, and loads them.

In a checkout the configs are the folder `configs/`; an installed wheel carries
the same files as `alignet/configs/`. Both answer to the same names, from any
working directory: `demo`, `pipeline/demo`, `configs/pipeline/demo.py`.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
import difflib
import os
import pathlib
import sys
import types
from typing import Any

from alignet.errors import AlignetError

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def folder() -> pathlib.Path:
  """The folder of the configs that come with this copy of alignet.

  Raises:
    AlignetError: the installation lacks them.
  """
  candidates = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
  for candidate in candidates:
    if candidate.is_dir():
      return candidate
  raise AlignetError(
      f"this installation of alignet has no configs (looked in"
      f" {' and '.join(map(str, candidates))}); reinstall it or give the path"
      " of a config file"
  )


def names() -> tuple[str, ...]:
  """Every config that comes with alignet, as `pipeline/demo`, sorted."""
  root = folder()
  return tuple(
      sorted(
          path.relative_to(root).with_suffix("").as_posix()
          for path in root.rglob("*.py")
          if not path.name.startswith("_")
      )
  )


def resolve(name_or_path: str | os.PathLike[str]) -> pathlib.Path:
  """Finds a config file.

  An existing file wins. Otherwise the name is looked up among `names()`, first
  as a whole and then as the end of one (`demo` for `pipeline/demo`); a leading
  `configs/` and a trailing `.py` make no difference.

  Args:
    name_or_path: path of a file, or name of a config that comes with alignet.

  Returns:
    The file's path; a path that was given is returned as it is.

  Raises:
    AlignetError: nothing, or more than one config, goes by that name.
  """
  path = pathlib.Path(name_or_path)
  if path.is_file():
    return path
  known = names()
  wanted = path.with_suffix("") if path.suffix == ".py" else path
  name = wanted.as_posix().removeprefix("configs/")
  found = [k for k in known if k == name]
  found = found or [k for k in known if k.endswith(f"/{name}")]
  if len(found) == 1:
    return folder() / f"{found[0]}.py"
  if found:
    raise AlignetError(
        f"{name_or_path!s} is the name of several configs; choose one of"
        f" {', '.join(found)}"
    )
  stems = {k: k.rpartition("/")[2] for k in known}
  close = set(difflib.get_close_matches(name, known))
  stem = name.rpartition("/")[2]
  close.update(
      k
      for k, s in stems.items()
      if difflib.get_close_matches(stem, [s], cutoff=0.7)
  )
  hint = "did you mean" if close else "the names are"
  raise AlignetError(
      f"{name_or_path!s} is neither a file nor the name of a config; {hint}"
      f" {', '.join(sorted(close or known)) or 'none'}"
  )


def load(
    name_or_path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    **arguments: Any,
) -> Any:
  """Runs a config file and returns what its `get_config()` returns.

  Args:
    name_or_path: as in `resolve`.
    overrides: changes as `"a.b=value"`, applied in order. A value is read as a
      Python literal where it is one (`3`, `1e-4`, `(1, 2)`, `None`), else as
      text; a field that holds text takes it as it stands.
    **arguments: of `get_config`, where others are made from the config.

  Returns:
    The config, usually an `ml_collections.ConfigDict`.

  Raises:
    AlignetError: no such config, a file that is no config, an override of a
      key that is not there or of another type.
  """
  path = resolve(name_or_path)
  config = _run(path, arguments)
  for item in overrides:
    override(config, item)
  return config


def sources(name_or_path: str | os.PathLike[str]) -> list[pathlib.Path]:
  """A config's file, then those of the configs that it begins from.

  These are the ones it names in `config_files.load("…")`.

  Args:
    name_or_path: as in `resolve`.

  Raises:
    AlignetError: no such config.
  """
  found = [resolve(name_or_path)]
  for path in found:
    try:
      tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as e:
      raise AlignetError(f"{path} is not valid Python ({e})") from e
    for node in ast.walk(tree):
      match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name("config_files"), attr="load"),
            args=[ast.Constant(str(name)), *_],
        ):
          base = resolve(name)
          if base not in found:
            found.append(base)
  return found


def override(config: Any, item: str) -> None:
  """Applies one `"a.b=value"` to a nested config, in place; see `load`."""
  key, equals, text = item.partition("=")
  key = key.strip()
  if not equals or not all(key.split(".")):
    raise AlignetError(
        f"override {item!r}: expected KEY=VALUE, such as student.steps=100"
    )
  *parents, last = key.split(".")
  node = config
  for depth, part in enumerate([*parents, last]):
    if not isinstance(node, Mapping) and not hasattr(node, "keys"):
      raise AlignetError(
          f"override {item!r}: {'.'.join(key.split('.')[:depth])} is a value"
          f" ({node!r}) and has no key {part!r}"
      )
    if part not in node:
      raise AlignetError(
          f"override {item!r}: the config has no key {key!r};"
          f" {_near(key, config)}"
      )
    if depth < len(parents):
      node = node[part]
  if hasattr(node[last], "keys"):
    raise AlignetError(
        f"override {item!r}: {key} is a group of keys"
        f" ({', '.join(map(str, node[last].keys()))}); override one of them"
    )
  try:
    node[last] = _parse(text, node[last])
  except (TypeError, ValueError) as e:
    raise AlignetError(
        f"override {item!r}: expected a value of type"
        f" {type(node[last]).__name__}, as {node[last]!r}, found {text!r}"
    ) from e


def _run(path: pathlib.Path, arguments: Mapping[str, Any]) -> Any:
  """Executes the file as a module of its own; returns what it configures."""
  module = types.ModuleType(f"alignet_config_{path.stem}")
  module.__file__ = str(path)
  previous = sys.modules.get(module.__name__)
  sys.modules[module.__name__] = module  # Dataclasses look their module up.
  try:
    try:
      code = compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError) as e:
      raise AlignetError(f"{path} is not valid Python ({e})") from e
    exec(code, module.__dict__)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
      raise AlignetError(f"{path} defines no get_config(); add one")
    return get_config(**arguments)
  finally:
    if previous is None:
      del sys.modules[module.__name__]
    else:
      sys.modules[module.__name__] = previous


def _parse(text: str, current: Any) -> Any:
  """Reads an override's value; `current` is what it replaces."""
  if isinstance(current, bool) and text.lower() in ("true", "false"):
    return text.lower() == "true"
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, MemoryError, RecursionError):
    value = text
  if isinstance(current, str) and value is not None:
    return value if isinstance(value, str) else text
  if isinstance(current, bool) != isinstance(value, bool) and not (
      current is None or value is None
  ):
    raise TypeError("a flag is True or False")
  if isinstance(current, tuple) and isinstance(value, list):
    return tuple(value)
  return value


def _near(key: str, config: Any) -> str:
  """Keys of the config that look like `key`, or all of its top level."""
  known = dict(_leaves(config))
  last = key.rpartition(".")[2]
  close = [
      k
      for k in known
      if difflib.get_close_matches(last, [k.rpartition(".")[2]], cutoff=0.75)
  ]
  ranked = difflib.get_close_matches(key, known, n=3, cutoff=0.75)
  ranked += [k for k in close if k not in ranked]
  if ranked:
    return f"did you mean {', '.join(ranked[:5])}"
  return f"its keys are {', '.join(map(str, config.keys()))}"


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
  for key in node.keys():
    value = node[key]
    path = f"{prefix}{key}"
    if hasattr(value, "keys"):
      yield from _leaves(value, f"{path}.")
    else:
      yield path, value
