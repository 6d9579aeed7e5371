"""What source tells of a class is what the class itself takes."""

import dataclasses
import importlib
import inspect

from alignet.io import config_fields
from alignet.io import config_files
import pytest

_VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_TRAININGS = ("base", "vice", "student/small", "student/siglip_b", "glocal")


def _objects(config, found):
  """Every qualified name in a config."""
  for key in config.keys():
    value = config[key]
    if hasattr(value, "keys"):
      if "__qualname__" in value:
        found.add(value["__qualname__"])
      _objects(value, found)
  return found


@pytest.fixture(scope="module", name="qualnames")
def _qualnames():
  found = set()
  for name in _TRAININGS:
    config = config_files.load(name)
    found |= {config["__qualname__"]} | _objects(config, set())
  assert len(found) > 25
  return found


def test_source_tells_what_the_class_takes(qualnames):
  known = 0
  for qualname in sorted(qualnames):
    module, _, attributes = qualname.partition(":")
    try:
      real = importlib.import_module(module)
      for name in attributes.split("."):
        real = getattr(real, name)
    except ImportError:  # Of a launcher that the public release lacks.
      continue
    found = config_fields.accepted(qualname)
    if found is None:
      continue
    known += 1
    if dataclasses.is_dataclass(real):
      taken = {f.name for f in dataclasses.fields(real) if f.init}
      taken = {name for name in taken if not name.startswith("_")}
    else:
      parameters = inspect.signature(real).parameters.values()
      taken = {p.name for p in parameters if p.kind not in _VARIABLE}
    # Fields that Flax and Kauldron add when a class is made.
    taken -= {"name", "parent"}
    assert found - {"name", "parent"} == taken, qualname
  assert known >= 0.8 * len(qualnames)


@pytest.mark.parametrize(
    "qualname",
    ["no.such:Thing", "alignet.io.files:NoClass", "builtins:dict", "math:sin"],
)
def test_what_has_no_source_is_not_known(qualname):
  assert config_fields.accepted(qualname) is None


def test_bases_renames_and_explicit_constructors(tmp_path, monkeypatch):
  (tmp_path / "made_up").mkdir()
  (tmp_path / "made_up" / "__init__.py").write_text(
      "from .inner import Child as Renamed\nimport made_up.inner as other\n"
      "Alias = other.Child\n"
  )
  (tmp_path / "made_up" / "inner.py").write_text(
      "import dataclasses\n"
      "from typing import ClassVar\n"
      "class Base:\n  a: int\n  kind: ClassVar[str] = ''\n  _hidden: int = 0\n"
      "class Child(Base):\n"
      "  b: int = 0\n"
      "  made: int = dataclasses.field(init=False)\n"
      "class Old:\n  def __init__(self, x, *rest, y=1, **more):\n    pass\n"
      "def function(p, /, q, *, r): pass\n"
  )
  monkeypatch.syspath_prepend(tmp_path)
  config_fields._file.cache_clear()
  for name in ("made_up:Renamed", "made_up:Alias", "made_up.inner:Child"):
    assert config_fields.accepted(name) == {"a", "b"}, name
  assert config_fields.accepted("made_up.inner:Old") == {"x", "y"}
  assert config_fields.accepted("made_up:other.function") == {"p", "q", "r"}
  assert "made_up" not in importlib.sys.modules
