"""Finds experiment configs by name or path, and loads them.

In a checkout the configs are the folder `configs/`; an installed wheel carries
the same files as `alignet/configs/`. Both answer to the same names, from any
working directory: `demo`, `pipeline/demo`, `configs/pipeline/demo.py`. What
stands behind a colon, as in `student/siglip_b:dense`, goes to `get_config` as
its first argument: a variant.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
import difflib
import inspect
import os
import pathlib
import sys
import types
from typing import Any

from alignet.errors import AlignetError
from alignet.io import config_fields
from alignet.io import counts

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]

# Places of a training's config that are made for new entries.
_OPEN = {
    *("evals", "losses", "metrics", "schedules", "summaries"),
    *("train_losses", "train_metrics", "train_summaries"),
}
_HIDDEN = {"__qualname__", "__const__", "__id__", "__args__"}


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


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Takes the overrides out of a command line.

  Args:
    argv: `--cfg.a.b=value`, or the value behind it, among anything else.

  Returns:
    The overrides as "a.b=value", and all other arguments.

  Raises:
    AlignetError: one without a value.
  """
  overrides, rest = [], []
  left = list(argv)
  while left:
    argument = left.pop(0)
    if argument.startswith("--cfg."):
      if "=" not in argument:
        if not left or left[0].startswith("--"):
          raise AlignetError(f"expected {argument}=VALUE, found no value")
        argument = f"{argument}={left.pop(0)}"
      overrides.append(argument.removeprefix("--cfg."))
    else:
      rest.append(argument)
  return overrides, rest


def split_name(argv: Sequence[str]) -> tuple[str | None, list[str]]:
  """Takes the config out of a command line without overrides.

  Args:
    argv: the config as NAME or `--cfg=NAME_OR_PATH`, among other flags.

  Returns:
    The name, None where none is given, and all other arguments.

  Raises:
    AlignetError: two configs, or `--cfg` without a value.
  """
  names, rest = [], []
  left = list(argv)
  while left:
    flag, equals, value = left.pop(0).partition("=")
    if flag == "--cfg":
      if not equals and not left:
        raise AlignetError("expected --cfg=NAME_OR_PATH, found no value")
      names.append(value if equals else left.pop(0))
    elif flag.startswith("-"):
      rest.append(flag + equals + value)
    else:
      names.append(flag + equals + value)
  if len(names) > 1:
    raise AlignetError(
        f"expected one config, found {' and '.join(names)}; an override begins"
        " with --cfg."
    )
  return (names[0] if names else None), rest


def resolve(name_or_path: str | os.PathLike[str] | None) -> pathlib.Path:
  """Finds a config file.

  An existing file wins. Otherwise the name is looked up among `names()`, first
  as a whole and then as the end of one (`demo` for `pipeline/demo`); a leading
  `configs/` and a trailing `.py` make no difference, nor does a variant.

  Args:
    name_or_path: path of a file, or name of a config that comes with alignet.

  Returns:
    The file's path; a path that was given is returned as it is.

  Raises:
    AlignetError: nothing, or more than one config, goes by that name.
  """
  if not name_or_path:
    raise AlignetError(
        "expected a config, as --cfg=NAME or a path; the names are"
        f" {', '.join(names())}"
    )
  path = pathlib.Path(name_or_path)
  if path.is_file():
    return path
  path = pathlib.Path(_split_variant(name_or_path)[0])
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
  _, variant = _split_variant(name_or_path)
  config = _run(resolve(name_or_path), variant, arguments)
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
  """Applies one `"a.b=value"` to a nested config, in place; see `load`.

  A key is known if the config has it, or if the class that stands in its place
  has such a field. Only the places meant for new entries take any other.

  Raises:
    AlignetError: an unknown key, with the nearest known one; a value of another
      type.
  """
  key, equals, text = item.partition("=")
  key = key.strip()
  if not equals or not all(key.split(".")):
    raise AlignetError(
        f"override {item!r}: expected KEY=VALUE, such as student.steps=100"
    )
  *parents, last = key.split(".")
  node = config
  for depth, part in enumerate([*parents, last]):
    place = key.split(".")[:depth]
    if not hasattr(node, "keys"):
      raise AlignetError(
          f"override {item!r}: {'.'.join(place)} is a value ({node!r}) and has"
          f" no key {part!r}"
      )
    if part in node:
      node, above = node[part], node
      continue
    fields = _fields(node, place)
    if fields is not None and part not in fields:
      raise AlignetError(
          f"override {item!r}: the config has no key {key!r};"
          f" {_near(key, place, node, fields, config)}"
      )
    if depth < len(parents):
      raise AlignetError(
          f"override {item!r}: the config leaves {'.'.join([*place, part])}"
          " open, so it has nothing to override; set it in a config of your own"
      )
    node, above = None, node
  is_group = hasattr(node, "keys")
  # An object, or the entries of a place for them, may be left out.
  if is_group and (text != "None" or _fields(node, [last]) == frozenset()):
    raise AlignetError(
        f"override {item!r}: {key} is a group of keys"
        f" ({', '.join(map(str, node.keys()))}); override one of them"
    )
  try:
    above[last] = _parse(text, None if is_group else node)
  except (TypeError, ValueError) as e:
    raise AlignetError(
        f"override {item!r}: expected a value of type"
        f" {type(node).__name__}, as {node!r}, found {text!r}"
        f"{f' ({e})' if isinstance(node, str) else ''}"
    ) from e


