"""Sampling: alignet against a Python loop with `random.sample`.

  python benchmarks/sample.py [--quick]

Both draw the same number of triplets of each strategy over the same labels,
lists of each group's images included; each strategy and side in a process of
its own, imports not counted. The last line is one JSON object: time, CPU time
and peak memory of both for each strategy, and the smallest ratio of times.
"""

import argparse
import json
import pathlib
import random
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet import sampling
from benchmarks import _measure
import numpy as np

_STRATEGIES = ("random", "between_class", "class_border", "within_class")


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
    elif strategy == "class_border":
      a, b = rng.sample(groups, 2)
      rows.append([*rng.sample(a, 2), rng.choice(b)])
    else:
      rows.append(rng.sample(rng.choice(groups), 3))
  return np.array(rows, np.int32)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
      "--quick", action="store_true", help="seconds, not minutes"
  )
  parser.add_argument(
      "--images", type=int, help="default 1,281,167; quick 50,000"
  )
  parser.add_argument("--triplets", type=int, help="default 1 M; quick 100,000")
  parser.add_argument(
      "--side", choices=("ours", "user"), help=argparse.SUPPRESS
  )
  parser.add_argument("--strategy", help=argparse.SUPPRESS)
  args = parser.parse_args()
  images = args.images or (50_000 if args.quick else 1_281_167)
  n = args.triplets or (100_000 if args.quick else 1_000_000)
  labels = np.arange(images, dtype=np.int32) % 1000
  if args.side:
    draw = {"ours": ours, "user": user}[args.side]
    print(json.dumps(_measure.measure(lambda: draw(labels, args.strategy, n))))
    return
  sizes = [f"--images={images}", f"--triplets={n}"]
  strategies = {}
  for strategy in _STRATEGIES:
    rows = ours(labels, strategy, 1000)
    rule = sampling.parse(strategy).rule
    if not sampling.obeys(rule, labels[rows]).all():
      raise SystemExit(f"{strategy}: a row breaks the rule")
    sides = {
        side: _measure.in_process(
            __file__, [f"--side={side}", f"--strategy={strategy}", *sizes]
        )
        for side in ("user", "ours")
    }
    strategies[strategy] = {
        **sides,
        **_measure.compare(sides["ours"], sides["user"]),
        "rows_per_second": round(n / sides["ours"]["seconds"]),
    }
  print(
      json.dumps(
          {
              "benchmark": "sample",
              "quick": args.quick,
              "images": images,
              "triplets": n,
              "strategies": strategies,
              "ratio": min(s["ratio"] for s in strategies.values()),
              "cpu_ratio": min(s["cpu_ratio"] for s in strategies.values()),
          }
      )
  )


if __name__ == "__main__":
  main()
