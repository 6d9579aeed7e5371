"""A student's input: batches of triplets a CPU second, and workers' memory.

  python benchmarks/student_input.py --data_dir=TFDS [--quick]

Ours from the cache (`alignet cache`) and decoded on the fly, against upstream's
way: a source of single triplets, each of which has TFDS decode three records,
resized by OpenCV (cubic), shuffled and batched element by element by grain.
`upstream_float32` makes floats from 0 to 1 in the pipeline, as upstream's
config does; `upstream` hands out uint8, as ours. Each runs in a process of its
own, one thread, on all images of a TFDS dataset in triplets in which each image
comes once, so that no image repeats within a batch. `break_even` says after how
many images read per image of the dataset the cache has paid for itself.

Memory: a made-up npz of --rows rows, deflated as the public release, over the
same images. Four workers take our source as a loader sends it, and read every
row of it; `pss_bytes_a_row` is what the sum of their proportional memory grows
by from a file of a million rows to this one. One worker of upstream's way holds
the whole file, names too; nothing of it is shared. The last line is one JSON
object.
"""

import argparse
import base64
import gc
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import flags
from alignet.data import cache
from alignet.data import image_sources
from alignet.training.input import batches
from alignet.triplets import npz
from benchmarks import _made_up
from benchmarks import _measure
import cv2
import grain.python as grain
import numpy as np

_SIZE = 224
_BATCH = 64
_IMAGENET = 1_281_167
_WORKERS = 4


class Upstream(grain.RandomAccessDataSource):
  """One triplet an element: the file in memory, three records decoded."""

  def __init__(self, path, spec, data_dir, floats):
    import tensorflow_datasets as tfds

    with np.load(path) as archive:
      self.arrays = {key: archive[key] for key in npz.KEYS}
    name, split = image_sources.tfds_name_and_split(spec)
    self.source = tfds.data_source(
        name, split=split, data_dir=data_dir, download=False
    )
    self.floats = floats

  def __len__(self):
    return len(self.arrays["indices"])

  def __getitem__(self, i):
    images = []
    for index in self.arrays["indices"][i].tolist():
      image = cv2.resize(
          self.source[index]["image"],
          (_SIZE, _SIZE),
          interpolation=cv2.INTER_CUBIC,
      )
      images.append(np.float32(image) / 255 if self.floats else image)
    return {
        "images": np.stack(images),
        "similarities": self.arrays["similarities"][i],
    }


def loader(side: str, args: argparse.Namespace) -> grain.IterDataset:
  """Batches without end, as Kauldron has them made, in this process."""
  options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
  path = str(args.folder / "once.npz")
  if side.startswith("upstream"):
    source = Upstream(path, args.spec, args.data_dir, side.endswith("32"))
    ds = grain.MapDataset.source(source).shuffle(seed=0).repeat()
    return ds.to_iter_dataset(options).batch(_BATCH, drop_remainder=True)
  images = str(args.folder / "store") if side == "cache" else args.spec
  source = batches.TripletBatches(
      path=path,
      images=images,
      image_size=_SIZE,
      data_dir=args.data_dir,
      batch_size=_BATCH,
      num_batches=10**6,
      part=(0, 1),
  )
  return grain.MapDataset.source(source).to_iter_dataset(options)


def draw(side: str, args: argparse.Namespace) -> dict:
  """Draws batches in this process."""
  flags.FLAGS.mark_as_parsed()
  cv2.setNumThreads(1)
  iterator = iter(loader(side, args))
  next(iterator)
  found = _measure.measure(
      lambda: [next(iterator) and None for _ in range(args.batches)]
  )
  triplets = args.batches * _BATCH
  found["triplets_per_cpu_second"] = round(triplets / found["cpu_seconds"], 1)
  return found


def build(args: argparse.Namespace) -> dict:
  """Makes the cache, and triplets in which each image comes once."""
  source = image_sources.open(args.spec, data_dir=args.data_dir)
  found = _measure.measure(
      lambda: cache.build(source, args.folder / "store", size=_SIZE)
  )
  store = batches.open_images(str(args.folder / "store"), size=_SIZE)
  n = len(store) // 3
  rng = np.random.default_rng(0)
  similarities = -np.sort(-rng.standard_normal((n, 3), np.float32), axis=1)
  npz.write(
      args.folder / "once.npz",
      store.filenames,
      rng.permutation(len(store))[: 3 * n].reshape(n, 3),
      similarities,
  )
  found["images"] = len(store)
  found["cpu_ms_an_image"] = round(1e3 * found["cpu_seconds"] / len(store), 3)
  return found


def hold(side: str) -> None:
  """A worker: takes what it is sent, reads all rows, waits to be looked at."""
  sent = pickle.loads(base64.b64decode(sys.stdin.readline()))
  start = time.perf_counter(), time.process_time()
  if side == "ours":
    sent[0]  # pylint: disable=pointless-statement
    for array in sent.responses.values():
      for first in range(0, len(array), 65536):
        array[first : first + 65536].sum()
  elif sent:
    with np.load(sent) as archive:
      sent = {key: archive[key] for key in npz.KEYS}
  gc.collect()
  seconds = [time.perf_counter() - start[0], time.process_time() - start[1]]
  print(json.dumps(seconds), flush=True)
  sys.stdin.readline()


