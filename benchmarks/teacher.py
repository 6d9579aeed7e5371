"""Teacher training: alignet against PyTorch, and Kauldron against a bare loop.

  python benchmarks/teacher.py [--quick] [--dims 768 1152]
      [--batches 256 4096 8192] [--parts steps same exhaustive] [--rounds 3]

Needs PyTorch (`pip install -e .[parity]`). A simulated problem of the size
of THINGS: 1,854 concepts with one image, 768 or 1,152 dimensions, soft targets
from a known embedding. Every method minimises the same objective with Adam:

  upstream  PyTorch as gLocal trains: one-hot rows from a Dataset by a
            DataLoader, all objects transformed, and the training accuracy of
            each step, ties looked for row by row; without Lightning
  one-hot   the same step alone: one-hot rows cut from a unit matrix
  gather    PyTorch, all objects transformed once, triplets gathered
  loop      ours, the jitted loop that `alignet teach` runs
  kauldron  ours, `configs/uncertainty_distillation_paper.py` in its trainer

Each measurement has a process of its own, imports and compilation apart. A
round is one of each, of all parts and dimensions; the smallest CPU time of the
rounds is kept. Three parts. `steps`: CPU time a step, triplets a CPU-second,
peak memory, and the hours of 4.7 million triplets x 100 epochs. `same`: CPU
time to the same held-out cross-entropy: within 2 % of the best that gather
reaches at any batch, and batch by batch of the best at that one. `exhaustive`:
one pass over all 1,854-choose-3 triplets. The last line is JSON.
"""

import argparse
import json
import os
import pathlib
import resource
import sys
import tempfile
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from benchmarks import _measure
import numpy as np

_N, _LOCAL, _ALPHA, _TAU, _LAMBDA, _RATE = 1854, 1024, 0.1, 0.1, 0.1, 1e-3
_DEFAULT = 8192
# Held-out cross-entropy falls, then rises; which triplets were drawn decides
# the last percent of where it turns.
_SLACK = 1.02
_EPOCHS = 4_700_000 * 100
_PARTS = ("steps", "same", "exhaustive")


