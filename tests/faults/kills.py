"""Ends commands at random moments, starts them again, and compares.

  python -m tests.faults.kills [JOB …] [--signal=KILL] [--times=10] [--seed=0]

A first run of each job is left alone. Then the same is ended at random moments
of its time, every third time while it writes a checkpoint, and started again.
In the end its result must be that of the first, byte for byte, and nothing
temporary may lie beside it. After INT and TERM a command must end by itself,
with 130 and 143, within ten seconds, and its children with it. `worker` ends a
process that draws batches, in the place of the command. Linux.
"""

import argparse
from collections.abc import Sequence
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from tests import tiny

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SECONDS = 10
_TABLE = """
import ml_collections

def get_config():
  config = ml_collections.ConfigDict()
  config.title, config.question = "Losses", "Which?"
  config.cells = (dict(name="JSD", settings={}),)
  return config
"""


def student(folder: pathlib.Path, out: pathlib.Path) -> list[str]:
  """A student with its images, of a base that is trained once."""
  world_, base = folder / "world", folder / "base"
  if not world_.exists():
    world = tiny.make(world_)
    _run(_train("base", tiny.changes(world, "base", base)))
  world = {
      name: str(world_ / name) for name in ("images", "trial_images", "trials")
  } | {"triplets": str(world_ / "t.npz")}
  weights = base / "weights.safetensors"
  changes = tiny.changes(world, "student/small", out, weights=weights, steps=24)
  return _train("student/small", changes)


def worker(folder: pathlib.Path, out: pathlib.Path) -> list[str]:
  """The same, whose batches processes draw."""
  return [*student(folder, out), "--cfg.train_ds.num_workers=2"]


def teacher(folder: pathlib.Path, out: pathlib.Path) -> list[str]:
  """gLocal of a simulated world."""
  del folder
  changes = ["aux.steps=200", "aux.inner_folds=0", "aux.batch=64"]
  changes += ["checkpointer.save_interval_steps=20"]
  return _train("glocal", [*changes, f"workdir={out}"])


def vice(folder: pathlib.Path, out: pathlib.Path) -> list[str]:
  """VICE of simulated choices."""
  del folder
  changes = ["aux.steps=500", "aux.anneal=250", "aux.width=6"]
  changes += ["checkpointer.save_interval_steps=100"]
  return _train("vice", [*changes, f"workdir={out}"])


def sweep(folder: pathlib.Path, out: pathlib.Path) -> list[str]:
  """One cell of one table."""
  (folder / "tiny.py").write_text(tiny.SCALE)
  (folder / "one.py").write_text(_TABLE)
  command = ["sweep", f"{folder}/one.py", f"--scale={folder}/tiny.py"]
  return [*command, "--seeds=0", f"--out={out}", "--quiet"]


def release(folder: pathlib.Path, out: pathlib.Path) -> list[str]:
  """A small release."""
  from tests.release import conftest  # pylint: disable=g-import-not-at-top

  inputs = folder / "inputs"
  if not inputs.exists():
    conftest.make_inputs(inputs)
  return [*conftest.command(inputs), f"--out={out}"]


JOBS = {
    job.__name__: job
    for job in (student, worker, teacher, vice, sweep, release)
}
_RESULTS = (
    *("weights.safetensors", "*.npz", "tables/**/results.json", "data/*"),
    *("SHA256SUMS", "release.json"),
)


def _train(name: str, changes: Sequence[str]) -> list[str]:
  return ["train", name, *(f"--cfg.{change}" for change in changes)]


def _run(argv: Sequence[str]) -> None:
  with _start(argv) as process:
    _, said = process.communicate()
  assert process.returncode == 0, said.decode()


def _start(argv: Sequence[str]) -> subprocess.Popen:
  return subprocess.Popen(
      [sys.executable, "-m", "alignet.cli.main", *argv],
      cwd=_ROOT,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.PIPE,
      start_new_session=True,
  )


def _is_done(out: pathlib.Path) -> bool:
  return any(p.is_file() for g in _RESULTS for p in out.glob(g))


def _results(out: pathlib.Path) -> dict[str, str]:
  found = sorted({p for g in _RESULTS for p in out.glob(g) if p.is_file()})
  assert found, f"{out} holds no result"
  return {
      p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
      for p in found
  }


def _temporary(out: pathlib.Path) -> list[str]:
  near = [*out.rglob("*"), *out.parent.glob(f".{out.name}*")]
  return sorted(
      p.name for p in near if ".tmp" in p.name or "checkpoint-tmp" in p.name
  )


def _children(process: int) -> list[int]:
  """Processes whose parent, or its parent, this is."""
  parents = {}
  for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
      fields = path.read_text().rpartition(")")[2].split()
      if fields[0] != "Z":
        parents[int(path.parent.name)] = int(fields[1])
    except OSError:
      pass  # It has just ended.
  found = [process]
  for _ in range(3):
    found += [p for p, up in parents.items() if up in found and p not in found]
  return found[1:]


