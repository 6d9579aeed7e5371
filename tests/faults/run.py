"""Tries faults of every input of every command, and says what came of them.

  python -m tests.faults.run [--cases=N] [--seed=S] [--show=CASE]

All is imported once; each case is a fork, in a folder of its own. A case is bad
if it ends in a traceback or in what nobody foresaw, takes much longer or much
more memory than the good one, leaves something half-written, or says more than
one line. After changes that change nothing, see `metamorphic`, a command must
find the same or refuse. A few cases run as processes, as a user starts them.
"""

import argparse
import collections
from collections.abc import Iterator
import concurrent.futures
import itertools
import multiprocessing
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from alignet.cli import main
import cv2  # noqa: F401
import faiss  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import numpy as np
import onnxruntime  # noqa: F401
import scipy.io  # noqa: F401
import scipy.stats  # noqa: F401
from tests.faults import metamorphic
from tests.faults import mutations
from tests.faults import world

_SECONDS, _MIB = 20, 1024
_KINDS = (mutations.damage, mutations.lie, mutations.change)
_PROCESSES = 2  # Side by side.


def run(argv: list[str], folder: pathlib.Path) -> dict:
  """Runs a command in a fork; exit code, stderr, seconds, MiB above ours."""
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  start = time.monotonic()
  child = os.fork()
  if not child:
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
      os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    code = 99
    try:
      resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
      code = main.main([*argv, "--quiet"])
    except SystemExit as e:
      code = e.code or 0
    except BaseException:  # pylint: disable=broad-exception-caught
      traceback.print_exc()
    finally:
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(code)
  _, status, usage = os.wait4(child, 0)
  signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
  return {
      "code": -signal if signal else os.WEXITSTATUS(status),
      "stderr": (folder / "stderr").read_text(errors="replace"),
      "seconds": time.monotonic() - start,
      "mib": max(usage.ru_maxrss - before, 0) / 1024,
  }


def run_process(argv: list[str], folder: pathlib.Path) -> dict:
  """The same as a process, whose start counts."""
  start = time.monotonic()
  done = subprocess.run(
      [sys.executable, "-m", "alignet.cli.main", *argv, "--quiet"],
      cwd=folder,
      env=os.environ | {"PYTHONPATH": str(pathlib.Path.cwd())},
      capture_output=True,
      check=False,
  )
  return {
      "code": done.returncode,
      "stderr": done.stderr.decode(errors="replace"),
      "seconds": time.monotonic() - start,
      "mib": 0,
  }


_OUT = {
    **dict.fromkeys(("verify", "doctor"), ""),
    **dict.fromkeys(("cache", "compare", "extract"), "out"),
    "collect": "out",
    "evaluate": "out.json",
}


def arguments(command: str) -> tuple[list[str], str]:
  """The command line, and its output's name."""
  out = _OUT.get(command.split()[0], "out.npz")
  if command.startswith("collect answers"):
    out = "out.csv"
  return [*command.split(), *([f"--out={out}"] if out else [])], out


def judge(found: dict, folder: pathlib.Path, out: str, good: dict) -> str:
  """ "same", "other", "refused", "check failed", or what is bad."""
  lines = found["stderr"].splitlines()
  if found["code"] not in (0, 1, 2):
    return f"BAD exit code {found['code']}"
  if "Traceback" in found["stderr"] or "did not foresee" in found["stderr"]:
    return "BAD unforeseen"
  if found["seconds"] > good["seconds"] + _SECONDS:
    return "BAD slow"
  if found["mib"] > good["mib"] + _MIB:
    return "BAD memory"
  left = (
      {p.name for p in folder.iterdir()} - good["there"] - {"stdout", "stderr"}
  )
  if found["code"] == 2:
    errors = [line for line in lines if ": error: " in line]
    if len(errors) != 1:
      return "BAD not one sentence"
    if lines[-1] != errors[0] or len(lines) > 8:  # What libraries print.
      return "BAD more than a sentence"
    kept = {name for name in left if re.search(r"\.(shards|partial)$", name)}
    return "BAD half-written" if left - kept else "refused"
  if left - {out}:
    return "BAD leftovers"
  if found["code"] == 1 or not out:
    return "same" if found["code"] == good["code"] else "check failed"
  same = world.alike(world.output(folder / out), good["output"])
  return "same" if same else "other"