def problem(d: int):
  """Features, embedding and object-disjoint judgments; simulated."""
  from alignet.data import linear_world
  from alignet.human import judgments as judgments_lib

  x, _, embedding = linear_world.make(
      _N, 1, dims=45, features=d, noise=0.6, seed=0
  )
  x = (x - x.mean()) / x.std()
  rng = np.random.default_rng(0)
  held = np.zeros(_N, bool)
  held[rng.permutation(_N)[: _N // 4]] = True
  judged = judgments_lib.from_embedding(
      embedding, max_triplets=1_000_000, seed=0
  )
  training, validation, _ = judgments_lib.split(judged, held)
  return x, embedding, training, validation


class Torch:
  """The objective in PyTorch, with one of two ways to reach the triplets."""

  def __init__(self, x, judgments, batch, *, one_hot, local=None, seed=0):
    import torch

    self.torch = torch
    d = x.shape[1]
    self.x = torch.from_numpy(x)
    self.eye = torch.eye(len(x)) if one_hot else None
    self.w = (1e-3 * torch.eye(d)).requires_grad_()
    self.b = torch.full((d,), 1e-3).requires_grad_()
    self.unit = torch.eye(d)
    self.adam = torch.optim.Adam([self.w, self.b], lr=_RATE)
    self.triplets = torch.from_numpy(judgments.triplets.astype(np.int64))
    self.targets = torch.from_numpy(judgments.probabilities)
    self.batch, self.local = batch, local
    self.random = torch.Generator().manual_seed(seed)
    if local is not None:
      self.local = torch.from_numpy(local)

  def draw(self):
    """Objects of a batch, numbers or one-hot rows, and targets."""
    rows = self.torch.randint(
        len(self.triplets), (self.batch,), generator=self.random
    )
    objects = self.triplets[rows].reshape(-1)
    if self.eye is not None:
      objects = self.eye[objects]
    return objects, self.targets[rows]

  def seen(self, similarities):
    """Called with the similarities of each batch."""

  def step(self):
    """One update."""
    torch = self.torch
    objects, targets = self.draw()
    z = self.x @ self.w + self.b
    if self.eye is None:
      # Its gradient is several times faster than that of z[triplets].
      z = z.index_select(0, objects)
    else:
      z = objects @ z
    z = z.reshape(self.batch, 3, -1)
    i, j, k = z.unbind(1)
    s = torch.stack([(i * j).sum(1), (i * k).sum(1), (j * k).sum(1)], 1)
    log_p = torch.log_softmax(s, 1)
    self.seen(s.detach())
    loss = -(targets * log_p).sum(1).mean()
    if self.local is not None:
      loss = (1 - _ALPHA) * loss + _ALPHA * self._kept()
    off = self.w - self.w.diagonal().mean() * self.unit
    loss = loss + _LAMBDA * (off**2).sum()
    self.adam.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([self.w, self.b], 1.0)
    self.adam.step()

  def _kept(self):
    torch = self.torch
    m = len(self.local)
    diagonal = torch.eye(m, dtype=torch.bool)
    logs = []
    for v in (self.local, self.local @ self.w + self.b):
      v = torch.nn.functional.normalize(v, dim=1)
      s = (v @ v.T / _TAU).masked_fill(diagonal, -torch.inf)
      logs.append(torch.log_softmax(s, 1))
    p, q = logs
    return -(p.exp() * q.masked_fill(diagonal, 0)).sum(1).mean()

  def run(self, steps):
    """Updates; returns weights and bias."""
    for _ in range(steps):
      self.step()
    return self.w.detach().numpy(), self.b.detach().numpy()


class Upstream(Torch):
  """The one-hot step in its surroundings: loader and training accuracy."""

  def __init__(self, x, judgments, batch, **options):
    super().__init__(x, judgments, batch, one_hot=True, **options)
    data = self.torch.utils.data

    class Rows(data.Dataset):

      def __len__(rows):
        return len(self.triplets)

      def __getitem__(rows, i):
        return self.eye[self.triplets[i]], self.targets[i]

    loader = data.DataLoader(
        Rows(), batch_size=batch, shuffle=True, generator=self.random
    )
    self.batches = iter(loader)

  def draw(self):
    one_hot, targets = next(self.batches)
    return one_hot.reshape(-1, len(self.x)), targets

  def seen(self, similarities):
    correct = 0
    for p in self.torch.softmax(similarities, 1):
      tied = len(p.unique()) < 3 or len(p.round(decimals=2).unique()) == 1
      correct += not tied and int(p.argmax()) == 0
    self.accuracy = correct / len(similarities)


class Loop:
  """`alignet teach`'s loop."""

  def __init__(self, x, judgments, batch, *, local=None, every=10):
    import jax.numpy as jnp
    from uncertainty_distillation import objective
    from uncertainty_distillation import training_loop

    d = x.shape[1]
    self.loop = training_loop
    self.objects = training_loop.make_objects(x, np.arange(len(x)))
    self.pool = training_loop.make_pool(
        judgments.triplets, judgments.probabilities
    )
    self.params = {
        "weights": 1e-3 * jnp.eye(d),
        "bias": jnp.full(d, 1e-3),
    }
    self.local = None if local is None else objective.Local(local, local)
    self.optimisation = training_loop.Optimisation(
        regulariser_weight=_LAMBDA,
        learning_rate=_RATE,
        batch=batch,
        every=every,
        **({} if local is None else {"alpha": _ALPHA, "tau": _TAU}),
    )

  def run(self, steps):
    """Updates from the start; returns weights and bias of each evaluation."""
    history = self.loop.train(
        self.params,
        self.objects,
        self.pool,
        steps=steps,
        seed=0,
        optimisation=self.optimisation,
        local=self.local,
    )
    return [(np.asarray(p["weights"]), np.asarray(p["bias"])) for p in history]


def _torch(method, *args, **options) -> Torch:
  if method == "upstream":
    return Upstream(*args, **options)
  return Torch(*args, one_hot=method == "one-hot", **options)


def kauldron(x, embedding, batch, steps) -> float:
  """CPU seconds a step of the trainer, between two lines of its log."""
  from absl import flags
  from alignet.io import config_files
  from alignet.training import training_run
  from alignet.training import writer
  from kauldron import konfig

  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  training_run.quiet_logs()
  marks = {}

  class Writer(writer.JsonlWriter):

    def write_scalars(self, step, scalars):
      super().write_scalars(step, scalars)
      marks[int(step)] = time.process_time()

  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    np.save(folder / "F.npy", x)
    np.save(folder / "V.npy", embedding)
    cfg = config_files.load(
        "uncertainty_distillation_paper",
        [
            f"workdir={folder}/run",
            f"aux.features={folder}/F.npy",
            f"aux.embedding={folder}/V.npy",
            "aux.embedding_order=things",
            "aux.rows=as_stored",
            f"aux.batch={batch}",
            "aux.inner_folds=0",
            f"aux.steps={50 * -(-3 * steps // 50)}",
            f"num_train_steps={3 * steps}",
            f"log_metrics_every={steps}",
        ],
    )
    cfg.checkpointer = None
    cfg.evals = {}
    cfg.writer = None
    trainer = konfig.resolve(cfg).replace(writer=Writer())
    trainer.train()
  return (marks[3 * steps] - marks[steps]) / (2 * steps)


def step_time(method: str, d: int, batch: int, steps: int, glocal: bool):
  """CPU and wall seconds a step, peak memory of the process."""
  x, embedding, training, _ = problem(d)
  local = None
  if glocal:
    local = np.random.default_rng(1).standard_normal((_LOCAL, d), np.float32)
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  if method == "kauldron":
    return {
        "cpu_seconds": kauldron(x, embedding, batch, steps),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
  if method == "loop":
    run = Loop(x, training, batch, local=local, every=steps).run
  else:
    run = _torch(method, x, training, batch, local=local).run
  run(steps)  # Compiles, or warms up.
  cpu, wall = time.process_time(), time.perf_counter()
  run(steps)
  return {
      "cpu_seconds": (time.process_time() - cpu) / steps,
      "seconds": (time.perf_counter() - wall) / steps,
      "before_mib": before / 1024,
      "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
  }


def curve(method: str, d: int, batch: int, steps: int, every: int):
  """[[CPU seconds, held-out cross-entropy], …] along a training."""
  from alignet.triplets import similarity

  x, _, training, validation = problem(d)
  some = np.random.default_rng(2).permutation(len(validation))[:20_000]
  triplets, pi = validation.triplets[some], validation.probabilities[some]

  def held_out(weights, bias):
    s = similarity.of_triplets(x @ weights + bias, triplets)
    log_p = similarity.log_choice_probabilities(s)
    return float(-(pi * log_p).sum(axis=1).mean())

  points = []
  if method == "loop":
    ours = Loop(x, training, batch, every=every)
    ours.run(every)
    start = time.process_time()
    history = ours.run(steps)
    each = (time.process_time() - start) / (len(history) - 1)
    points = [[i * each, held_out(*p)] for i, p in enumerate(history)]
  else:
    theirs = _torch(method, x, training, batch)
    used = 0.0
    for _ in range(steps // every):
      start = time.process_time()
      params = theirs.run(every)
      used += time.process_time() - start
      points.append([used, held_out(*params)])
  return {"cpu_seconds": points[-1][0], "points": points}


def exhaustive(d: int):
  """One pass over all triplets, value and gradient."""
  import jax
  from uncertainty_distillation import exhaustive as all_triplets

  x, embedding, _, _ = problem(d)
  z = 0.05 * x
  out = {"triplets": _N * (_N - 1) * (_N - 2) // 6}
  for name, function in (
      ("value", all_triplets.divergence),
      ("gradient", jax.grad(all_triplets.divergence)),
  ):
    compiled = jax.jit(function).lower(z, embedding).compile()
    cpu, wall = time.process_time(), time.perf_counter()
    jax.block_until_ready(compiled(z, embedding))
    out[name] = {
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - wall,
    }
  out["cpu_seconds"] = sum(out[k]["cpu_seconds"] for k in ("value", "gradient"))
  out["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  return out


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true")
  parser.add_argument("--dims", type=int, nargs="+", default=[768, 1152])
  parser.add_argument(
      "--batches", type=int, nargs="+", default=[256, 4096, _DEFAULT]
  )
  parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.child:
    task, *rest = args.child
    child = {"step": step_time, "curve": curve, "exhaustive": exhaustive}[task]
    rest = [int(a) if a.isdecimal() else a for a in rest]
    print(json.dumps(child(*rest)))
    return
  # PyTorch's waiting threads would spin, which counts as CPU time.
  os.environ["OMP_WAIT_POLICY"] = "passive"
  dims, rounds, scale = args.dims, args.rounds, 1
  if args.quick:
    dims, rounds, scale = dims[:1], 1, 20
  tasks = {}
  for d in dims:
    if "steps" in args.parts:
      tasks |= _step_tasks(d, args.batches)
    if "same" in args.parts:
      tasks |= _curve_tasks(d, args.batches, scale)
    if "exhaustive" in args.parts:
      tasks["exhaustive", d] = ("exhaustive", d)
  found = _measure_in_turns(tasks, rounds)
  results = {}
  if "steps" in args.parts:
    results["steps"] = _steps(found)
  if "same" in args.parts:
    results["to_the_same_cross_entropy"] = {
        d: _to_the_same(found, d, args.batches) for d in dims
    }
  if "exhaustive" in args.parts:
    results["exhaustive"] = {d: found["exhaustive", d] for d in dims}
    print(f"all triplets: {results['exhaustive']}")
  print(json.dumps(results))


def _measure_in_turns(tasks: dict, rounds: int) -> dict:
  """Key of each task to its result of the smallest CPU time."""
  best = {}
  for i in range(rounds):
    for number, (key, task) in enumerate(tasks.items(), start=1):
      print(f"{i + 1}: {number}/{len(tasks)} {key}", file=sys.stderr)
      found = _measure.in_process(__file__, ["--child", *task])
      if found["cpu_seconds"] < best.get(key, found)["cpu_seconds"] or (
          key not in best
      ):
        best[key] = found
  return best


def _step_tasks(d: int, batches: list[int]) -> dict:
  tasks = {}
  cells = [(batch, 0) for batch in batches]
  cells += [(256, 1)] if 256 in batches else []
  for batch, glocal in cells:
    methods = ["upstream", "one-hot", "gather", "loop"]
    for method in methods + ["kauldron"] * (not glocal):
      steps = 100 if method == "kauldron" and batch == 256 else 20
      if method in ("upstream", "one-hot") and batch > 256:
        steps = 2
      task = ("step", method, d, batch, steps, glocal)
      tasks["step", d, batch, glocal, method] = task
  return tasks


def _curve_tasks(d: int, batches: list[int], scale: int) -> dict:
  tasks = {}
  for batch in batches:
    steps, every = (2000, 50) if batch <= 256 else (500, 25)
    for method in ("gather", "loop"):
      task = ("curve", method, d, batch, steps // scale, every // min(scale, 5))
      tasks["curve", d, batch, method] = task
  return tasks


def _steps(found: dict) -> list[dict]:
  rows, cells = [], {}
  for key, result in found.items():
    if key[0] == "step":
      cells.setdefault(key[1:4], {})[key[4]] = result
  print("d batch glocal method: CPU ms a step, triplets a CPU-s, peak MiB")
  for (d, batch, glocal), best in cells.items():
    for method, result in best.items():
      rate = batch / result["cpu_seconds"]
      rows.append(
          {"d": d, "batch": batch, "glocal": glocal, "method": method}
          | result
          | {"triplets_per_cpu_second": rate}
      )
      print(
          f"{d} {batch} {glocal} {method}: {1e3 * result['cpu_seconds']:.1f}"
          f" {rate:,.0f} {result['peak_mib']:.0f}"
      )
    ours = best["loop"]["cpu_seconds"]
    ratios = {k: round(v["cpu_seconds"] / ours, 2) for k, v in best.items()}
    print(f"  times the loop's CPU time: {ratios}")
  large = [r for r in rows if r["method"] == "loop" and not r["glocal"]][-1]
  hours = large["seconds"] * _EPOCHS / large["batch"] / 3600
  print(
      f"4.7 M triplets x 100 epochs at {_N} x {large['d']}, batch"
      f" {large['batch']}: {hours:.2f} h on these cores"
  )
  return rows


def _to_the_same(found: dict, d: int, batches: list[int]) -> dict:
  """CPU seconds to what gather reaches at any batch, and at the same one."""
  curves = {
      (method, batch): found["curve", d, batch, method]["points"]
      for batch in batches
      for method in ("gather", "loop")
  }
  best = {key: min(ce for _, ce in points) for key, points in curves.items()}

  def used(key, target):
    return next((cpu for cpu, ce in curves[key] if ce <= target), None)

  target = _SLACK * min(best["gather", batch] for batch in batches)
  out = {"target": target, "any_batch": {}, "same_batch": {}}
  print(f"{d}: CPU seconds to a held-out cross-entropy of {target:.4f}:")
  for key in curves:
    name = f"{key[0]} {key[1]}"
    out["any_batch"][name] = used(key, target)
    print(f"  {name}: {out['any_batch'][name]} (best {best[key]:.4f})")
  for batch in batches:
    at = _SLACK * best["gather", batch]
    times = {m: used((m, batch), at) for m in ("gather", "loop")}
    out["same_batch"][batch] = {"target": at, **times}
    ratio = times["loop"] and round(times["loop"] / times["gather"], 3)
    print(
        f"  batch {batch}, to {at:.4f}: gather {times['gather']}, loop"
        f" {times['loop']}, ratio {ratio}"
    )
  return out


if __name__ == "__main__":
  main()