def pss(side: str, sent: object, workers: int) -> tuple[int, float]:
  """Summed PSS of workers in bytes; the most CPU seconds one took to open."""
  command = [sys.executable, __file__, f"--hold={side}"]
  children = [
      subprocess.Popen(
          command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
      )
      for _ in range(workers)
  ]
  text = base64.b64encode(pickle.dumps(sent)).decode()
  for child in children:
    child.stdin.write(text + "\n")
    child.stdin.flush()
  cpu = [json.loads(child.stdout.readline())[1] for child in children]
  total = 0
  for child in children:
    rollup = pathlib.Path(f"/proc/{child.pid}/smaps_rollup").read_text()
    total += 1024 * int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M).group(1))
  for child in children:
    child.communicate("\n")
  return total, max(cpu)


def memory(args: argparse.Namespace) -> dict:
  """What workers hold of a large file."""
  store = batches.open_images(str(args.folder / "store"), size=_SIZE)
  names = np.array(store.filenames)
  path, fewer = args.folder / "many.npz", args.folder / "fewer.npz"
  _made_up.write_npz(path, names, args.rows)
  _made_up.write_npz(fewer, names, npz.MAPPED_ROWS)

  def source(path):
    made = batches.TripletBatches(
        path=str(path),
        images=str(args.folder / "store"),
        batch_size=_BATCH,
        part=(0, 1),
    )
    made[0]  # pylint: disable=pointless-statement  # As the trainer does.
    return made

  start = time.process_time()
  ours = source(path)
  opened = time.process_time() - start
  less, _ = pss("ours", source(fewer), _WORKERS)
  without, _ = pss("ours", source(args.folder / "once.npz"), _WORKERS)
  held, cpu = pss("ours", ours, _WORKERS)
  empty, _ = pss("upstream", "", 1)
  theirs, their_cpu = pss("upstream", str(path), 1)
  return {
      "rows": args.rows,
      "workers": _WORKERS,
      "pss_mib": round((held - without) / 2**20, 1),
      "pss_bytes_a_row": round(
          (held - less) / (args.rows - npz.MAPPED_ROWS), 2
      ),
      "first_open_cpu_seconds": round(opened, 2),
      "worker_cpu_seconds": round(cpu, 2),
      "upstream_pss_mib_a_worker": round((theirs - empty) / 2**20, 1),
      "upstream_bytes_a_row_and_worker": round((theirs - empty) / args.rows, 1),
      "upstream_worker_cpu_seconds": round(their_cpu, 2),
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--data_dir", help="TFDS folder")
  parser.add_argument("--spec", default="tfds:imagenet2012:train")
  parser.add_argument("--quick", action="store_true", help="a minute")
  parser.add_argument("--batches", type=int, help="default 20; quick 3")
  parser.add_argument("--rows", type=int, help="default 10 M; quick 2 M")
  parser.add_argument("--side", help=argparse.SUPPRESS)
  parser.add_argument("--hold", help=argparse.SUPPRESS)
  parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  args = parser.parse_args()
  args.batches = args.batches or (3 if args.quick else 20)
  args.rows = args.rows or (2_000_000 if args.quick else 10_000_000)
  if args.hold:
    hold(args.hold)
    return
  if not args.data_dir:
    parser.error("--data_dir: expected a TFDS folder that holds --spec")
  if args.side:
    side = args.side
    work = {"build": build, "memory": memory}
    print(json.dumps(work[side](args) if side in work else draw(side, args)))
    return
  with tempfile.TemporaryDirectory() as folder:
    common = [
        *(f"--folder={folder}", f"--data_dir={args.data_dir}"),
        *(f"--spec={args.spec}", f"--batches={args.batches}"),
        f"--rows={args.rows}",
    ]

    def run(side):
      found = _measure.in_process(__file__, [*common, f"--side={side}"])
      print(side, json.dumps(found), flush=True)
      return found

    built = run("build")
    names = ("cache", "fly", "upstream", "upstream_float32")
    sides = {name: run(name) for name in names}
    rates = {k: v["triplets_per_cpu_second"] for k, v in sides.items()}
    # CPU seconds an image read costs more without the cache.
    saved = (1 / rates["fly"] - 1 / rates["cache"]) / 3
    reads = built["cpu_seconds"] / built["images"] / saved
    result = {
        "benchmark": "student_input",
        "quick": args.quick,
        "build": built,
        **sides,
        "ratios": {
            f"{ours}_over_{theirs}": round(rates[ours] / rates[theirs], 2)
            for ours in ("cache", "fly")
            for theirs in ("upstream", "upstream_float32")
        },
        "break_even": {
            "reads_an_image": round(reads, 2),
            "images_read_of_imagenet": round(reads * _IMAGENET),
        },
        "memory": run("memory"),
    }
  print(json.dumps(result))


if __name__ == "__main__":
  main()
