"""What imports what: cheap starts, imports that point down, thin commands."""

import ast
from collections.abc import Iterator
import importlib
import json
import pathlib
import re
import subprocess
import sys

from alignet.cli import flags
from alignet.cli import main
import pytest

_ROOT = pathlib.Path(__file__).resolve().parent.parent

# From top to bottom; a module imports its own unit and the rows below only.
# This is the diagram of the architecture, with the order inside a row where
# one of it needs another.
_ROWS = (
    ("configs", "colab", "benchmarks"),
    ("alignet.cli",),
    ("alignet.pipeline",),
    # The first two meet in transform.npz, nowhere else.
    ("uncertainty_distillation", "response_generation", "alignet.collect"),
    ("alignet.train",),
    ("alignet.training", "alignet.release"),
    ("alignet.evals",),
    ("alignet.representations",),
    ("alignet.models",),
    # From here on neither TensorFlow, Flax nor Kauldron.
    ("alignet.human", "alignet.report"),
    ("alignet.transforms", "alignet.data"),
    ("alignet.triplets",),
    ("alignet.io",),
    ("alignet.errors",),
    ("alignet",),
)
_LEVEL = {unit: i for i, row in enumerate(_ROWS) for unit in row}
_FIRST_LIGHT_ROW = _LEVEL["alignet.human"]
_OURS = {unit.partition(".")[0] for unit in _LEVEL} | {"tests"}

_NEVER = {"flax", "kauldron", "tensorflow", "tensorflow_datasets", "torch"}
_NOT_AT_IMPORT = _NEVER | {
    *("cv2", "faiss", "grain", "jax", "jaxlib", "matplotlib", "optax", "orbax"),
    *("llvmlite", "numba"),
}
# What a light module may import all the same: those that are numba, which
# callers import inside a function; the figures; the reader of TFDS.
_ALLOWED = {
    "alignet.data.tfds_images": {"tensorflow_datasets"},
    "alignet.triplets.compiling": {"llvmlite", "numba"},
    "alignet.triplets.order": {"llvmlite", "numba"},
    "alignet.report": {"matplotlib"},
}


def _modules() -> dict[str, pathlib.Path]:
  """Every module of the packages, by dotted name."""
  found = {}
  for top in sorted(_OURS - {"tests"}):
    for path in sorted((_ROOT / top).rglob("*.py")):
      parts = path.relative_to(_ROOT).with_suffix("").parts
      if parts[-1] == "__init__":
        parts = parts[:-1]
      found[".".join(parts)] = path
  return found


_MODULES = _modules()


def _unit(module: str) -> str | None:
  """The entry of the table that a module belongs to."""
  parts = module.split(".")
  unit = ".".join(parts[:2]) if parts[0] == "alignet" else parts[0]
  return unit if unit in _LEVEL else None


def _imports(path: pathlib.Path) -> Iterator[tuple[str, bool, int]]:
  """Yields (module, whether on import, line) for each import of a file."""
  tree = ast.parse(path.read_text(), str(path))
  deferred = set()
  for node in ast.walk(tree):
    lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    lazy = lazy or (
        isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    if lazy:
      deferred.update(map(id, ast.walk(node)))
  for node in ast.walk(tree):
    at_import = id(node) not in deferred
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name, at_import, node.lineno
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        name = f"{node.module}.{alias.name}"
        is_module = name in _MODULES or _unit(name) is not None
        yield name if is_module else node.module, at_import, node.lineno


def test_every_module_has_a_row():
  unknown = [name for name in _MODULES if _unit(name) is None]
  assert not unknown, f"give them a row in the table above: {unknown}"


def test_imports_point_down():
  wrong = []
  for module, path in _MODULES.items():
    unit = _unit(module)
    for target, _, line in _imports(path):
      if unit is None or target.partition(".")[0] not in _OURS:
        continue
      if (module, target) == ("alignet", "alignet.io.lazy"):
        continue  # The face, which imports nothing else.
      below = _unit(target)
      if below is None or (below != unit and _LEVEL[below] <= _LEVEL[unit]):
        wrong.append(f"{path.relative_to(_ROOT)}:{line}: {target}")
  assert not wrong, "imports that do not point down:\n" + "\n".join(wrong)


def test_light_rows_import_nothing_heavy():
  wrong = []
  for module, path in _MODULES.items():
    if (unit := _unit(module)) and _LEVEL[unit] >= _FIRST_LIGHT_ROW:
      for target, at_import, line in _imports(path):
        heavy = _NOT_AT_IMPORT if at_import else _NEVER
        heavy = heavy - _ALLOWED.get(module, set()) - _ALLOWED.get(unit, set())
        if target.partition(".")[0] in heavy:
          wrong.append(f"{path.relative_to(_ROOT)}:{line}: {target}")
  assert not wrong, "heavy imports in light modules:\n" + "\n".join(wrong)


# Run in a fresh interpreter; prints one JSON object.
_COLD_START = """
import contextlib, importlib, io, json, sys, time
heavy = set(json.loads(sys.argv[1]))
loaded = lambda: sorted(heavy & set(sys.modules))
import alignet
from alignet.cli import main
text = io.StringIO()
with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
  main.main(["--help"])
result = {"help": text.getvalue(), "after_help": loaded()}
result["cpu_seconds"] = time.process_time()
for name in json.loads(sys.argv[2]):
  importlib.import_module(name)
result["after_light_rows"] = loaded()
print(json.dumps(result))
"""


def test_cold_start(record_property):
  light = [
      name
      for name in _MODULES
      if (unit := _unit(name)) and _LEVEL[unit] >= _FIRST_LIGHT_ROW
      if name not in _ALLOWED and unit not in _ALLOWED
  ]
  output = subprocess.run(
      [
          *(sys.executable, "-c", _COLD_START),
          *(json.dumps(sorted(_NOT_AT_IMPORT)), json.dumps(light)),
      ],
      cwd=_ROOT,
      check=True,
      capture_output=True,
      text=True,
  ).stdout
  result = json.loads(output.splitlines()[-1])
  record_property("cpu_seconds", result["cpu_seconds"])
  assert result["help"].startswith("usage: alignet")
  assert result["after_help"] == []
  assert result["after_light_rows"] == []


@pytest.mark.parametrize("name", main.COMMANDS)
def test_command_is_complete(name):
  module = importlib.import_module(f"alignet.cli.{name}")
  described = flags.described(module.__doc__)
  # A sentence, and two examples at the end of --help.
  assert re.fullmatch(r"[A-Z].*[.?]", described["help"], re.DOTALL)
  assert len(re.findall(r"^  alignet ", described["epilog"], re.M)) == 2
  assert callable(module.add_arguments)
  assert callable(module.run)
