"""Several devices and several processes train as one does.

Each run needs a Python of its own: devices and processes are counted when JAX
starts.
"""

import os
import socket
import subprocess
import sys

from alignet.metrics import writer
import numpy as np
import pytest

_TEACHER = (
    "--cfg=glocal",
    "--cfg.num_train_steps=20",
    "--cfg.log_metrics_every=1",
    "--cfg.aux.batch_size=64",
    "--cfg.aux.local_batch=32",
    "--cfg.aux.eval_every=10",
)


def _start(arguments, workdir, **env):
  return subprocess.Popen(
      [sys.executable, "-m", "alignet.train", *arguments]
      + [f"--cfg.workdir={workdir}"],
      env=os.environ | {"JAX_PLATFORMS": "cpu"} | env,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
  )


def _end(*processes):
  try:
    for process in processes:
      output, _ = process.communicate(timeout=300)
      assert process.returncode == 0, output
  finally:
    for process in processes:
      process.kill()


def _free_port():
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


@pytest.mark.parametrize("arguments", [_TEACHER], ids=["teacher"])
def test_two_devices_and_two_processes_give_one_devices_curve(
    arguments, tmp_path
):
  _end(_start(arguments, tmp_path / "one"))
  _end(
      _start(
          arguments,
          tmp_path / "devices",
          XLA_FLAGS="--xla_force_host_platform_device_count=2",
      )
  )
  address = f"127.0.0.1:{_free_port()}"
  _end(
      *(
          _start(
              arguments,
              tmp_path / "processes",
              JAX_COORDINATOR_ADDRESS=address,
              JAX_NUM_PROCESSES="2",
              JAX_PROCESS_ID=str(i),
          )
          for i in range(2)
      )
  )
  curves = {
      name: writer.read_scalars(tmp_path / name / "scalars" / "train.jsonl")
      for name in ("one", "devices", "processes")
  }
  losses = [name for name in curves["one"] if name.startswith("losses/")]
  assert "losses/total" in losses
  for loss in losses:
    values = np.array(list(curves["one"][loss].values()))
    assert len(values) == 21 and values.std() > 0
    for name in ("devices", "processes"):
      other = np.array(list(curves[name][loss].values()))
      np.testing.assert_allclose(other, values, rtol=0, atol=1e-4)
