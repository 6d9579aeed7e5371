"""A step of the dense student against the sparse one's: images, FLOP, time.

  python benchmarks/dense.py [--quick]

The small student (`student/small`, `student/small:dense`) at the size of the
pipeline cifar100_things, random 32 px images in memory, a teacher of 1280
dimensions. Sparse is 64 triplets a batch; dense 16 clusters of 4 images, and 32
of 8. `sparse, PyTorch` is the sparse step as one would write it there, on the
same batches: transformers' SigLIP of the same size with sdpa, the same loss,
Adam, the pull. Upstream's way of the sparse step is timed by student_step.py;
a dense one upstream does not have. Each runs in a process of its own; they take
turns, step by step, so that what disturbs one disturbs all. Times are medians;
CPU seconds are of all threads. `step` is Kauldron's whole step on a batch that
is there, `input` a batch drawn, with the teacher's product. FLOP are the
compiler's count for the step. The last line is one JSON object; ratios are
sparse over the others. Needs alignet[parity].
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
_SIZE, _TRIPLETS, _RATE = 32, 64, 1e-5
_MODEL = dict(width=128, depth=6, num_heads=4, mlp_dim=512)
_PYTORCH = "sparse, PyTorch"
_METHODS = {
    "sparse": ("small", {"batch_size": _TRIPLETS}),
    "dense 16x4": ("small:dense", {"groups": 16, "group_size": 4}),
    "dense 32x8": ("small:dense", {"groups": 32, "group_size": 8}),
}


def make_world(folder: pathlib.Path) -> None:
  """Random images, representations, clusters, a teacher and its answers."""
  from alignet import transforms
  from alignet.data import images
  from alignet.io import identities
  from alignet.representations import kmeans
  from alignet.representations import store as store_lib
  from alignet.triplets import npz
  from alignet.triplets import sampling
  from alignet.triplets import similarity
  import numpy as np

  rng = np.random.default_rng(0)
  names = np.array([f"{i:05d}.png" for i in range(_IMAGES)])
  pixels = rng.integers(0, 256, (_IMAGES, _SIZE, _SIZE, 3), np.uint8)
  images.write(
      folder / "images",
      images.ImageStore(images=pixels, filenames=names, labels={}, meta={}),
  )
  features = rng.normal(0, 0.03, (_IMAGES, _DIM)).astype(np.float16)
  meta = {"model": "m"}
  store_lib.write(folder / "representations", features, names, {}, meta)
  labels = rng.integers(0, _CLUSTERS, _IMAGES).astype(np.int32)
  kmeans.save(
      folder / "clusters.npz",
      kmeans.Clusters(
          assignments=labels,
          centroids=np.zeros((_CLUSTERS, 1), np.float32),
          inertia=0.0,
          meta={"rows": identities.of_names(names)},
      ),
  )
  transforms.save(
      folder / "transform.npz",
      transforms.identity(_DIM),
      columns=meta,
  )
  rows = sampling.sample(labels, "cluster_border_100", 20_000, seed=0)
  s = similarity.of_triplets(features.astype(np.float32), rows)
  npz.write(folder / "alignet.npz", names, rows, s)


def ours(method: str, folder: str):
  """What a step is, the source of its batches, and the step itself."""
  from absl import flags
  from alignet.io import config_files
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
  held = [trainer.trainstep.init(elem_spec=trainer.train_ds.element_spec)]
  batch = source[0]
  put = lambda batch: jax.device_put(batch, trainer.sharding.batch)

  def forward(params, batch):
    context = trainer.context_specs  # The shape of what the losses are given.
    predictions = trainer.model.apply({"params": params}, batch["images"])
    context = context.replace(batch=batch, preds=predictions, step=0)
    return sum(
        loss.get_state_from_context(context).compute()
        for loss in trainer.trainstep.aux.losses.values()
    )

  lowered = jax.jit(jax.grad(forward)).lower(held[0].params, put(batch))
  cost = lowered.compile()
  k = batch["images"].shape[1]
  triplets = len(batch["images"])
  if name == "small:dense":
    triplets *= (triplets - 1) * k * k * (k - 1) // 2
  about = {
      "images": int(np.prod(batch["images"].shape[:2])),
      "triplets": triplets,
      "gflop": cost.cost_analysis()["flops"] / 1e9,
      "loss_and_model_temp_mib": (
          cost.memory_analysis().temp_size_in_bytes / 2**20
      ),
  }

  def step(batch):
    held[0], _ = trainer.trainstep.step(held[0], put(batch))
    jax.block_until_ready(held[0].params)

  return about, source, step


def pytorch(folder: str):
  """The sparse step in PyTorch: transformers' SigLIP, sdpa, Adam, the pull."""
  from alignet.models.export import alignet_torch
  from alignet.training.input import batches
  import torch
  import transformers

  config = transformers.SiglipVisionConfig(
      hidden_size=_MODEL["width"],
      num_hidden_layers=_MODEL["depth"],
      num_attention_heads=_MODEL["num_heads"],
      intermediate_size=_MODEL["mlp_dim"],
      patch_size=8,
      image_size=_SIZE,
      attn_implementation="sdpa",
  )
  torch.manual_seed(0)
  vit = transformers.SiglipVisionModel(config)
  head = torch.nn.Linear(_MODEL["width"], 1024)
  parameters = [*vit.parameters(), *head.parameters()]
  start = [p.detach().clone() for p in parameters]
  optimizer = torch.optim.Adam(parameters, lr=_RATE)
  source = batches.TripletBatches(
      path=f"{folder}/alignet.npz",
      images=f"{folder}/images",
      batch_size=_TRIPLETS,
      num_batches=10**6,
  )

  def step(batch):
    optimizer.zero_grad(set_to_none=True)
    images = torch.from_numpy(batch["images"]).flatten(0, 1)
    pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    embeddings = head(vit(pixels).pooler_output).unflatten(0, (-1, 3))
    similarities = torch.from_numpy(batch["similarities"])
    loss = alignet_torch.jsd(embeddings, similarities, tau=10_000.0)
    loss.mean().backward()
    with torch.no_grad():
      for p, p0 in zip(parameters, start):
        p.sub_(_RATE * (p - p0))
    optimizer.step()

  return {"images": 3 * _TRIPLETS, "triplets": _TRIPLETS}, source, step


