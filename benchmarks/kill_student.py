"""Kills a student's training at random moments; several devices against one.

  python benchmarks/kill_student.py [--kills=2] [--steps=100]

trains the student of the pipeline `demo` (the embedded world), two loader
workers, checkpoints every 30 steps. Once it is left alone; then it is killed
with SIGKILL, workers and all, each time at a random moment after it has gone
some steps further, and started again by the same command. The losses of all
steps and the bytes of the weights must be those of the first run.

Then the recipe of `student/siglip_b` on the same data and the same small model,
30 steps without workers: on one device; on two virtual ones, a copy of the
weights on each; on two that share them (FSDP); and in two processes. Printed is
the largest difference of a loss from that of one device.

  --pipeline=cifar100_things --student=aligned_fold1 --out=DIR \
  --set paths.tfds=TFDS --set paths.model=efficientnet_lite0.onnx \
  --set paths.concepts=concepts.tsv --set paths.vice=vice_embedding.npy \
  [--set base_steps=500]

does both with real photographs and real human data. With --out, what comes
before the student is kept, and shared with `alignet run`. The last line is one
JSON object; the exit code is 1 where something differs.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from absl import flags
from alignet.io import config_files
from alignet.io import files
from alignet.pipeline import runner
from alignet.training import training_run
from alignet.training import writer

_SAVE_EVERY = 30
_TOLERANCE = 1e-4
_TWO_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def prepare(args: argparse.Namespace, out: pathlib.Path) -> dict[str, Any]:
  """Runs all that a student needs; its fields, by their paths in the config."""
  config = config_files.load(f"pipeline/{args.pipeline}", args.set)
  plans = runner.plan(config)
  needed, todo = set(), [args.student]
  while todo:
    name = todo.pop()
    if name not in needed:
      needed.add(name)
      todo += [source for _, source, _ in plans[name]["inputs"]]
  needed.remove(args.student)
  folders = runner.run_stages({n: plans[n] for n in plans if n in needed}, out)
  plan = plans[args.student]
  fields = dict(runner.flatten(plan["params"]))
  fields |= {
      key: folders[source] / inside for key, source, inside in plan["inputs"]
  }
  fields.pop("config")
  return fields


def command(config: str, workdir: pathlib.Path, fields: dict[str, Any]):
  changes = {"workdir": workdir, "log_metrics_every": 1, "evals": None} | fields
  return [
      *(sys.executable, "-m", "alignet.train", f"--cfg={config}"),
      *(f"--cfg.{key}={value}" for key, value in changes.items()),
  ]


def start(arguments: list[str], **env: str) -> subprocess.Popen:
  return subprocess.Popen(
      arguments,
      cwd=_ROOT,
      env=os.environ | env,
      stdout=subprocess.DEVNULL,
      start_new_session=True,  # So that its workers can be killed with it.
  )


def end(*processes: subprocess.Popen) -> None:
  if any([process.wait() for process in processes]):
    raise SystemExit("a training failed; see above")


def losses(workdir: pathlib.Path) -> dict[str, dict[int, float]]:
  curves = writer.read_scalars(workdir / "scalars" / "train.jsonl")
  return {k: v for k, v in curves.items() if k.startswith("losses/")}


def reached(workdir: pathlib.Path) -> int:
  """The last step that was logged, -1 before the first."""
  path = workdir / "scalars" / "train.jsonl"
  if not path.exists():
    return -1
  steps = writer.read_scalars(path).get("losses/total", {})
  return max(steps, default=-1)


def kill(args: argparse.Namespace, student: dict[str, Any], out: pathlib.Path):
  """The killed training beside the undisturbed one."""
  fields = student | {
      "num_train_steps": args.steps,
      "checkpointer.save_interval_steps": _SAVE_EVERY,
      "train_ds.num_workers": 2,
  }
  begin = time.monotonic()
  end(start(command("student/small", out / "undisturbed", fields)))
  seconds = time.monotonic() - begin
  workdir = out / "killed"
  rng, struck = random.Random(args.seed), []
  # A third to two thirds of what is left, so that each goes further.
  while len(struck) < args.kills:
    done = max(reached(workdir), 0)
    left = args.steps - done
    goal = done + rng.randint(max(left // 3, 1), max(2 * left // 3, 1))
    process = start(command("student/small", workdir, fields))
    while process.poll() is None and reached(workdir) < goal:
      time.sleep(0.05)
    time.sleep(rng.uniform(0, 1))
    if process.poll() is not None:
      break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    struck.append(reached(workdir))
  end(start(command("student/small", workdir, fields)))
  ours, theirs = losses(workdir), losses(out / "undisturbed")
  sums = [
      files.sha256(out / name / training_run.WEIGHTS)
      for name in ("killed", "undisturbed")
  ]
  return {
      "steps": len(theirs["losses/total"]),
      "killed_after_steps": struck,
      "same_losses": ours == theirs,
      "same_weights": sums[0] == sums[1],
      "sha256": sums[1],
      "undisturbed_seconds": round(seconds, 1),
  }


def parallel(student: dict[str, Any], out: pathlib.Path) -> dict[str, Any]:
  """Largest difference of a loss from that of one device."""
  size = {k: v for k, v in student.items() if k.startswith("model.backbone.")}
  small = config_files.load("student/small").model.backbone
  for key in ("patch_size", "width", "depth", "num_heads", "mlp_dim"):
    size.setdefault(f"model.backbone.{key}", small[key])
  side = 32 // size["model.backbone.patch_size"]
  fields = size | {
      "model.backbone.grid": (side, side),
      "num_train_steps": 30,
      "aux.train": student["aux.triplets"],
      "aux.images": student["aux.images"],
      "aux.weights": student["aux.weights"],
      "aux.batch_size": 64,
      "aux.num_workers": 0,
      "aux.peak": 1e-4,
      "aux.tau": 10_000.0,
  }
  make = lambda name, **more: command(
      "student/siglip_b", out / name, fields | more
  )
  end(start(make("one")))
  end(start(make("devices"), **_TWO_DEVICES))
  end(start(make("fsdp", **{"aux.shard_above_mb": 0}), **_TWO_DEVICES))
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{s.getsockname()[1]}"
  end(
      *(
          start(
              make("processes"),
              JAX_COORDINATOR_ADDRESS=address,
              JAX_NUM_PROCESSES="2",
              JAX_PROCESS_ID=str(i),
          )
          for i in range(2)
      )
  )
  one = losses(out / "one")["losses/total"]
  found = {"steps": len(one), "first_and_last_loss": [one[0], one[max(one)]]}
  for name in ("devices", "fsdp", "processes"):
    other = losses(out / name)["losses/total"]
    found[name] = max(abs(other[step] - one[step]) for step in one)
  return found


def main() -> int:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--kills", type=int, default=2)
  parser.add_argument("--steps", type=int, default=100)
  parser.add_argument("--seed", type=int, default=0, help="of the moments")
  parser.add_argument("--pipeline", default="demo")
  parser.add_argument("--student", default="aligned", metavar="STAGE")
  parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
  parser.add_argument("--out", type=pathlib.Path)
  args = parser.parse_args()
  flags.FLAGS.mark_as_parsed()
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    student = prepare(args, (args.out or folder / "pipeline").absolute())
    result = {
        "benchmark": "kill_student",
        "pipeline": args.pipeline,
        "killed": kill(args, student, folder),
        "parallel": parallel(student, folder),
    }
  print(json.dumps(result))
  killed, several = result["killed"], result["parallel"]
  equal = killed["same_losses"] and killed["same_weights"]
  near = max(several[k] for k in ("devices", "fsdp", "processes"))
  return int(
      not equal
      or len(killed["killed_after_steps"]) < args.kills
      or near > _TOLERANCE
  )


if __name__ == "__main__":
  sys.exit(main())