def cases(n: int, seed: int) -> Iterator[tuple]:
  """Number, command, file, kind and random numbers of each case."""
  pairs = [(c, f) for c, inputs in world.COMMANDS.items() for f in inputs]
  for case in range(n):
    rng = np.random.default_rng([seed, case])
    command, file = pairs[case % len(pairs)]
    kinds = [k for k in _KINDS if k is not mutations.lie or ".np" in file]
    if file.endswith((".png", ".onnx", ".mat", ".pickle")):
      kinds = [mutations.damage]
    yield case, command, file, kinds[rng.integers(len(kinds))], rng


def try_cases(share: int, scratch: pathlib.Path, good: dict, args) -> list:
  """Runs every `_PROCESSES`-th case; label, outcome and stderr of each."""
  found = []
  for case, command, file, mutate, rng in cases(args.cases, args.seed):
    if case % _PROCESSES != share or args.show not in (None, case):
      continue
    folder = metamorphic.copy(scratch / "world", scratch / f"case{share}")
    mutate(folder / file, rng)
    label = f"case {case}: {mutate.__name__} {file}: {command}"
    a_process = case % max(args.cases // 20, 1) == 0
    found.append(
        _outcome(command, command, folder, good, label, a_process=a_process)
    )
    shutil.rmtree(folder)
  tried = itertools.product(metamorphic.RELATIONS, range(20))
  for number, (relation, seed) in enumerate(tried):
    if number % _PROCESSES != share or args.show is not None:
      continue
    folder = metamorphic.copy(scratch / "world", scratch / f"case{share}")
    relation.change(folder, np.random.default_rng(seed))
    for command, line in relation.commands.items():
      label = f"{relation.name}, seed {seed}: {line}"
      one = _outcome(command, line, folder, good, label)
      allowed = ("same", "refused", "check failed")
      if one[1] not in (allowed if relation.refusal else ("same",)):
        one = (one[0], f"BAD {relation.name}", one[2])
      elif one[1][:3] != "BAD":
        one = (one[0], f"{one[1]} ({relation.name})", one[2])
      found.append(one)
    shutil.rmtree(folder)
  return found


def _outcome(command, line, folder, good, label, *, a_process=False) -> tuple:
  for one in line.split(" && "):
    argv, out = arguments(one)
    done = (run_process if a_process else run)(argv, folder)
  outcome = judge(done, folder, out, good[command])
  for left in {p.name for p in folder.iterdir()} - good[command]["there"]:
    path = folder / left
    shutil.rmtree(path) if path.is_dir() else path.unlink()
  return label, outcome, done["stderr"]


def main_(argv: list[str]) -> int:
  """Runs all cases; 1 if one is bad."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--cases", type=int, default=2000)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument(
      "--show", type=int, help="of this case, all that was said"
  )
  args = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as scratch:
    scratch = pathlib.Path(scratch)
    made = os.fork()  # What makes the world may start JAX.
    if not made:
      code = 1
      try:
        world.make(scratch / "world")
        code = 0
      finally:
        os._exit(code)
    assert os.waitpid(made, 0)[1] == 0, "the world could not be made"
    there = {p.name for p in (scratch / "world").iterdir()}
    good = {}
    for number, command in enumerate(world.COMMANDS):
      folder = metamorphic.copy(scratch / "world", scratch / f"good{number}")
      line, out = arguments(command)
      found = run(line, folder)
      assert found["code"] in (0, 1), (command, found["stderr"])
      found["there"] = there
      found["output"] = world.output(folder / out) if out else None
      good[command] = found
      shutil.rmtree(folder)
    with concurrent.futures.ProcessPoolExecutor(
        _PROCESSES, mp_context=multiprocessing.get_context("fork")
    ) as pool:
      shares = [
          pool.submit(try_cases, share, scratch, good, args)
          for share in range(_PROCESSES)
      ]
      found = [one for share in shares for one in share.result()]
  counts = collections.Counter(outcome for _, outcome, _ in found)
  for label, outcome, said in found:
    if outcome.startswith("BAD") or args.show is not None:
      said = said if args.show is not None else said.strip()[-600:]
      print(f"{outcome}: {label}\n    {said}")
  for outcome, n in sorted(counts.items()):
    print(f"{outcome:40s} {n:6d}")
  return int(any(outcome.startswith("BAD") for outcome in counts))


if __name__ == "__main__":
  sys.exit(main_(sys.argv[1:]))
