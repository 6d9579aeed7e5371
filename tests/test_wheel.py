"""The wheel holds the packages and the configs; names resolve from it."""

import importlib.util
import pathlib
import sys
import zipfile

from alignet.io import config_files
from hatchling.builders.wheel import WheelBuilder
import pytest

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_PACKAGES = ("alignet", "response_generation", "uncertainty_distillation")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
  folder = tmp_path_factory.mktemp("wheel")
  builder = WheelBuilder(str(_ROOT))
  (path,) = builder.build(directory=str(folder), versions=["standard"])
  with zipfile.ZipFile(path) as archive:
    yield archive


def test_holds_every_file_of_the_packages(wheel):
  wanted = {
      path.relative_to(_ROOT).as_posix()
      for package in _PACKAGES
      for path in (_ROOT / package).rglob("*")
      if path.is_file() and "__pycache__" not in path.parts
  }
  assert wanted <= set(wheel.namelist())


def test_holds_configs_inside_the_package(wheel):
  found = {n for n in wheel.namelist() if n.startswith("alignet/configs/")}
  assert found >= {f"alignet/configs/{n}.py" for n in config_files.names()}


def test_holds_nothing_else_at_the_top(wheel):
  tops = {name.partition("/")[0] for name in wheel.namelist()}
  assert {t for t in tops if not t.endswith(".dist-info")} == set(_PACKAGES)


def test_console_script(wheel):
  (name,) = [n for n in wheel.namelist() if n.endswith("entry_points.txt")]
  assert "alignet = alignet.cli.main:main" in wheel.read(name).decode()


def test_every_config_resolves_from_elsewhere(wheel, tmp_path, monkeypatch):
  wheel.extractall(tmp_path / "site")
  monkeypatch.chdir(tmp_path)
  spec = importlib.util.spec_from_file_location(
      "installed_config_files", tmp_path / "site/alignet/io/config_files.py"
  )
  installed = importlib.util.module_from_spec(spec)
  monkeypatch.setitem(sys.modules, spec.name, installed)
  spec.loader.exec_module(installed)
  assert installed.names() == config_files.names() != ()
  for name in installed.names():
    path = tmp_path / "site/alignet/configs" / f"{name}.py"
    assert installed.resolve(name) == path
    assert installed.resolve(f"configs/{name}.py") == path