def _fields(node: Any, place: Sequence[str]) -> frozenset[str] | None:
  """Keys that a place takes beside those it has; None for any."""
  if "__qualname__" in node:
    return config_fields.accepted(node["__qualname__"])
  return None if place and place[-1] in _OPEN else frozenset()


def _split_variant(name_or_path: str | os.PathLike[str]) -> tuple[str, str]:
  """("student/siglip_b", "dense") of student/siglip_b:dense."""
  name = os.fspath(name_or_path)
  if pathlib.Path(name).is_file():
    return name, ""
  head, _, variant = name.rpartition(":")
  return (head, variant) if head and "/" not in variant else (name, "")


def _run(path: pathlib.Path, variant: str, arguments: Mapping[str, Any]) -> Any:
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
    if variant and not inspect.signature(get_config).parameters:
      raise AlignetError(
          f"{path.stem} has no variants, found {variant!r}; leave it out"
      )
    return get_config(*([variant] if variant else []), **arguments)
  finally:
    if previous is None:
      del sys.modules[module.__name__]
    else:
      sys.modules[module.__name__] = previous


def _parse(text: str, current: Any) -> Any:
  """Reads an override's value; `current` is what it replaces."""
  if isinstance(current, bool) and text.lower() in ("true", "false"):
    return text.lower() == "true"
  if type(current) is int and text not in ("True", "False", "None"):  # pylint: disable=unidiomatic-typecheck
    try:
      return counts.parse(text)
    except AlignetError as e:
      raise ValueError(text) from e
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, MemoryError, RecursionError):
    value = text
  if isinstance(current, str):
    if value is None:
      raise TypeError("which may be empty, but not None")
    return value if isinstance(value, str) else text
  if isinstance(current, bool) != isinstance(value, bool) and not (
      current is None or value is None
  ):
    raise TypeError("a flag is True or False")
  if isinstance(current, tuple) and isinstance(value, list):
    return tuple(value)
  return value


def near(name: str, known: Iterable[str], prefix: str = "") -> str:
  """`did you mean …`, or all that is known where nothing is like it."""
  known = sorted(known)
  close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
  listed = ", ".join(prefix + k for k in close or known) or "none"
  return f"{'did you mean' if close else 'expected one of'} {listed}"


def _near(key, place, node, fields, config) -> str:
  """Known keys like the part behind `place`, or like the last part anywhere."""
  part, last = key.split(".")[len(place)], key.rpartition(".")[2]
  known = {*map(str, node.keys()), *fields} - _HIDDEN
  like = lambda name, names, cutoff: difflib.get_close_matches(
      name, names, cutoff=cutoff
  )
  if not like(part, known, 0.6):
    # Such as `peak` for `aux.peak`.
    leaves = [leaf for leaf, _ in _leaves(config)]
    leaves = [x for x in leaves if like(last, [x.rpartition(".")[2]], 0.75)]
    if leaves:
      return f"did you mean {', '.join(leaves[:5])}"
  return near(part, known, "".join(f"{p}." for p in place))


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
  for key in node.keys():
    value = node[key]
    path = f"{prefix}{key}"
    if hasattr(value, "keys"):
      yield from _leaves(value, f"{path}.")
    else:
      yield path, value
