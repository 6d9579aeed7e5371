"""Every config equals its checked-in golden text.

A line is a field, with its whole path. A config that begins from another one is
kept as what differs from it, unless all of it is shorter, so that a changed
hyper-parameter is a diff that people read. After an intended change:

  ALIGNET_UPDATE_GOLDENS=1 python -m pytest tests/configs/test_goldens.py
"""

from collections.abc import Iterator
import difflib
import os
import pathlib
import re
from typing import Any

from alignet.io import config_files
import pytest

_GOLDEN = pathlib.Path(__file__).parent / "golden"
_UPDATE = os.environ.get("ALIGNET_UPDATE_GOLDENS", "") not in ("", "0")
_COMMAND = (
    "ALIGNET_UPDATE_GOLDENS=1 python -m pytest tests/configs/test_goldens.py"
)
_MOST = 4000  # Lines of all of them.


def _names() -> list[str]:
  """All configs, and the variants of the students."""
  students = [n for n in config_files.names() if n.startswith("student/")]
  variants = [f"{n}:{v}" for n in students for v in ("dense", "readout")]
  return [*config_files.names(), *variants]


def _golden_path(name: str) -> pathlib.Path:
  return _GOLDEN / f"{name.replace('/', '__').replace(':', '--')}.txt"


def _lines(node: Any, place: str, seen: dict[int, str]) -> Iterator[str]:
  """`a.b = value` of each field; an object that comes again is named."""
  if hasattr(node, "items"):
    if id(node) in seen:
      yield f"{place} = the same as {seen[id(node)]}"
      return
    if "__qualname__" in node:
      seen[id(node)] = place
      yield f"{place or 'config'} = {node['__qualname__']}"
    elif not node:
      yield f"{place} = {{}}"
    items = node.items()
  elif isinstance(node, list | tuple) and any(
      hasattr(x, "items") or isinstance(x, list | tuple) for x in node
  ):
    items = ((f"[{i}]", x) for i, x in enumerate(node))
  else:
    yield f"{place} = {node!r}"
    return
  for key, value in items:
    # Kauldron's defaults for a launcher that we do not use.
    if key not in ("__qualname__", "xm_job"):
      dot = "." if place and not str(key).startswith("[") else ""
      yield from _lines(value, f"{place}{dot}{key}", seen)


def _render(name: str) -> list[str]:
  lines = [*_lines(config_files.load(name), "", {})]
  assert not re.search(r" at 0x[0-9a-f]+", "\n".join(lines)), "no repr"
  return lines


def _base(name: str) -> str | None:
  """The config that another one begins from."""
  name, _, variant = name.partition(":")
  bases = config_files.sources(name)[1:]
  if bases:
    path = bases[0].relative_to(config_files.folder())
    base = path.with_suffix("").as_posix()
    return f"{base}:{variant}" if variant else base
  return name if variant else None


def _golden(name: str) -> str:
  """The lines, or fewer: what differs from the base."""
  lines, base = _render(name), _base(name)
  if base is not None:
    diff = [*difflib.unified_diff(_render(base), lines, n=0, lineterm="")]
    diff = [line for line in diff[2:] if not line.startswith("@@")]
    if len(diff) < len(lines):
      lines = [f"as {base}, but", *diff]
  return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", _names())
def test_config_equals_golden(name):
  text = _golden(name)
  path = _golden_path(name)
  if _UPDATE:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
  assert path.is_file(), f"{name} has no golden text: run {_COMMAND}"
  golden = path.read_text()
  diff = "\n".join(
      difflib.unified_diff(
          golden.splitlines(), text.splitlines(), "golden", name, lineterm=""
      )
  )
  assert text == golden, f"{diff}\nif this is intended, run {_COMMAND}"


def test_no_golden_is_left_over():
  wanted = {_golden_path(name).name for name in _names()}
  assert {path.name for path in _GOLDEN.iterdir()} == wanted


def test_people_can_read_them():
  lines = sum(p.read_text().count("\n") for p in _GOLDEN.iterdir())
  assert lines < _MOST
