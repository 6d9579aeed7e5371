"""Sampling: alignet against a Python loop with `random.sample`.

  python benchmarks/sample.py [--quick]

Both draw triplets of each strategy over the same labels, each strategy and side
in a process of its own, imports not counted: compiled code is loaded before the
clock starts (`load_seconds` says how long that takes; on a machine's very first
call it is compiled, which takes seconds). A row of the loop takes the same time
however many there are, so it draws fewer (`user_triplets`) and is compared by
time a row. The lists of each group's images are made within the measured time,
as is our plan. The last line is one JSON object: time, CPU time and peak memory
of both for each strategy, and the smallest ratio of times.
"""

import argparse
import json
import pathlib
import random
import sys
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet.triplets import sampling
from benchmarks import _measure
import numpy as np

_STRATEGIES = (
    "random",
    "between_class",
    "class_border",
    "within_class",
    "cluster_border_500",
)


def labels_of(strategy: str, images: int) -> np.ndarray:
  """1000 classes or 500 clusters, in no order."""
  groups = 500 if strategy.startswith("cluster") else 1000
  rng = np.random.default_rng(0)
  return rng.integers(0, groups, images, dtype=np.int32)


def ours(labels: np.ndarray, strategy: str, n: int) -> np.ndarray:
  """Triplets by the library."""
  return sampling.sample(labels, strategy, n, seed=0)


def user(labels: np.ndarray, strategy: str, n: int) -> np.ndarray:
  """Triplets by a loop over rows."""
  rng = random.Random(0)
  groups = {}
  for image, group in enumerate(labels.tolist()):
    groups.setdefault(group, []).append(image)
  groups = list(groups.values())
  images = range(len(labels))
  rows = []
  for _ in range(n):
    if strategy == "random":
      rows.append(rng.sample(images, 3))
    elif strategy == "between_class":
      rows.append([rng.choice(g) for g in rng.sample(groups, 3)])
    elif strategy == "within_class":
      rows.append(rng.sample(rng.choice(groups), 3))
    else:
      a, b = rng.sample(groups, 2)
      rows.append([*rng.sample(a, 2), rng.choice(b)])
  return np.array(rows, np.int32)


def side(name: str, strategy: str, images: int, n: int) -> dict:
  """One side, measured in this process."""
  labels = labels_of(strategy, images)
  load = time.perf_counter()
  if name == "ours":
    ours(np.arange(9) // 3, strategy, 1)
  load = time.perf_counter() - load
  draw = {"ours": ours, "user": user}[name]
  found = _measure.measure(lambda: draw(labels, strategy, n))
  # What a row costs: made without the preparation, which both have.
  nothing = _measure.measure(lambda: draw(labels, strategy, 1))
  row = (found["seconds"] - nothing["seconds"]) / n
  return {
      **found,
      "load_seconds": round(load, 2),
      "nanoseconds_a_row": row * 1e9,
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
      "--quick", action="store_true", help="seconds, not minutes"
  )
  parser.add_argument(
      "--images", type=int, help="default 1,281,167; quick 50,000"
  )
  parser.add_argument("--triplets", type=int, help="default 10 M; quick 2 M")
  parser.add_argument(
      "--user_triplets", type=int, help="default 1 M; quick 100,000"
  )
  parser.add_argument(
      "--side", choices=("ours", "user"), help=argparse.SUPPRESS
  )
  parser.add_argument("--strategy", help=argparse.SUPPRESS)
  args = parser.parse_args()
  images = args.images or (50_000 if args.quick else 1_281_167)
  n = args.triplets or (2_000_000 if args.quick else 10_000_000)
  user_n = args.user_triplets or (100_000 if args.quick else 1_000_000)
  if args.side:
    count = n if args.side == "ours" else user_n
    print(json.dumps(side(args.side, args.strategy, images, count)))
    return
  sizes = [f"--images={images}", f"--triplets={n}", f"--user_triplets={user_n}"]
  strategies = {}
  for strategy in _STRATEGIES:
    labels = labels_of(strategy, images)
    rows = ours(labels, strategy, 100_000)
    rule = sampling.parse(strategy).rule
    if not rule.obeyed(labels[rows]).all():
      raise SystemExit(f"{strategy}: a row breaks the rule")
    theirs, mine = (
        _measure.in_process(
            __file__, [f"--side={name}", f"--strategy={strategy}", *sizes]
        )
        for name in ("user", "ours")
    )
    strategies[strategy] = {
        "user": theirs,
        "ours": mine,
        "ratio": round((theirs["seconds"] / user_n) / (mine["seconds"] / n), 1),
        "cpu_ratio": round(
            (theirs["cpu_seconds"] / user_n) / (mine["cpu_seconds"] / n), 1
        ),
        "rows_per_second": round(n / mine["seconds"]),
        "bytes_moved": 12 * n,
    }
  print(
      json.dumps(
          {
              "benchmark": "sample",
              "quick": args.quick,
              "images": images,
              "triplets": n,
              "user_triplets": user_n,
              "strategies": strategies,
              "seconds": max(s["ours"]["seconds"] for s in strategies.values()),
              "ratio": min(s["ratio"] for s in strategies.values()),
              "cpu_ratio": min(s["cpu_ratio"] for s in strategies.values()),
          }
      )
  )


if __name__ == "__main__":
  main()
