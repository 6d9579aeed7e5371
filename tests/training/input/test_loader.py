"""The loader hands out batches in order, whoever draws them."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time

from absl import flags
from alignet.training.input import batches
from alignet.training.input import loader
import numpy as np
import pytest

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Numbers(batches.BatchSource):
  """Batch k is k, and the process that drew it."""

  n: int = 12

  def __len__(self):
    return self.n

  def __getitem__(self, record_key):
    return {
        "k": np.full((2,), record_key),
        "process": np.full((2,), os.getpid()),
        "jax": np.full((2,), os.environ.get("JAX_PLATFORMS") == "cpu"),
    }


def _loader(num_workers):
  return loader.Loader(data_source=_Numbers(), num_workers=num_workers)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_workers():
  state, found, processes = {"next_batch": 0}, [], []
  for workers, n in ((2, 3), (0, 4), (3, 5)):
    iterator = iter(_loader(workers)).__kd_ocp_restore_post__(state)
    drawn = [next(iterator) for _ in range(n)]
    # Workers have drawn ahead by now: that is no part of the state.
    state = iterator.__kd_ocp_save_args__().item
    found += [int(batch["k"][0]) for batch in drawn]
    processes.append({int(batch["process"][0]) for batch in drawn})
    assert all(batch["jax"].all() for batch in drawn if workers)
  assert found == list(range(12)) and state == {"next_batch": 12}
  assert [len(p) for p in processes] == [2, 1, 3]
  assert processes[1] == {os.getpid()} and os.getpid() not in processes[2]
  with pytest.raises(StopIteration):
    next(iterator)


_PARENT = """
import multiprocessing, os, time
from alignet.training.input import batches
def work():
  batches.begin_worker(0, 1)
  print(os.getpid(), flush=True)
  time.sleep(600)
if __name__ == "__main__":
  worker = multiprocessing.get_context("spawn").Process(target=work)
  worker.start()
  worker.join()
"""


def test_a_worker_ends_with_a_parent_that_was_killed(tmp_path):
  (tmp_path / "parent.py").write_text(_PARENT)
  root = pathlib.Path(loader.__file__).parents[3]
  parent = subprocess.Popen(
      [sys.executable, tmp_path / "parent.py"],
      env=os.environ | {"PYTHONPATH": str(root)},
      stdout=subprocess.PIPE,
      text=True,
  )
  worker = int(parent.stdout.readline())
  parent.kill()
  parent.wait()
  end = time.monotonic() + 60
  while _alive(worker) and time.monotonic() < end:
    time.sleep(0.1)
  assert not _alive(worker)


def _alive(pid):
  try:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
  except FileNotFoundError:
    return False


def test_length_and_shapes():
  numbers = _loader(0)
  assert len(numbers) == len(list(numbers)) == 12
  assert numbers.element_spec["k"].shape == (2,)
