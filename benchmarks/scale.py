"""The dataset at the paper's size: every stage timed, on made-up features.

  python benchmarks/scale.py --folder=DIR [--images=… --triplets=…]

Ten million cluster_border_500 triplets over 1,281,167 representations of 1152
float16 numbers: sampled, answered (bfloat16 rows), written, verified. Needs
about 12 GB in DIR, which is left there. Each command runs in a process of its
own; the steps of responding are timed apart within it. A line of JSON a stage:
seconds, CPU seconds, peak anonymous memory (memory maps of files do not count),
bytes written and the size of the result.
"""

import argparse
import json
import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet import transforms
from alignet.io import files
from alignet.io import identities
from alignet.release import verify as verify_lib
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import sampling
from benchmarks import _measure
import numpy as np
from response_generation import transformed_store

_STRATEGY = "cluster_border_500"


def make(folder: pathlib.Path, n: int, d: int) -> None:
  """Made-up inputs; not measured."""
  rng = np.random.default_rng(0)

  def blocks():
    for start in range(0, n, 8192):
      shape = (min(8192, n - start), d)
      yield rng.standard_normal(shape, dtype=np.float32).astype(np.float16)

  classes = np.sort(rng.choice(10**8, 1000, replace=False))
  names = [f"n{classes[i % 1000]:08d}_{i // 10}_{i}.JPEG" for i in range(n)]
  features = files.Blocks((n, d), np.dtype(np.float16), blocks())
  store.write(folder / "representations", features, names, {}, {})
  np.save(folder / "labels.npy", rng.integers(0, 500, n, dtype=np.int32))
  weights = (rng.standard_normal((d, d)) / d).astype(np.float32)
  transforms.save(
      folder / "transform.npz",
      transforms.Transform(weights=weights, bias=np.zeros(d, np.float32)),
  )


def sample(folder: pathlib.Path, n: int, distinct: bool) -> None:
  name = "distinct.npz" if distinct else "triplets.npz"
  sampling.write(
      *(folder / name, np.load(folder / "labels.npy"), _STRATEGY, n),
      seed=0,
      distinct=distinct,
      overwrite=True,
  )


def respond(folder: pathlib.Path) -> dict:
  """Responses, and what each step of them took."""
  from response_generation import jobs
  from response_generation import respond as respond_lib
  from response_generation import shards

  steps = {}

  def timed(owner, name, step):
    real = getattr(owner, name)

    def wrapper(*args, **kwargs):
      result = []
      before = _written()
      steps[step] = _measure.measure(
          lambda: result.append(real(*args, **kwargs))
      )
      steps[step]["gb_written"] = round((_written() - before) / 1e9, 3)
      return result[0]

    setattr(owner, name, wrapper)

  timed(store, "open", "check the inputs")
  timed(transformed_store, "make", "transform")
  timed(jobs, "compute", "answer")
  timed(shards.Shards, "join", "merge")
  timed(npz, "write", "write")
  meta = respond_lib.respond(
      representations=folder / "representations",
      triplets=folder / "triplets.npz",
      transform=folder / "transform.npz",
      store="bfloat16",
      out=folder / "alignet.npz",
      trust=identities.Trust(rows="as_stored", columns="as_given"),
      overwrite=True,
  )
  return {"steps": steps, "store_error": meta["store_error"]}


def verify(folder: pathlib.Path) -> dict:
  source = store.open(folder / "representations")
  found = verify_lib.verify(
      folder / "alignet.npz",
      image_filenames=source.filenames,
      labels=np.load(folder / "labels.npy"),
      rule="border",
      features=source.features,
      transform=transforms.load(folder / "transform.npz"),
  )
  return {"checks": {c.name: c.status for c in found.checks}, "ok": found.ok}


def _written() -> int:
  """Bytes this process has written."""
  for line in pathlib.Path("/proc/self/io").read_text().splitlines():
    if line.startswith("wchar:"):
      return int(line.split()[1])
  return 0


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--folder", type=pathlib.Path, required=True)
  parser.add_argument("--images", type=int, default=1_281_167)
  parser.add_argument("--dims", type=int, default=1152)
  parser.add_argument("--triplets", type=int, default=10_000_000)
  parser.add_argument("--stage", help=argparse.SUPPRESS)
  args = parser.parse_args()
  folder, n = args.folder, args.triplets
  stages = {
      "sample": lambda: sample(folder, n, False),
      "sample distinct rows": lambda: sample(folder, n, True),
      "respond": lambda: respond(folder),
      "verify": lambda: verify(folder),
  }
  if args.stage:
    result = []
    found = _measure.measure(lambda: result.append(stages[args.stage]()))
    print(json.dumps({**found, **(result[0] or {})}))
    return
  make(folder, args.images, args.dims)
  for stage in stages:
    found = _measure.in_process(
        __file__,
        [f"--folder={folder}", f"--triplets={n}", f"--stage={stage}"],
    )
    print(json.dumps({"stage": stage, **found}), flush=True)
  sizes = {
      path.name: path.stat().st_size
      for path in sorted(folder.rglob("*"))
      if path.is_file()
  }
  print(json.dumps({"stage": "files", "bytes": sizes}))


if __name__ == "__main__":
  main()
