"""Kills sampling and responding at random moments.

  python benchmarks/kill.py [--kills=20]

A first run, of what `alignet sample` and `alignet respond` call, is left alone.
Then the same is killed with SIGKILL at random moments of sampling,
transforming, answering, joining and writing, and started again, until that many
kills have struck; whenever a run comes to its end, its files must be those of
the first, byte for byte, and nothing else may lie beside them but what `.tmp`
names a killed writer left. The last line is one JSON object. Linux.
"""

import argparse
import hashlib
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet import transforms
from alignet.representations import store
import numpy as np

_CHAIN = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
folder, out = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
from alignet.triplets import sampling
from alignet.io import identities
from response_generation import respond
import numpy as np
triplets = out / "triplets.npz"
if not triplets.exists():
  labels = np.load(folder / "labels.npy")
  sampling.write(triplets, labels, "border", int(sys.argv[4]), seed=0,
                 distinct=True)
aligned, matched = out / "aligned.npz", out / "matched.npz"
if not (aligned.exists() and matched.exists()
        and not list(out.glob("*.shards"))):
  respond.respond_all(
      representations=folder / "r", triplets=triplets, store="bfloat16",
      trust=identities.Trust(rows="as_stored", columns="as_given"),
      rows=2**17, responses=[
          respond.Response(out=aligned, transform=folder / "w.npz"),
          respond.Response(out=matched, temperature_from=aligned)])
"""


def make(folder: pathlib.Path, n: int, d: int) -> None:
  """Writes made-up inputs."""
  rng = np.random.default_rng(0)
  x = rng.standard_normal((n, d), dtype=np.float32)
  store.write(folder / "r", x, [f"n{i:09d}.JPEG" for i in range(n)], {}, {})
  weights = (rng.standard_normal((d, d)) / d).astype(np.float32)
  transforms.save(
      folder / "w.npz",
      transforms.Transform(weights=weights, bias=np.zeros(d, np.float32)),
  )
  np.save(folder / "labels.npy", rng.integers(0, 500, n))


def start(folder: pathlib.Path, out: pathlib.Path, n: int) -> subprocess.Popen:
  out.mkdir(exist_ok=True)
  return subprocess.Popen(
      [sys.executable, "-c", _CHAIN, str(_ROOT), str(folder), str(out), str(n)]
  )


def phase(out: pathlib.Path) -> str:
  """What the chain was at, by what lies in its folder."""
  if not (out / "triplets.npz").exists():
    return "sample"
  folders = sorted(out.glob("*.shards"))
  names = {path.name for folder in folders for path in folder.iterdir()}
  if any(name.startswith((".result", "result")) for name in names):
    return "write"
  if any(name.startswith((".joined", "joined")) for name in names):
    return "merge"
  if any(name.endswith(".npz") for name in names):
    return "answer"
  return "transform" if folders else "start or between"


def digests(out: pathlib.Path) -> dict[str, str]:
  return {
      path.name: hashlib.sha256(path.read_bytes()).hexdigest()
      for path in sorted(out.glob("*"))
      if not path.name.endswith(".tmp")
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--kills", type=int, default=20)
  parser.add_argument("--images", type=int, default=300_000)
  parser.add_argument("--dims", type=int, default=512)
  parser.add_argument("--triplets", type=int, default=1_500_000)
  parser.add_argument("--seed", type=int, default=0)
  args = parser.parse_args()
  rng = random.Random(args.seed)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    make(folder, args.images, args.dims)
    begin = time.perf_counter()
    if start(folder, folder / "first", args.triplets).wait():
      raise SystemExit("the undisturbed run failed")
    whole = time.perf_counter() - begin
    wanted = digests(folder / "first")
    kills, ends, phases, out = 0, 0, {}, folder / "0"
    while kills < args.kills or out.exists():
      child = start(folder, out, args.triplets)
      try:
        patience = rng.uniform(0.5, whole) if kills < args.kills else None
        code = child.wait(patience)
      except subprocess.TimeoutExpired:
        at = phase(out)
        phases[at] = phases.get(at, 0) + 1
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
        continue
      if code:
        raise SystemExit(f"a run after {kills} kills failed")
      if digests(out) != wanted:
        raise SystemExit(f"after {kills} kills the files differ")
      ends += 1
      out = folder / str(ends)
      if kills >= args.kills:
        break
  print(
      json.dumps(
          {
              "benchmark": "kill",
              "kills": kills,
              "phases": phases,
              "runs_to_the_end": ends,
              "identical": True,
              "undisturbed_seconds": round(whole, 1),
              "files": wanted,
          }
      )
  )


if __name__ == "__main__":
  main()
