"""Several devices and several processes train as one does.

Each run needs a Python of its own: devices and processes are counted when JAX
starts.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

from alignet import models
from alignet.data import images as images_lib
from alignet.io import identities
from alignet.representations import kmeans
from alignet.representations import store as store_lib
from alignet.training import writer
import jax
import numpy as np
import pytest
from tests.training import trainings

pytestmark = pytest.mark.slow

_TEACHER = (
    "--cfg=glocal",
    "--cfg.log_metrics_every=1",
    "--cfg.aux.steps=50",
    "--cfg.aux.inner_folds=0",
    "--cfg.aux.batch=64",
    "--cfg.aux.local_batch=32",
)


def _start(*command, **env):
  return subprocess.Popen(
      [sys.executable, "-m", *command],
      cwd=pathlib.Path(__file__).parents[2],
      env=os.environ | {"JAX_PLATFORMS": "cpu"} | env,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
  )


def _end(*processes):
  """Waits; the first one's last line."""
  outputs = []
  try:
    for process in processes:
      output, _ = process.communicate(timeout=900)
      assert process.returncode == 0, output
      outputs.append(output)
  finally:
    for process in processes:
      process.kill()
  return outputs[0].splitlines()[-1]


def _free_port():
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def _curves(workdir):
  """Losses of the training and of the validation, by name."""
  found = {}
  for path in sorted((workdir / "scalars").glob("*.jsonl")):
    curves = writer.read_scalars(path)
    found |= {
        f"{path.stem}/{k}": list(v.values())
        for k, v in curves.items()
        if "losses/" in k and (path.stem == "train" or "jsd" in k)
    }
  return found


def _assert_equal(found, expected):
  assert found.keys() == expected.keys() and "train/losses/total" in expected
  for name, values in expected.items():
    assert np.std(values) > 0
    np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-4)


_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def _processes(*command):
  address = f"127.0.0.1:{_free_port()}"
  _end(
      *(
          _start(
              *command,
              JAX_COORDINATOR_ADDRESS=address,
              JAX_NUM_PROCESSES="2",
              JAX_PROCESS_ID=str(i),
          )
          for i in range(2)
      )
  )


def test_teacher(tmp_path):
  command = lambda name: (
      "alignet.train",
      *_TEACHER,
      f"--cfg.workdir={tmp_path / name}",
  )
  _end(_start(*command("one")))
  one = _curves(tmp_path / "one")
  _end(_start(*command("devices"), **_DEVICES))
  _assert_equal(_curves(tmp_path / "devices"), one)
  _processes(*command("processes"))
  _assert_equal(_curves(tmp_path / "processes"), one)


@pytest.fixture
def job(tiny_world, tmp_path):
  """job(name, …): a full-size student, made small as a user would."""
  size = dict(patch_size=4, grid=(2, 2), width=8, depth=1, num_heads=2)
  model = models.VisionModel(
      backbone=models.ViT(**size, mlp_dim=8), triplet_dim=6
  )
  images = np.zeros((1, 8, 8, 3), np.uint8)
  params = model.init(jax.random.key(0), images)["params"]
  models.save(tmp_path / "base.safetensors", model, params)
  store = images_lib.open_store(tiny_world["images"])
  features = np.random.default_rng(0).normal(size=(len(store), 5))
  features = features.astype(np.float32)
  store_lib.write(
      tmp_path / "representations", features, store.filenames, {}, {}
  )
  rows = identities.of_names(store.filenames)
  clusters = kmeans.fit(features, 6, seed=0, meta={"rows": rows})
  kmeans.save(tmp_path / "clusters.npz", clusters)
  fields = {
      "num_train_steps": 10,
      "log_metrics_every": 1,
      "checkpointer.save_interval_steps": 4,
      "aux.valid": tiny_world["triplets"],
      "aux.images": tiny_world["images"],
      "aux.weights": tmp_path / "base.safetensors",
      "aux.batch_size": 12,  # Of 80: the last one of a pass is not full.
      "aux.num_workers": 0,
      "aux.peak": 1e-2,
      "aux.tau": 1.0,
      "aux.eval_every": 5,
      "model.triplet_dim": 6,
      "model.backbone.mlp_dim": 8,
      **{f"model.backbone.{key}": value for key, value in size.items()},
  }
  sparse = {"aux.train": tiny_world["triplets"]}
  dense = {
      "aux.clusters": tmp_path / "clusters.npz",
      "aux.representations": tmp_path / "representations",
      "aux.groups": 4,
      "aux.group_size": 3,
  }

  def make(name, kind="sparse", stop=None, **more):
    changes = fields | {"workdir": tmp_path / name}
    changes |= {f"aux.{key}": value for key, value in more.items()}
    changes |= dense if kind == "dense" else sparse
    return {
        "name": name,
        "cfg": f"student/siglip_b{':dense' if kind == 'dense' else ''}",
        "changes": [f"{key}={value}" for key, value in changes.items()],
        "stop": stop,
    }

  return make


def test_student(job, tmp_path):
  curves = lambda name: _curves(tmp_path / name)
  for made in (
      job("one"),
      job("one_unique", unique_images=48),
      job("one_dense", "dense"),
  ):
    assert trainings.run(**made)["compiled"] == 1
  jobs = [
      job("devices"),
      job("devices_unique", unique_images=48),
      job("devices_dense", "dense"),
      job("fsdp", shard_above_mb=0, stop=6),
      job("fsdp", shard_above_mb=0),
  ]
  line = _end(_start("tests.training.trainings", json.dumps(jobs), **_DEVICES))
  found = json.loads(line)
  # Also after a resumption: what is restored lies where it lay.
  assert [made["compiled"] for made in found] == [1] * len(jobs)
  parts, of_optimizer = found[3]["at_start"]
  # Two moments and the initial weights, each as the weights.
  assert parts > 5 and of_optimizer == 3 * parts
  assert found[3]["at_end"] == found[3]["at_start"]
  _assert_equal(curves("devices"), curves("one"))
  _assert_equal(curves("fsdp"), curves("one"))
  _assert_equal(curves("devices_unique"), curves("one_unique"))
  _assert_equal(curves("devices_dense"), curves("one_dense"))
  _processes(
      "tests.training.trainings",
      json.dumps([job("processes"), job("fewer", stop=6)]),
  )
  _assert_equal(curves("processes"), curves("one"))
  trainings.run(**job("fewer"))  # What two processes began.
  _assert_equal(curves("fewer"), curves("one"))
  # What the weights compute, not the weights: the bias of the keys changes
  # nothing, so that its gradient, and by Adam its value, is rounding.
  images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
  values = {}
  for name in ("one", "devices", "fsdp", "processes", "fewer"):
    model, params = models.load(tmp_path / name / "weights.safetensors")
    values[name] = model.apply({"params": params}, images).triplet_logits
    np.testing.assert_allclose(values[name], values["one"], atol=1e-4)
