"""AligNet npz: alignet against np.savez_compressed and np.load.

  python benchmarks/npz.py [--quick]

Writing: names, similarities and indices of random triplets over made-up images
of ImageNet's kind of names; the user's lines gather the names of all rows, as
np.savez_compressed demands, outside of the time that is compared. Reading: the
file is opened and 100,000 random rows are read, by 1 and by 8 processes at
once; `pss_mb` is their summed proportional memory (MB, 10^6 bytes) minus that
of as many processes that draw the same numbers and hold no file, for our file
(mapped) and for that of the user (unpacked once into a cache, then mapped).
Both kinds live at the same time: a library's memory is divided by all who use
it, other programs too. The last line is one JSON object.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import zipfile

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet.triplets import npz
from alignet.triplets.layout import canonical_order
from benchmarks import _measure
import numpy as np

_READ = 100_000
_BATCH = 500


def inputs(images: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Names of the images, triplets, similarities."""
  rng = np.random.default_rng(0)
  classes = np.sort(rng.choice(10**8, 1000, replace=False))
  names = np.array(
      [f"n{classes[i % 1000]:08d}_{i // 10}.JPEG" for i in range(images)]
  )
  indices = np.sort(rng.integers(0, images - 2, (n, 3), dtype=np.int32), axis=1)
  indices += np.arange(3, dtype=np.int32)  # Distinct.
  return names, indices, rng.standard_normal((n, 3), dtype=np.float32)


def write(side: str, folder: pathlib.Path, images: int, n: int) -> dict:
  """Writes in this process."""
  names, indices, s = inputs(images, n)
  if side == "ours":
    path = folder / "warm.npz"
    npz.write(path, names, indices[:9], s[:9], overwrite=True)
    path.unlink()
    found = _measure.measure(
        lambda: npz.write(folder / "ours.npz", names, indices, s)
    )
  else:
    pieces = [
        canonical_order(indices[i : i + 65536], s[i : i + 65536])
        for i in range(0, n, 65536)
    ]
    indices, s = (np.concatenate(x) for x in zip(*pieces))
    start = time.perf_counter()
    rows = names[indices]
    gather = time.perf_counter() - start
    found = _measure.measure(
        lambda: np.savez_compressed(
            folder / "user.npz", filenames=rows, similarities=s, indices=indices
        )
    )
    found["gather_seconds"] = round(gather, 2)
    found["rows_mib"] = round(rows.nbytes / 2**20)
  return found


def read(path: str) -> None:
  """Opens, reads, says so, and waits with what it holds until told to end.

  Without a path it does the same to a few rows in memory.
  """
  start = time.perf_counter()
  arrays = [np.zeros((_BATCH, 3), dtype) for dtype in (np.int32, np.float32)]
  if path:
    opened = npz.open(path)
    arrays = opened.indices, opened.similarities
  timing = {"open_seconds": round(time.perf_counter() - start, 4)}
  rng = np.random.default_rng(os.getpid())
  total = 0.0
  start = time.perf_counter()
  for _ in range(_READ // _BATCH):
    rows = rng.integers(0, len(arrays[0]), _BATCH)
    total += float(sum(array[rows].sum() for array in arrays))
  timing["read_seconds"] = round(time.perf_counter() - start, 4)
  print(json.dumps(timing), flush=True)
  sys.stdin.readline()


def start(path: str, workers: int) -> tuple[list, list[dict]]:
  """Processes that hold a file, or none, when all have read; their timings."""
  command = [sys.executable, __file__, "--side=read", f"--path={path}"]
  children = [
      subprocess.Popen(
          command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
      )
      for _ in range(workers)
  ]
  return children, [json.loads(child.stdout.readline()) for child in children]


def pss(children: list) -> int:
  """Summed PSS of processes in bytes."""
  total = 0
  for child in children:
    text = pathlib.Path(f"/proc/{child.pid}/smaps_rollup").read_text()
    total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1))
  return 1024 * total


def reading(path: pathlib.Path) -> dict:
  """Open and read with 1 and with 8 processes."""
  found = {}
  for workers in (1, 8):
    without, _ = start("", workers)
    holding, timings = start(str(path), workers)
    found[f"{workers}_workers"] = {
        "pss_mb": round((pss(holding) - pss(without)) / 1e6, 1),
        "open_seconds": max(t["open_seconds"] for t in timings),
        "read_seconds": max(t["read_seconds"] for t in timings),
    }
    for child in (*without, *holding):
      child.communicate("\n")
  return found


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true", help="seconds")
  parser.add_argument("--images", type=int, help="default 1,281,167")
  parser.add_argument("--triplets", type=int, help="default 2 M; quick 200,000")
  parser.add_argument("--side", help=argparse.SUPPRESS)
  parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  parser.add_argument("--path", help=argparse.SUPPRESS)
  args = parser.parse_args()
  images = args.images or 1_281_167
  n = args.triplets or (200_000 if args.quick else 2_000_000)
  if args.side == "read":
    read(args.path)
    return
  if args.side:
    print(json.dumps(write(args.side, args.folder, images, n)))
    return
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    sides = {
        side: _measure.in_process(
            __file__,
            [
                *(f"--side={side}", f"--folder={folder}"),
                *(f"--images={images}", f"--triplets={n}"),
            ],
        )
        for side in ("user", "ours")
    }
    sizes = {side: (folder / f"{side}.npz").stat().st_size for side in sides}
    with np.load(folder / "ours.npz") as a, np.load(folder / "user.npz") as b:
      same = all((a[key] == b[key]).all() for key in npz.KEYS)
    bad = zipfile.ZipFile(folder / "ours.npz").testzip()
    if bad is not None or not same:
      raise SystemExit(f"the files differ, or {bad} is damaged")
    result = {
        "benchmark": "npz",
        "quick": args.quick,
        "images": images,
        "triplets": n,
        "write": {
            **sides,
            **_measure.compare(sides["ours"], sides["user"]),
            "file_mib": {k: round(v / 2**20, 1) for k, v in sizes.items()},
            "size_ratio": round(sizes["ours"] / sizes["user"], 3),
        },
        "read_ours": reading(folder / "ours.npz"),
        "read_user": reading(folder / "user.npz"),
    }
  print(json.dumps(result))


if __name__ == "__main__":
  main()
