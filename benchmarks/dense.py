"""A step of the dense student against the sparse one's: images, FLOP, time.

  python benchmarks/dense.py [--quick]

The small student (`student/small`, `student/small_dense`) at the size of the
pipeline cifar100_things, random 32 px images in memory, a teacher of 1280
dimensions. Sparse is 64 triplets a batch; dense 16 clusters of 4 images, and 32
of 8. Each runs in a process of its own; they take turns, step by step, so that
what disturbs one disturbs all. Times are medians; CPU seconds are of all
threads. `step` is Kauldron's whole step on a batch that is there, `input` a
batch drawn, with the teacher's product. FLOP are the compiler's count for the
step. The last line is one JSON object; ratios are sparse over dense.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

_IMAGES, _CLUSTERS, _DIM = 5000, 100, 1280
_MODEL = dict(width=128, depth=6, num_heads=4, mlp_dim=512)
_METHODS = {
    "sparse": ("small", {"batch_size": 64}),
    "dense 16x4": ("small_dense", {"groups": 16, "group_size": 4}),
    "dense 32x8": ("small_dense", {"groups": 32, "group_size": 8}),
}


def make_world(folder: pathlib.Path) -> None:
  """Random images, representations, clusters, a teacher and its answers."""
  from alignet import sampling
  from alignet import similarity
  from alignet import transforms
  from alignet import triplet_io
  from alignet.data import images
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib
  import numpy as np

  rng = np.random.default_rng(0)
  names = np.array([f"{i:05d}.png" for i in range(_IMAGES)])
  pixels = rng.integers(0, 256, (_IMAGES, 32, 32, 3), np.uint8)
  images.write(
      folder / "images",
      images.ImageStore(images=pixels, filenames=names, labels={}, meta={}),
  )
  features = rng.normal(0, 0.03, (_IMAGES, _DIM)).astype(np.float16)
  store_lib.write(folder / "representations", features, names, {}, {})
  labels = rng.integers(0, _CLUSTERS, _IMAGES).astype(np.int32)
  kmeans.save(
      folder / "clusters.npz",
      kmeans.Clusters(
          assignments=labels,
          centroids=np.zeros((_CLUSTERS, 1), np.float32),
          inertia=0.0,
          meta={},
      ),
  )
  transforms.save(folder / "transform.npz", transforms.identity(_DIM))
  rows = sampling.sample(labels, "cluster_border_100", 20_000, seed=0)
  s = similarity.of_triplets(features.astype(np.float32), rows)
  triplet_io.write(folder / "alignet.npz", names, rows, s)


def work(method: str, folder: str) -> None:
  """Says what a step is; then does one for each line of stdin, and times it."""
  from absl import flags
  from alignet import config_files
  import jax
  from kauldron import konfig
  import numpy as np

  flags.FLAGS.mark_as_parsed()
  name, fields = _METHODS[method]
  cfg = config_files.load(f"student/{name}")
  paths = {
      key: f"{folder}/{file}"
      for key, file in {
          "images": "images",
          "triplets": "alignet.npz",
          "clusters": "clusters.npz",
          "representations": "representations",
          "teacher": "transform.npz",
      }.items()
      if key in cfg.aux
  }
  cfg.aux.update(paths | fields)
  cfg.model.backbone.update(_MODEL)
  cfg.workdir = f"{folder}/{name}"
  cfg.init_transform = cfg.checkpointer = None
  cfg.evals = {}
  trainer = konfig.resolve(cfg)
  source = trainer.train_ds.data_source
  state = trainer.trainstep.init(elem_spec=trainer.train_ds.element_spec)
  batch = source[0]
  put = lambda batch: jax.device_put(batch, trainer.sharding.batch)

  def forward(params, batch):
    context = trainer.context_specs  # The shape of what the losses are given.
    predictions = trainer.model.apply({"params": params}, batch["images"])
    context = context.replace(batch=batch, preds=predictions, step=0)
    return sum(
        loss.get_state_from_context(context).compute()
        for loss in trainer.train_losses.values()
    )

  cost = jax.jit(jax.grad(forward)).lower(state.params, put(batch)).compile()
  k = batch["images"].shape[1]
  triplets = len(batch["images"])
  if name == "small_dense":
    triplets *= (triplets - 1) * k * k * (k - 1) // 2
  print(
      json.dumps(
          {
              "images": int(np.prod(batch["images"].shape[:2])),
              "triplets": triplets,
              "gflop": cost.cost_analysis()["flops"] / 1e9,
              "loss_and_model_temp_mib": (
                  cost.memory_analysis().temp_size_in_bytes / 2**20
              ),
          }
      ),
      flush=True,
  )
  for number, _ in enumerate(sys.stdin, start=1):
    clock = lambda: np.array([time.process_time(), time.perf_counter()])
    start = clock()
    batch = source[number]
    drawn = clock()
    state, _ = trainer.trainstep.step(state, put(batch))
    jax.block_until_ready(state.params)
    print(json.dumps([*(drawn - start), *(clock() - drawn)]), flush=True)


def compare(steps: int, folder: str) -> dict[str, dict[str, float]]:
  """Each method in turn, step by step."""
  workers = {
      method: subprocess.Popen(
          [sys.executable, __file__, "--work", method, folder],
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          stderr=subprocess.DEVNULL,
          text=True,
          env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
      )
      for method in _METHODS
  }
  try:
    result = {m: json.loads(w.stdout.readline()) for m, w in workers.items()}
    times = {method: [] for method in workers}
    for step in range(steps + 2):
      for method, worker in workers.items():
        worker.stdin.write("\n")
        worker.stdin.flush()
        found = json.loads(worker.stdout.readline())
        if step >= 2:  # The first ones compile.
          times[method].append(found)
  finally:
    for worker in workers.values():
      worker.stdin.close()
      worker.wait()
  names = ("input_cpu", "input_wall", "step_cpu", "step_wall")
  for method, entry in result.items():
    medians = [statistics.median(t) for t in zip(*times[method])]
    entry |= dict(zip(names, medians))
    entry["triplets_per_image"] = entry["triplets"] / entry["images"]
  return result


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true")
  parser.add_argument("--steps", type=int, default=20)
  parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
  args = parser.parse_args(argv)
  if args.work:
    work(*args.work)
    return
  with tempfile.TemporaryDirectory() as folder:
    make_world(pathlib.Path(folder))
    result = compare(3 if args.quick else args.steps, folder)
  sparse = result["sparse"]
  for method, entry in result.items():
    ratios = {
        key: sparse[key] / entry[key]
        for key in ("images", "gflop", "step_cpu", "step_wall", "input_cpu")
    }
    entry["ratio"] = ratios
    print(
        f"{method}: {entry['images']} images, {entry['triplets']:,} triplets"
        f" ({entry['triplets_per_image']:.2f} an image),"
        f" {entry['gflop']:.1f} GFLOP, step {entry['step_cpu']:.3f} CPU-s"
        f" ({entry['step_wall']:.3f} s), input {entry['input_cpu']:.4f} CPU-s"
    )
  print(json.dumps(result))


if __name__ == "__main__":
  main(sys.argv[1:])