def _draws(process: int) -> bool:
  """Whether it is one that draws batches, and not one that counts files."""
  try:
    command = pathlib.Path(f"/proc/{process}/cmdline").read_bytes()
  except OSError:
    return False
  return b"spawn_main" in command


def _wait_for_checkpoint(out: pathlib.Path, process, seconds: float) -> None:
  end = time.monotonic() + seconds
  while time.monotonic() < end and process.poll() is None:
    if any(out.glob("checkpoints/*tmp*")):
      return
    time.sleep(0.002)


def end(argv, out, seconds, number, args, rng) -> str:
  """Starts the command, ends it at a moment; what came of it."""
  process = _start(argv)
  if "num_workers=2" in argv[-1]:  # They live for the shortest part.
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
      if any(map(_draws, _children(process.pid))):
        time.sleep(rng.uniform(0, 1))
        break
  elif number % 3 == 2:
    _wait_for_checkpoint(out, process, seconds)
  else:
    time.sleep(rng.uniform(0, seconds))
  if process.poll() is not None:
    process.communicate()
    return "was done"
  children = _children(process.pid)
  target = process.pid
  if "num_workers=2" in argv[-1]:
    workers = [c for c in children if _draws(c)]
    if not workers:
      process.kill()
      process.communicate()
      return "no worker yet"
    target = rng.choice(workers)
  target_signal = getattr(signal, f"SIG{args.signal}")
  start = time.monotonic()
  os.kill(target, target_signal)
  try:
    _, said = process.communicate(timeout=60)
  except subprocess.TimeoutExpired:
    process.kill()
    process.communicate()
    return "BAD: still there after 60 s"
  took = time.monotonic() - start
  said = said.decode(errors="replace")
  left = [c for c in children if pathlib.Path(f"/proc/{c}").exists()]
  code = process.returncode
  wanted = {"KILL": -9, "INT": 130, "TERM": 143}[args.signal]
  if target != process.pid:
    if "Traceback" in said or code not in (0, 2):
      return f"BAD: exit code {code} of a worker's death: {said[-500:]}"
    return f"worker ended, exit code {code}"
  if code == 0 or code == -target_signal and _is_done(out):
    return "was done"  # Python was leaving.
  if code not in (wanted, -target_signal):  # The same to a shell.
    return f"BAD: exit code {code}: {said[-500:]}"
  if args.signal != "KILL" and took > _SECONDS:
    return f"BAD: took {took:.1f} s"
  if args.signal != "KILL" and left:
    return f"BAD: children are left: {left}"
  if "Traceback" in said:
    return f"BAD: {said[-3000:]}"
  return f"ended in {took:.1f} s"


def main(argv: Sequence[str]) -> int:
  """Runs the jobs; 1 if one came to something else."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("jobs", nargs="*", metavar="JOB", choices=[*JOBS, []])
  parser.add_argument(
      "--signal", default="KILL", choices=("KILL", "INT", "TERM")
  )
  parser.add_argument("--times", type=int, default=10)
  parser.add_argument("--seed", type=int, default=0)
  args = parser.parse_args(argv)
  rng, bad = random.Random(args.seed), 0
  for name in args.jobs or JOBS:
    with tempfile.TemporaryDirectory() as folder:
      folder = pathlib.Path(folder)
      start = time.monotonic()
      command = JOBS[name](folder, folder / "whole")
      start = time.monotonic()
      _run(command)
      seconds = time.monotonic() - start
      wanted = _results(folder / "whole")
      outcomes, out, rounds = [], folder / "ended0", 0
      struck = 0
      for number in range(4 * args.times):
        if struck == args.times:
          break
        outcomes.append(
            end(JOBS[name](folder, out), out, seconds, number, args, rng)
        )
        print(f"{name}: {outcomes[-1]}", flush=True)
        struck += "ended" in outcomes[-1] or "BAD" in outcomes[-1]
        bad += "BAD" in outcomes[-1]
        if outcomes[-1] in ("was done", "worker ended, exit code 0"):
          bad += not _same(out, wanted)
          rounds += 1
          out = folder / f"ended{rounds}"
      _run(JOBS[name](folder, out))
      bad += not _same(out, wanted)
      print(f"{name}: {struck} times {args.signal}, {rounds + 1} results")
  print("the same results" if not bad else f"{bad} BAD")
  return int(bool(bad))


def _same(out: pathlib.Path, wanted: dict[str, str]) -> bool:
  same = _results(out) == wanted
  left = _temporary(out)
  if not same or left:
    print(f"BAD: {out.name}: {'other bytes' if not same else ''} {left}")
  return same and not left


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
