"""Tests of .ci/environment.py: complete or rebuilt, nothing twice."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

_PATH = pathlib.Path(__file__).resolve().parent.parent / ".ci/environment.py"
_SPEC = importlib.util.spec_from_file_location("environment", _PATH)
environment = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(environment)


class _Installer:
  """Makes a pretended environment; dies in the middle when told to."""

  def __init__(self):
    self.calls = []
    self.dies = False

  def __call__(self, root, layer):
    venv = root / ".venv"
    self.calls.append((layer, "update" if venv.exists() else "create"))
    (venv / "bin").mkdir(parents=True, exist_ok=True)
    (venv / "bin" / "python").touch()
    if self.dies:
      raise KeyboardInterrupt


@pytest.fixture(name="root")
def _root(tmp_path):
  (tmp_path / "requirements.txt").write_text("numpy\n")
  (tmp_path / "pyproject.toml").write_text("")
  return tmp_path


@pytest.fixture(name="install")
def _install():
  return _Installer()


def test_nothing_is_done_twice(root, install):
  for _ in range(3):
    environment.ensure(root, "run", install)
  assert install.calls == [("run", "create")]


def test_dev_adds_to_run_and_serves_it(root, install):
  for layer in ("run", "dev", "run", "dev"):
    environment.ensure(root, layer, install)
  assert install.calls == [("run", "create"), ("dev", "update")]


@pytest.mark.parametrize("file", ["requirements.txt", "pyproject.toml"])
def test_changed_requirements_update(root, install, file):
  environment.ensure(root, "dev", install)
  (root / file).write_text("# changed\n")
  for _ in range(2):
    environment.ensure(root, "run", install)
  assert install.calls == [("dev", "create"), ("dev", "update")]


def test_partial_creation_is_rebuilt(root, install):
  install.dies = True
  with pytest.raises(KeyboardInterrupt):
    environment.ensure(root, "run", install)
  left = root / ".venv" / "left_over"
  left.touch()
  install.dies = False
  environment.ensure(root, "run", install)
  assert install.calls == [("run", "create"), ("run", "create")]
  assert not left.exists()


def test_partial_update_is_rebuilt(root, install):
  environment.ensure(root, "run", install)
  install.dies = True
  with pytest.raises(KeyboardInterrupt):
    environment.ensure(root, "dev", install)
  install.dies = False
  environment.ensure(root, "run", install)
  assert [how for _, how in install.calls] == ["create", "update", "create"]


def test_moved_checkout_is_rebuilt(root, install, tmp_path_factory):
  environment.ensure(root, "run", install)
  elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
  root.rename(elsewhere)
  environment.ensure(elsewhere, "run", install)
  elsewhere.rename(root)
  assert install.calls == [("run", "create"), ("run", "create")]


def test_vanished_interpreter_is_rebuilt(root, install):
  environment.ensure(root, "run", install)
  (root / ".venv" / "bin" / "python").unlink()
  environment.ensure(root, "run", install)
  assert install.calls == [("run", "create"), ("run", "create")]


def test_old_python_is_one_clear_error(monkeypatch, capsys):
  monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
  assert environment.main(["run"]) == 2
  assert "Python 3.11 or newer is needed" in capsys.readouterr().err


def test_failing_installer_is_one_clear_error(monkeypatch, capsys):
  def fails(root, layer, install):
    raise subprocess.CalledProcessError(1, ["pip", "install"])

  monkeypatch.setattr(environment, "ensure", fails)
  assert environment.main(["run"]) == 2
  assert "`pip install` failed (exit code 1)" in capsys.readouterr().err
