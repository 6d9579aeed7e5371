"""Tries faults of every input of every command, and says what came of them.

  python -m tests.faults.run [--cases=N] [--seed=S] [--show=CASE]

All is imported once; each case is a fork, in a folder of its own. A case is bad
if it ends in a traceback or in what nobody foresaw, takes much longer or much
more memory than the good one, leaves something half-written, or says more than
one line. Permuting what has names must not change a number.
"""

import argparse
import collections
import os
import pathlib
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback

from alignet.cli import main
from alignet.representations import store
import cv2  # noqa: F401
import faiss  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import numpy as np
import scipy.io  # noqa: F401
import scipy.stats  # noqa: F401
from tests.faults import mutations
from tests.faults import world

_SECONDS, _MIB = 20, 1024
_KINDS = (mutations.damage, mutations.lie, mutations.change)


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


def arguments(command: str) -> tuple[list[str], str]:
  """The command line, and its output's name."""
  if command.startswith("verify"):
    return command.split(), ""
  folders = ("cache", "collect", "compare")
  json = command.startswith("evaluate")
  out = (
      "out"
      if command.startswith(folders)
      else f"out.{'json' if json else 'npz'}"
  )
  return [*command.split(), f"--out={out}"], out


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
    if found["stderr"].rstrip("\n") != errors[0] and len(lines) > 3:
      return "BAD more than a sentence"
    kept = {name for name in left if re.search(r"\.(shards|partial)$", name)}
    return "BAD half-written" if left - kept else "refused"
  if left - {out}:
    return "BAD leftovers"
  if found["code"] == 1 or not out:
    return "same" if found["code"] == good["code"] else "check failed"
  same = world.output(folder / out) == good["output"]
  return "same" if same else "other"


def permute(folder: pathlib.Path, rng: np.random.Generator) -> None:
  """Moves the images of representations; their names go with them."""
  for name in ("r", "base"):
    opened = store.open(folder / name)
    rows = rng.permutation(len(opened))
    moved = {
        level: type(labels)(ids=labels.ids[rows], names=labels.names)
        for level, labels in opened.labels.items()
    }
    features = np.array(opened.features[rows])
    names, meta = opened.filenames[rows], {"model": name}
    store.write(folder / name, features, names, moved, meta, overwrite=True)


def cases(n: int, seed: int):
  """Command, file, kind and random numbers of each case."""
  pairs = [(c, f) for c, inputs in world.COMMANDS.items() for f in inputs]
  for case in range(n):
    rng = np.random.default_rng([seed, case])
    command, file = pairs[case % len(pairs)]
    kinds = [k for k in _KINDS if k is not mutations.lie or ".np" in file]
    if file.endswith(".png"):
      kinds = [mutations.damage]
    yield case, command, file, kinds[rng.integers(len(kinds))], rng


def tell(counts: dict) -> int:
  """Prints the counts; 1 if any case was bad."""
  for outcome, n in sorted(counts.items()):
    print(f"{outcome:24s} {n:6d}")
  return int(any(outcome.startswith("BAD") for outcome in counts))


def main_(argv: list[str]) -> int:
  """Runs all cases; 1 if one is bad."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--cases", type=int, default=2000)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument(
      "--show", type=int, help="of this case, all that was said"
  )
  args = parser.parse_args(argv)
  counts = collections.Counter()
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
      folder = shutil.copytree(scratch / "world", scratch / f"good{number}")
      line, out = arguments(command)
      found = run(line, folder)
      assert found["code"] in (0, 1), (command, found["stderr"])
      found["there"] = there
      found["output"] = world.output(folder / out) if out else None
      good[command] = found
      shutil.rmtree(folder)
    for case, command, file, mutate, rng in cases(args.cases, args.seed):
      if args.show is not None and case != args.show:
        continue
      folder = shutil.copytree(scratch / "world", scratch / "case")
      line, out = arguments(command)
      mutate(folder / file, rng)
      found = run(line, folder)
      outcome = judge(found, folder, out, good[command])
      counts[outcome] += 1
      if outcome.startswith("BAD") or args.show is not None:
        print(f"case {case}: {outcome}: {mutate.__name__} {file}: {command}")
        print(
            "   ",
            found["stderr"].strip()[-600:]
            if args.show is None
            else found["stderr"],
            flush=True,
        )
      shutil.rmtree(folder)
    named = [c for c in world.COMMANDS if c.startswith("evaluate repr")]
    for seed in range(20 if args.show is None else 0):
      folder = shutil.copytree(scratch / "world", scratch / "case")
      permute(folder, np.random.default_rng(seed))
      for command in named:
        line, out = arguments(command)
        found = run(line, folder)
        outcome = judge(found, folder, out, good[command])
        if outcome not in ("same", "refused"):
          outcome = "BAD permuted"
          print(f"permuted {seed}: {command}", found["stderr"][-300:])
        counts[f"{outcome} (permuted)" if outcome[0] != "B" else outcome] += 1
        (folder / out).unlink(missing_ok=True)
      shutil.rmtree(folder)
  return tell(counts)


if __name__ == "__main__":
  sys.exit(main_(sys.argv[1:]))
