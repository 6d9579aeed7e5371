"""Responses: alignet against the few lines of NumPy a user would write.

  python benchmarks/respond.py [--quick]

Two comparisons, each side in a process of its own, imports and the loading of
compiled code not counted.

answer: similarities of triplets of rows that lie in one memory-mapped file of
the page cache: float32, float16 and bfloat16. NumPy gathers blocks of rows and
takes einsum of the pairs, in blocks of 256 and of 4096 triplets, of which the
faster counts; bfloat16, for which NumPy has no einsum, is converted to float32
first. `clusters` is ours in the order of clusters, sorting counted (`alignet
respond --clusters`): a cluster's rows then lie in the processor's cache.
`bandwidth_share` is the bytes of three rows a triplet over the time,
against the bandwidth at which a parallel compiled sum reads the same file.

answer_and_write: from float32 representations and triplets to an npz, without a
transform. whole: with one; both sides multiply by the same BLAS library. The
user's lines hold everything in memory but the gathered rows.

The last line is one JSON object.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet import transforms
from alignet.io import files
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets.layout import PAIRS
from alignet.triplets.layout import canonical_order
from benchmarks import _measure
import ml_dtypes
import numpy as np

_FORMS = ("float32", "float16", "bfloat16")
_BLOCKS = (256, 4096)


def make(folder: pathlib.Path, n: int, d: int, triplets: int) -> None:
  """Writes made-up representations, rows to answer, triplets, a transform."""
  rng = np.random.default_rng(0)
  classes = rng.integers(0, 500, n)
  names = [f"n{c:08d}_{i}.JPEG" for i, c in enumerate(classes)]

  def blocks(dtype):
    for start in range(0, n, 8192):
      shape = (min(8192, n - start), d)
      x = rng.standard_normal(shape, dtype=np.float32).astype(dtype)
      yield x.view(np.uint16) if dtype == ml_dtypes.bfloat16 else x

  features = files.Blocks((n, d), np.dtype(np.float32), blocks(np.float32))
  store.write(folder / "representations", features, names, {}, {})
  for form in _FORMS:
    dtype = np.dtype(form)
    plain = np.dtype(np.uint16) if form == "bfloat16" else dtype
    files.save_npy(
        folder / f"{form}.npy", files.Blocks((n, d), plain, blocks(dtype))
    )
  np.save(folder / "classes.npy", classes.astype(np.uint16))
  sampling.write(
      folder / "triplets.npz", classes, "cluster_border_500", triplets, seed=0
  )
  transforms.save(
      folder / "transform.npz",
      transforms.Transform(
          weights=(rng.standard_normal((d, d)) / d).astype(np.float32),
          bias=np.zeros(d, np.float32),
      ),
  )


def answer(folder: pathlib.Path, side: str, form: str, count: int) -> dict:
  """Times the similarities of the first triplets, in this process."""
  z = np.load(folder / f"{form}.npy", mmap_mode="r").view(form)
  indices = sampling.read(folder / "triplets.npz")[0][:count]
  s = np.empty((len(indices), 3), np.float32)
  if side in ("ours", "clusters"):
    from response_generation import answers

    function = answers.answerer(z, "cpu", None)
    order_by = np.load(folder / "classes.npy") if side == "clusters" else None

    def run():
      for start in range(0, len(indices), 2**20):
        rows = slice(start, start + 2**20)
        (s[rows],) = answers.in_order([function], indices[rows], order_by)

  else:
    block = int(side)

    def run():
      for start in range(0, len(indices), block):
        f = z[indices[start : start + block]]
        if form == "bfloat16":
          f = f.astype(np.float32)
        for pair, (a, b) in enumerate(PAIRS):
          s[start : start + block, pair] = np.einsum(
              "nd,nd->n", f[:, a], f[:, b]
          )

  run()  # Maps the pages, compiles.
  found = min(
      (_measure.measure(run) for _ in range(5)), key=lambda x: x["seconds"]
  )
  moved = 3 * len(indices) * z[0].nbytes
  return {
      **found,
      "triplets": len(indices),
      "triplets_per_second": round(len(indices) / found["seconds"]),
      "bytes_moved": moved,
      "gb_per_second": round(moved / found["seconds"] / 1e9, 2),
      "checksum": float(np.abs(s[:1000]).sum()),
  }


def bandwidth(folder: pathlib.Path, form: str) -> dict:
  """GB a second at which a parallel sum reads the rows."""
  import numba

  @numba.njit(parallel=True, fastmath=True)
  def total(x):
    result = np.float32(0)
    for i in numba.prange(len(x)):
      result += x[i]
    return result

  z = np.load(folder / f"{form}.npy", mmap_mode="r")
  flat = np.asarray(z).reshape(-1).view(np.uint8)[: z.nbytes // 4 * 4]
  flat = flat.view(np.float32)
  total(flat)
  seconds = []
  for _ in range(3):
    start = time.perf_counter()
    total(flat)
    seconds.append(time.perf_counter() - start)
  return {"gb_per_second": round(flat.nbytes / min(seconds) / 1e9, 2)}


def ours(folder: pathlib.Path, transformed: bool) -> None:
  """Responses by the library."""
  from response_generation import respond

  respond.respond(
      representations=folder / "representations",
      triplets=folder / "triplets.npz",
      transform=folder / "transform.npz" if transformed else None,
      out=folder / "ours.npz",
      trust=identities.Trust(rows="as_stored", columns="as_given"),
      overwrite=True,
  )


def user(folder: pathlib.Path, transformed: bool) -> None:
  """Responses by plain NumPy."""
  x = np.load(folder / "representations" / "features.npy")
  names = np.load(folder / "representations" / "filenames.npy")
  indices = np.load(folder / "triplets.npz")["indices"]
  z = x
  if transformed:
    t = np.load(folder / "transform.npz")
    z = ((x - t["mean"]) / t["std"]) @ t["weights"] + t["bias"]
  s = np.empty((len(indices), 3), np.float32)
  for start in range(0, len(indices), 256):
    f = z[indices[start : start + 256]]
    for pair, (a, b) in enumerate(PAIRS):
      s[start : start + 256, pair] = np.einsum("nd,nd->n", f[:, a], f[:, b])
  indices, s = canonical_order(indices, s)
  np.savez_compressed(
      folder / "user.npz",
      filenames=names[indices],
      similarities=s,
      indices=indices,
  )


def warm() -> None:
  """Loads what `ours` compiles."""
  from alignet.triplets import order
  from response_generation import dots
  import response_generation.respond  # noqa: F401

  i = np.array([[0, 1, 2]], np.int32)
  s = np.zeros((1, 3), np.float32)
  dots.of_triplets(np.zeros((3, 16), np.float32), i, s)
  for readonly in (i, i.copy()):
    order.canonical(readonly, s)
    readonly.flags.writeable = False


def compare_answers(folder: pathlib.Path, triplets: int) -> dict:
  """Each form: the faster of NumPy's ways, ours, and the bandwidth."""
  found = {}
  for form in _FORMS:
    arguments = [f"--folder={folder}", f"--form={form}"]
    few = max(triplets // 20, 20_000)
    sides = {
        side: _measure.in_process(
            __file__,
            [f"--side=answer-{side}", f"--triplets={count}", *arguments],
        )
        for side, count in (
            *((block, few) for block in _BLOCKS),
            *((side, triplets) for side in ("ours", "clusters")),
        )
    }
    read = _measure.in_process(__file__, ["--side=bandwidth", *arguments])
    best = max(_BLOCKS, key=lambda block: sides[block]["triplets_per_second"])
    theirs, mine = sides[best], sides["ours"]
    ordered = sides["clusters"]
    for other in (theirs, ordered):
      if not np.isclose(mine["checksum"], other["checksum"], rtol=1e-2):
        raise SystemExit(f"{form}: the answers differ")
    found[form] = {
        "user": {**theirs, "block": best},
        "ours": mine,
        "clusters": ordered,
        "clusters_ratio": round(
            ordered["triplets_per_second"] / mine["triplets_per_second"], 2
        ),
        "clusters_cpu_ratio": round(
            mine["cpu_seconds"] / ordered["cpu_seconds"], 2
        ),
        "ratio": round(
            mine["triplets_per_second"] / theirs["triplets_per_second"], 1
        ),
        "ratio_by_block": {
            str(block): round(
                mine["triplets_per_second"]
                / sides[block]["triplets_per_second"],
                1,
            )
            for block in _BLOCKS
        },
        "cpu_ratio": round(
            theirs["cpu_seconds"]
            / theirs["triplets"]
            / (mine["cpu_seconds"] / mine["triplets"]),
            1,
        ),
        "read_gb_per_second": read["gb_per_second"],
        "bandwidth_share": round(
            mine["gb_per_second"] / read["gb_per_second"], 3
        ),
    }
  return found


def compare_files(folder: pathlib.Path, form: str) -> dict:
  """Both sides from representations to an npz, and what they wrote."""
  sides = {
      side: _measure.in_process(
          __file__, [f"--side={side}", f"--folder={folder}", f"--form={form}"]
      )
      for side in ("user", "ours")
  }
  a, b = (npz.open(folder / f"{side}.npz") for side in sides)
  sizes = {side: (folder / f"{side}.npz").stat().st_size for side in sides}
  return {
      **sides,
      **_measure.compare(sides["ours"], sides["user"]),
      "file_mib": {k: round(v / 2**20, 2) for k, v in sizes.items()},
      "size_ratio": round(sizes["ours"] / sizes["user"], 3),
      "largest_difference": float(
          np.abs(a.similarities - b.similarities).max()
      ),
      "same_rows": float((a.indices == b.indices).all(axis=1).mean()),
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
      "--quick", action="store_true", help="seconds, not a minute"
  )
  parser.add_argument(
      "--images", type=int, help="default 200,000; quick 20,000"
  )
  parser.add_argument("--dims", type=int, help="default 1152; quick 512")
  parser.add_argument("--triplets", type=int, help="default 1 M; quick 100,000")
  parser.add_argument("--side", help=argparse.SUPPRESS)
  parser.add_argument("--form", help=argparse.SUPPRESS)
  parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.side == "bandwidth":
    print(json.dumps(bandwidth(args.folder, args.form)))
    return
  if args.side in ("ours", "user"):
    function = {"ours": ours, "user": user}[args.side]
    if args.side == "ours":
      warm()
    transformed = args.form == "transformed"
    print(
        json.dumps(_measure.measure(lambda: function(args.folder, transformed)))
    )
    return
  if args.side:
    side = args.side.removeprefix("answer-")
    print(json.dumps(answer(args.folder, side, args.form, args.triplets)))
    return
  n = args.images or (20_000 if args.quick else 200_000)
  d = args.dims or (512 if args.quick else 1152)
  triplets = args.triplets or (100_000 if args.quick else 1_000_000)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    make(folder, n, d, triplets)
    answers = compare_answers(folder, triplets)
    result = {
        "benchmark": "respond",
        "quick": args.quick,
        "images": n,
        "dims": d,
        "triplets": triplets,
        "answer": answers,
        "answer_and_write": compare_files(folder, "raw"),
        "whole": compare_files(folder, "transformed"),
    }
  print(json.dumps(result))


if __name__ == "__main__":
  main()
