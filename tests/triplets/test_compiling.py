import importlib
import pathlib
import shutil
import sys

from alignet.triplets import compiling
import numba
import numpy as np
import pytest


@pytest.fixture
def copy(tmp_path, monkeypatch):
  """A copy of a kernel as a package of its own, without machine code."""
  folder = tmp_path / "copied_kernels"
  folder.mkdir()
  home = pathlib.Path(compiling.__file__).parent
  for path in (home / "compiling.py", home / "order.py"):
    shutil.copy(path, folder)
  _replace(folder, "alignet.triplets", "copied_kernels")
  monkeypatch.syspath_prepend(tmp_path)
  # Python's own cache tells a new file by its size and whole seconds.
  monkeypatch.setattr(sys, "dont_write_bytecode", True)
  monkeypatch.setattr(numba.config, "CACHE_DIR", "")
  yield folder
  _forget()


def _replace(folder, old, new) -> int:
  """Replaces a text wherever it is; returns in how many files it was."""
  found = 0
  for path in folder.glob("*.py"):
    text = path.read_text()
    if old in text:
      path.write_text(text.replace(old, new))
      found += 1
  return found


def _forget() -> None:
  for name in [n for n in sys.modules if n.startswith("copied_kernels")]:
    del sys.modules[name]


def _compute() -> tuple[list[list[int]], int]:
  """What a new process computes, and how much machine code it found."""
  _forget()
  module = importlib.import_module("copied_kernels.order")
  rows = np.array([[0, 1, 2]], np.int32)
  found, _ = module.canonical(rows, np.array([[1, 2, 3]], np.float32))
  return found.tolist(), sum(module._canonical.stats.cache_hits.values())


def test_no_edit_leaves_old_machine_code(copy):
  first, hits = _compute()
  assert hits == 0
  assert _compute() == (first, 1)
  assert _replace(copy, "= i, j, k\n", "= k, j, i\n") == 1
  assert _compute()[0] != first
