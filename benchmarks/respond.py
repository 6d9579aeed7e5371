"""Responses: alignet against the few lines of NumPy a user would write.

  python benchmarks/respond.py [--quick]

Both read the same representations, transform them, answer the same triplets
and write a compressed npz; each runs in a process of its own, imports not
counted. The user's lines hold everything in memory but the gathered rows,
which come by blocks (all at once they would take 3 x 4 x d bytes a triplet).
The last line is one JSON object: time, CPU time and peak memory of both, and
by how much ours is smaller.
"""

import argparse
import json
import pathlib
import sys
import tempfile

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet import sampling
from alignet import transforms
from alignet import triplet_io
from alignet.representations import store
from alignet.triplets import canonical_order
from benchmarks import _measure
import numpy as np

_BLOCK = 4096


def make(folder: pathlib.Path, n: int, d: int, triplets: int) -> None:
  """Writes made-up representations, triplets and a transform."""
  rng = np.random.default_rng(0)
  features = rng.standard_normal((n, d), dtype=np.float32)
  classes = np.arange(n) % 1000
  names = [f"n{c:08d}_{i}.JPEG" for i, c in enumerate(classes)]
  store.write(folder / "representations", features, names, {}, {})
  sampling.write(
      folder / "triplets.npz", classes, "class_border", triplets, seed=0
  )
  transforms.save(
      folder / "transform.npz",
      transforms.Transform(
          weights=(rng.standard_normal((d, d)) / d).astype(np.float32),
          bias=np.zeros(d, np.float32),
      ),
  )


def ours(folder: pathlib.Path) -> None:
  """Responses by the library."""
  from response_generation import respond

  respond.respond(
      representations=folder / "representations",
      triplets=folder / "triplets.npz",
      transform=folder / "transform.npz",
      out=folder / "ours.npz",
  )


def user(folder: pathlib.Path) -> None:
  """Responses by plain NumPy."""
  x = np.load(folder / "representations" / "features.npy")
  names = np.load(folder / "representations" / "filenames.npy")
  indices = np.load(folder / "triplets.npz")["indices"]
  t = np.load(folder / "transform.npz")
  z = ((x - t["mean"]) / t["std"]) @ t["weights"] + t["bias"]
  s = np.empty((len(indices), 3), np.float32)
  for start in range(0, len(indices), _BLOCK):
    f = z[indices[start : start + _BLOCK]]
    for pair, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
      s[start : start + _BLOCK, pair] = np.einsum("nd,nd->n", f[:, a], f[:, b])
  indices, s = canonical_order(indices, s)
  np.savez_compressed(
      folder / "user.npz",
      filenames=names[indices],
      similarities=s,
      indices=indices,
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
      "--quick", action="store_true", help="seconds, not a minute"
  )
  parser.add_argument(
      "--images", type=int, help="default 100,000; quick 20,000"
  )
  parser.add_argument("--dims", type=int, help="default 1152; quick 512")
  parser.add_argument("--triplets", type=int, help="default 1 M; quick 100,000")
  parser.add_argument(
      "--side", choices=("ours", "user"), help=argparse.SUPPRESS
  )
  parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.side:
    function = {"ours": ours, "user": user}[args.side]
    if args.side == "ours":
      import response_generation.respond  # noqa: F401  Imports do not count.
    print(json.dumps(_measure.measure(lambda: function(args.folder))))
    return
  n = args.images or (20_000 if args.quick else 100_000)
  d = args.dims or (512 if args.quick else 1152)
  triplets = args.triplets or (100_000 if args.quick else 1_000_000)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    make(folder, n, d, triplets)
    sides = {
        side: _measure.in_process(
            __file__, [f"--side={side}", f"--folder={folder}"]
        )
        for side in ("user", "ours")
    }
    a, b = (triplet_io.open(folder / f"{side}.npz") for side in sides)
    difference = np.abs(a.similarities - b.similarities).max()
    result = {
        "benchmark": "respond",
        "quick": args.quick,
        "images": n,
        "dims": d,
        "triplets": triplets,
        **sides,
        **_measure.compare(sides["ours"], sides["user"]),
        "file_mib": {
            side: round((folder / f"{side}.npz").stat().st_size / 2**20, 2)
            for side in sides
        },
        "largest_difference": float(difference),
        "same_rows": float((a.indices == b.indices).all(axis=1).mean()),
    }
  print(json.dumps(result))


if __name__ == "__main__":
  main()
