"""From launch to the end of the second training step, on a file of many rows.

  python benchmarks/first_step.py [--quick]

A student of ViT-Ti's width at 64 pixels trains two steps on a made-up npz,
deflated as the public release, and images already decoded: ours by the config
`student/siglip_b`, twice, the second launch with what the first left on disk
(compiled programs, unpacked numbers); then upstream's way, whose launches are
all alike: the whole npz in memory, file names too, triplets element by element,
Kauldron's own step, no compiled programs kept. Neither has loader workers: with
them each worker of upstream's would load the file again. The two steps are the
first that logs and the first that does not, of which Kauldron compiles one
each. Each launch is a process of its own; imports are reported apart, the rest
ends when the second step has. `compiled` counts the programs of training steps.
The last line is one JSON object; ratios are upstream's CPU seconds beyond
imports over ours, and `wall_ratio` the same of seconds.
"""

import argparse
import collections
import dataclasses
import json
import logging
import os
import pathlib
import sys
import tempfile
import time

_START = time.perf_counter(), time.process_time()
_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_SIZE = 64
_IMAGES = 100_000


def inputs(folder: pathlib.Path, rows: int) -> None:
  """The npz, and an image store, black and sparse on the disk."""
  from benchmarks import _made_up
  import numpy as np

  names = _made_up.image_names(_IMAGES)
  _made_up.write_npz(folder / "train.npz", names, rows)
  store = folder / "store"
  store.mkdir()
  np.lib.format.open_memmap(
      store / "images.npy", "w+", np.uint8, (_IMAGES, _SIZE, _SIZE, 3)
  )
  np.save(store / "filenames.npy", names)
  np.savez(store / "labels.npz")
  (store / "meta.json").write_text("{}")


def upstream_source(folder: pathlib.Path):
  """Single triplets of a file that lies in memory."""
  from alignet.training.input import batches
  import grain.python as grain
  import numpy as np

  class Triplets(grain.RandomAccessDataSource):

    def __init__(self):
      with np.load(folder / "train.npz") as archive:
        self.arrays = {key: archive[key] for key in archive.files}
      self.images = batches.open_images(str(folder / "store"), size=_SIZE)

    def __len__(self):
      return len(self.arrays["indices"])

    def __getitem__(self, i):
      images = [self.images[j] for j in self.arrays["indices"][i]]
      return {
          "images": np.stack(images),
          "similarities": self.arrays["similarities"][i],
      }

  return Triplets()


def config(folder: pathlib.Path, workdir: pathlib.Path, batch: int):
  """The student's config, made small by overrides."""
  from alignet.io import config_files

  small = {
      "workdir": workdir,
      "aux.root": folder,
      "aux.images": folder / "store",
      "aux.batch_size": batch,
      "aux.num_workers": 0,
      "model.backbone.patch_size": 8,
      "model.backbone.grid": (8, 8),
      "model.backbone.width": 192,
      "model.backbone.num_heads": 3,
      "model.backbone.mlp_dim": 768,
      "train_ds.data_source.path": folder / "train.npz",
  }
  cfg = config_files.load(
      "student/siglip_b", [f"{k}={v}" for k, v in small.items()]
  )
  cfg.stop_after_steps = 2
  cfg.evals = {}
  cfg.init_transform = None
  cfg.checkpointer = None
  return cfg


def launch(side: str, args: argparse.Namespace) -> dict:
  """Trains two steps in this process."""
  from absl import flags
  from alignet.training import training_run
  from alignet.training.input import batches  # noqa: F401  # Imported with the rest.
  import jax
  from kauldron import kd
  from kauldron import konfig

  flags.FLAGS.mark_as_parsed()
  imported = time.perf_counter(), time.process_time()
  compiled = collections.Counter()

  class Handler(logging.Handler):

    def emit(self, record):
      words = record.getMessage().split()
      if words[0] == "Compiling":
        compiled["step" in words[1]] += 1

  logger = logging.getLogger("jax._src.interpreters.pxla")
  logger.addHandler(Handler())
  logger.propagate = False
  logging.getLogger("jax._src.dispatch").propagate = False
  jax.config.update("jax_log_compiles", True)
  training_run.quiet_logs()
  logger.setLevel(logging.WARNING)
  workdir = pathlib.Path(tempfile.mkdtemp(dir=args.folder))
  cfg = config(args.folder, workdir, args.batch)
  trainer = konfig.resolve(cfg)
  if side == "ours":
    training_run.use_compilation_cache()
  else:
    trainer = dataclasses.replace(
        trainer,
        trainstep=kd.train.TrainStep(),
        writer=kd.train.KDMetricWriter(),
        train_ds=kd.data.py.DataSource(
            data_source=upstream_source(args.folder),
            shuffle=True,
            batch_size=args.batch,
            num_workers=0,
        ),
    )
  state, _ = trainer.train()
  jax.block_until_ready(state.params)
  end = time.perf_counter(), time.process_time()
  return {
      "import_seconds": round(imported[0] - _START[0], 2),
      "import_cpu_seconds": round(imported[1] - _START[1], 2),
      "seconds": round(end[0] - imported[0], 2),
      "cpu_seconds": round(end[1] - imported[1], 2),
      "steps": int(state.step),
      "compiled": compiled[True],
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true", help="2 M rows")
  parser.add_argument("--rows", type=int, help="default 10 M; quick 2 M")
  parser.add_argument("--batch", type=int, default=4, help="triplets")
  parser.add_argument("--side", help=argparse.SUPPRESS)
  parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  args = parser.parse_args()
  rows = args.rows or (2_000_000 if args.quick else 10_000_000)
  if args.side:
    print(json.dumps(launch(args.side, args)))
    return
  from benchmarks import _measure

  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    os.environ["ALIGNET_CACHE"] = str(folder / "cache")
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    inputs(folder, rows)
    result = {"benchmark": "first_step", "quick": args.quick, "rows": rows}
    for launch_name, side in (
        ("first", "ours"),
        ("second", "ours"),
        ("upstream", "upstream"),
    ):
      result[launch_name] = _measure.in_process(
          __file__,
          [f"--side={side}", f"--folder={folder}", f"--batch={args.batch}"],
      )
      print(launch_name, json.dumps(result[launch_name]), flush=True)
  for name in ("first", "second"):
    for key, unit in (("ratio", "cpu_seconds"), ("wall_ratio", "seconds")):
      result[f"{name}_{key}"] = round(
          result["upstream"][unit] / result[name][unit], 2
      )
  print(json.dumps(result))


if __name__ == "__main__":
  main()
