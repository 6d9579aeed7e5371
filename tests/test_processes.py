"""Several devices and several processes train as one does.

Each run needs a Python of its own: devices and processes are counted when JAX
starts.
"""

import os
import shutil
import socket
import subprocess
import sys

from alignet import models
from alignet.metrics import writer
import jax
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
      output, _ = process.communicate(timeout=900)
      assert process.returncode == 0, output
  finally:
    for process in processes:
      process.kill()


def _free_port():
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def _curves(workdir):
  curves = writer.read_scalars(workdir / "scalars" / "train.jsonl")
  return {k: list(v.values()) for k, v in curves.items() if "losses/" in k}


def _assert_equal(found, expected):
  assert found.keys() == expected.keys() and "losses/total" in expected
  for name, values in expected.items():
    assert np.std(values) > 0
    np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-4)


@pytest.fixture
def student(tiny_world, tmp_path):
  """Arguments of a full-size student, made small as a user would."""
  root = tmp_path / "release" / "uncertainty_distillation"
  root.mkdir(parents=True)
  shutil.copy(tiny_world["triplets"], root / "train_cluster_border_500.npz")
  size = dict(patch_size=4, grid=(2, 2), width=8, depth=1, num_heads=2)
  model = models.VisionModel(
      backbone=models.ViT(**size, mlp_dim=8), triplet_dim=6
  )
  images = np.zeros((1, 8, 8, 3), np.uint8)
  params = model.init(jax.random.key(0), images)["params"]
  models.save(tmp_path / "base.safetensors", model, params)
  fields = {
      "num_train_steps": 10,
      "log_metrics_every": 1,
      "aux.root": root.parent,
      "aux.images": tiny_world["images"],
      "aux.weights": tmp_path / "base.safetensors",
      "aux.batch_size": 8,
      "aux.num_workers": 0,
      "aux.peak": 1e-2,
      "aux.tau": 1.0,
      "aux.eval_every": 1000,
      "model.triplet_dim": 6,
      "model.backbone.mlp_dim": 8,
      **{f"model.backbone.{key}": value for key, value in size.items()},
  }
  # Evaluation begins at step 0.
  for sampling in (
      *("between_class", "class_border", "within_class"),
      "cluster_border_500",
  ):
    shutil.copy(tiny_world["triplets"], root / f"val_{sampling}.npz")
  return [
      "--cfg=student/siglip_b",
      *(f"--cfg.{key}={value}" for key, value in fields.items()),
  ]


_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def _processes(arguments, workdir):
  address = f"127.0.0.1:{_free_port()}"
  _end(
      *(
          _start(
              arguments,
              workdir,
              JAX_COORDINATOR_ADDRESS=address,
              JAX_NUM_PROCESSES="2",
              JAX_PROCESS_ID=str(i),
          )
          for i in range(2)
      )
  )


def test_teacher(tmp_path):
  _end(_start(_TEACHER, tmp_path / "one"))
  one = _curves(tmp_path / "one")
  _end(_start(_TEACHER, tmp_path / "devices", **_DEVICES))
  _assert_equal(_curves(tmp_path / "devices"), one)
  _processes(_TEACHER, tmp_path / "processes")
  _assert_equal(_curves(tmp_path / "processes"), one)


def test_student(student, tmp_path):
  _end(_start(student, tmp_path / "one"))
  one = _curves(tmp_path / "one")
  _end(_start(student, tmp_path / "devices", **_DEVICES))
  _assert_equal(_curves(tmp_path / "devices"), one)
  sharded = [*student, "--cfg.aux.shard_above_mb=0"]
  _end(_start(sharded, tmp_path / "fsdp", **_DEVICES))
  _assert_equal(_curves(tmp_path / "fsdp"), one)
  _processes(student, tmp_path / "processes")
  _assert_equal(_curves(tmp_path / "processes"), one)
  # What the weights compute, not the weights: the bias of the keys changes
  # nothing, so that its gradient, and by Adam its value, is rounding.
  images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
  values = {}
  for name in ("one", "devices", "fsdp", "processes"):
    model, params = models.load(tmp_path / name / "weights.safetensors")
    values[name] = model.apply({"params": params}, images).triplet_logits
    np.testing.assert_allclose(values[name], values["one"], atol=1e-4)
