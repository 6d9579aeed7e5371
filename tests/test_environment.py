"""What the environment lacks is one sentence."""

import os
import pathlib
import subprocess
import sys

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.training.input import loader
import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).parents[1]


def _run(*argv, **env):
  done = subprocess.run(
      [sys.executable, "-m", *argv],
      cwd=_ROOT,
      env=os.environ | env,
      capture_output=True,
      text=True,
      check=False,
  )
  return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    "entry, platform",
    [(("alignet.cli.main", "train"), "cuda"), (("alignet.train",), "tpu")],
)
def test_no_such_device(entry, platform, tmp_path):
  code, said = _run(
      *(*entry, "glocal", f"--cfg.workdir={tmp_path / 'w'}"),
      JAX_PLATFORMS=platform,
  )
  assert code == 2
  assert said[-1].startswith("alignet train: error: JAX finds no device")
  assert platform in said[-1] and "Traceback" not in "".join(said)


def test_devices_that_do_not_divide_the_batch(tmp_path):
  code, said = _run(
      *("alignet.train", "glocal", f"--cfg.workdir={tmp_path / 'w'}"),
      "--cfg.aux.batch=64",
      XLA_FLAGS="--xla_force_host_platform_device_count=3",
      JAX_PLATFORMS="cpu",
  )
  assert code == 2 and "cannot be divided among the devices" in said[-1]


def test_a_locale_that_is_not_utf_8():
  code, said = _run(
      *("alignet.cli.main", "verify", "x.npz"),
      PYTHONUTF8="0",
      PYTHONCOERCECLOCALE="0",
      LC_ALL="C",
  )
  assert code == 2 and len(said) == 1 and "set PYTHONUTF8=1" in said[0]


@pytest.mark.parametrize(
    "error, said",
    [
        (OSError(24, "Too many open files"), "ulimit -n"),
        (RuntimeError("x: No space left on device [path=/w]"), "free some"),
        (ValueError("INTERNAL: EMFILE"), "fewer workers"),
        (OSError(36, "File name too long"), "shorter"),
    ],
)
def test_libraries_errors_of_the_environment(error, said):
  try:
    try:
      raise error
    except Exception as inner:
      raise RuntimeError("the writer stopped") from inner
  except RuntimeError as outer:
    assert said in errors.explain(outer)
  assert errors.explain(ValueError("width is not divisible by heads")) is None


_FORKS = """
import multiprocessing, time
from alignet.io import interrupts
interrupts.install()
fork = multiprocessing.get_context("fork")
child = fork.Process(target=time.sleep, args=(60,))
child.start()
time.sleep(0.5)
child.terminate()
child.join()
time.sleep(11)  # Longer than somebody who is asked to end may take.
print(child.exitcode)
"""


def test_the_end_of_a_child_is_not_that_of_its_parent():
  done = subprocess.run(
      [sys.executable, "-c", _FORKS],
      env=os.environ | {"PYTHONPATH": str(_ROOT)},
      capture_output=True,
      text=True,
      check=False,
  )
  assert (done.returncode, done.stdout) == (0, "-15\n")


def test_a_shared_memory_that_is_too_small(monkeypatch, tmp_path):
  batch = {"x": np.zeros((4, 2**20), np.uint8)}
  monkeypatch.setattr(loader, "_SHARED", tmp_path)
  loader._check_workers(batch, 2)
  usage = type("Usage", (), {"free": 2**24 - 1})
  monkeypatch.setattr(loader.shutil, "disk_usage", lambda path: usage)
  with pytest.raises(AlignetError, match="16 MiB.*num_workers=0"):
    loader._check_workers(batch, 2)


_SCRIPT = """
import sys
from absl import flags
import numpy as np
from alignet.training.input import batches, loader
flags.FLAGS.mark_as_parsed()

class Source(batches.BatchSource):
  def __len__(self): return 4
  def __getitem__(self, k): return {"x": np.zeros(3)}
  __getstate__ = object.__getstate__

print(len(list(loader.Loader(data_source=Source(), num_workers=1).draw(0))))
"""


def test_a_script_without_a_main(tmp_path):
  (tmp_path / "script.py").write_text(_SCRIPT)
  done = subprocess.run(
      [sys.executable, tmp_path / "script.py"],
      env=os.environ | {"PYTHONPATH": str(_ROOT), "JAX_PLATFORMS": "cpu"},
      capture_output=True,
      text=True,
      timeout=120,
      check=False,
  )
  assert done.returncode and "if __name__ == '__main__':" in done.stderr


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_a_name_near_the_limit(letter, tmp_path):
  name = letter * (255 // len(letter.encode()))
  with files.atomic_write(tmp_path / name) as f:
    f.write(b"1")
  assert os.listdir(tmp_path) == [name]