def work(method: str, folder: str) -> None:
  """Says what a step is; then does one for each line of stdin, and times it."""
  made = pytorch(folder) if method == _PYTORCH else ours(method, folder)
  about, source, step = made
  print(json.dumps(about), flush=True)
  for number, _ in enumerate(sys.stdin, start=1):
    times = [(time.process_time(), time.perf_counter())]
    batch = source[number]
    times.append((time.process_time(), time.perf_counter()))
    step(batch)
    times.append((time.process_time(), time.perf_counter()))
    spans = zip(times, times[1:])
    found = [b - a for x, y in spans for a, b in zip(x, y)]
    print(json.dumps(found), flush=True)


def compare(steps: int, folder: str) -> dict[str, dict[str, float]]:
  """Each method in turn, step by step."""
  workers = {
      method: subprocess.Popen(
          [sys.executable, __file__, "--work", method, folder],
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          stderr=subprocess.DEVNULL,
          text=True,
          # PyTorch's threads would spin while they wait: that is no work.
          env=os.environ
          | {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_WAIT_POLICY": "passive"},
      )
      for method in (*_METHODS, _PYTORCH)
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
        if key in entry
    }
    entry["ratio"] = ratios
    gflop = f" {entry['gflop']:.1f} GFLOP," if "gflop" in entry else ""
    print(
        f"{method}: {entry['images']} images, {entry['triplets']:,} triplets"
        f" ({entry['triplets_per_image']:.2f} an image),{gflop} step"
        f" {entry['step_cpu']:.3f} CPU-s ({entry['step_wall']:.3f} s), input"
        f" {entry['input_cpu']:.4f} CPU-s"
    )
  print(json.dumps(result))


if __name__ == "__main__":
  main(sys.argv[1:])
