"""Sparse against dense students on CIFAR-100 x THINGS, per image pass.

  python benchmarks/compare_dense.py --out=DIR --tfds=TFDS_DIR \
    --model=efficientnet_lite0.onnx --concepts=concepts.tsv \
    --vice=vice_embedding.npy [--folds=1,2] [--seeds=0,1,2] [--steps=2000] \
    [--peaks=1e-4,3e-4,1e-3] [--tune_fold=3]

Data, base, clusters, teachers and trials are stages of the pipeline
cifar100_things: with the --out of a run of it nothing is computed twice.
The methods:

  sparse  `student/small`: 64 triplets of cluster_border_100, 192 images a step
  reused  64 triplets among the 64 images of a dense batch, each encoded once
  dense   `student/small:dense`: all triplets of the same 16 x 4 images

With several --peaks each method first trains with each on --tune_fold, a fold
that is scored in no comparison, and keeps the one whose last agreement, by the
head's dot, is best. Cells are stages: a run that is killed and started again
goes on from the cell's last checkpoint. After each cell it writes
`dense_comparison.json` and `dense_comparison.png` in --out: agreement with
VICE on held-out concepts by the head's dot and by the cosine of pre_logits,
along image passes; pooled differences to the base (which has no head: its
cosine) with a paired bootstrap over concepts; after how many image passes each
method reaches, and stays at, what sparse ends with. The last is printed too.
"""

import argparse
import itertools
import pathlib
import sys
import time
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from absl import flags
from alignet import models
from alignet.data import images as images_lib
from alignet.evals.scores import bootstrap
from alignet.human import trials as trials_lib
from alignet.io import config_files
from alignet.io import files
from alignet.io import json_files
from alignet.pipeline import runner
from alignet.pipeline import stages
from alignet.report import style
from alignet.representations import store
from alignet.training import training_run
from alignet.training import writer
from alignet.training.input import group_batches
from alignet.training.input import teacher
from kauldron import kd
import numpy as np

METHODS = ("sparse", "reused", "dense")
PEAKS = [1e-4, 3e-4, 1e-3]
_TRIPLETS, _GROUPS, _GROUP_SIZE = 64, 16, 4
_IMAGES = {
    "sparse": 3 * _TRIPLETS,
    "reused": _GROUPS * _GROUP_SIZE,
    "dense": _GROUPS * _GROUP_SIZE,
}
_SIZE = dict(width=128, depth=6, heads=4, mlp=512, patch=8, size=32)
_SHARED = ("data", "features", "base", "clusters", "triplets")
_SET = "things"


@runner.stage(
    version=1,
    resumable=True,
    reads=lambda params: config_files.sources(params["config"]),
)
def train(
    out: pathlib.Path, *, config: str, source: dict[str, Any], **fields: Any
) -> None:
  """A student, scored along the way by both measures; times of the sessions."""
  cfg = config_files.load(config)
  cfg.workdir = str(out)
  cfg.train_ds.data_source.update(source)
  stages.override(cfg, fields, config)
  head = cfg.evals.observers.copy_and_resolve_references()
  head.tap, head.kind = "triplet_logits", "dot"
  cfg.evals["head"] = head
  wall, cpu = time.monotonic(), time.process_time()
  training_run.train(kd.konfig.resolve(cfg))
  path = out / "seconds.json"
  json_files.write(
      path,
      # Of a cell that was stopped, only the last session's.
      {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu},
      overwrite=True,
  )


@runner.stage(version=1)
def triplets_of_few(
    out: pathlib.Path,
    *,
    clusters: pathlib.Path,
    representations: pathlib.Path,
    images: pathlib.Path,
    batches: int,
    triplets: int,
    groups: int,
    group_size: int,
    seed: int,
) -> None:
  """Rows of cluster_border among the images of each dense batch, in order."""
  source = group_batches.GroupBatches(
      clusters=str(clusters),
      teacher=teacher.Teacher(representations=str(representations)),
      images=str(images),
      groups=groups,
      group_size=group_size,
      num_batches=batches,
      seed=seed,
  )
  rows = np.empty((batches, triplets, 3), np.int32)
  for batch, here in enumerate(rows):
    drawn, present = source.draw(batch)
    rng = np.random.default_rng([seed, batch, 1])
    for row in here:
      a, b = rng.choice(groups, 2, replace=False)
      row[:2] = rng.choice(drawn[a][present[a]], 2, replace=False)
      row[2] = rng.choice(drawn[b][present[b]])
  files.save_npz(
      out / "triplets.npz",
      {
          "indices": rows.reshape(-1, 3),
          "meta": json_files.array(
              {
                  "rows": store.open(representations).rows,
                  "strategy": "cluster_border_100",
                  "n_images": len(images_lib.open_store(images)),
                  "seed": seed,
              }
          ),
      },
  )


def cell_config(
    args: argparse.Namespace, method: str, fold: int, seed: int, peak: float
) -> tuple[Any, str]:
  """The pipeline of one student, and the name of its stage."""
  config = config_files.load("pipeline/cifar100_things")
  config.base_steps = args.base_steps
  config.paths.update(
      tfds=args.tfds, model=args.model, concepts=args.concepts, vice=args.vice
  )
  config.publish = ()
  f = f"fold{fold}"
  kept = {*_SHARED, f"trials_{f}", f"teacher_{f}"}
  for name in [n for n in config.stages if n not in kept]:
    del config.stages[name]
  config.stages[f"evaluate_base_{f}"] = _evaluation("base", f)
  name = f"{method}_{f}_seed{seed}_peak{round(1e6 * peak)}u"
  name += f"_{args.steps}"
  inputs = dict(
      images="data/train",
      weights="base/weights.safetensors",
      trials=f"trials_{f}",
      trial_images="data/test",
  )
  source = {}
  if method == "dense":
    inputs |= dict(
        clusters="clusters/clusters.npz",
        representations="features/train",
        teacher=f"teacher_{f}/transform.npz",
    )
    batch = dict(groups=_GROUPS, group_size=_GROUP_SIZE)
  else:
    batch = dict(batch_size=_TRIPLETS)
    drawn, answers = "triplets", f"responses_aligned_{f}"
    if method == "reused":
      drawn = f"triplets_of_few_seed{seed}_{args.steps}"
      answers = f"responses_of_few_{f}_seed{seed}_{args.steps}"
      config.stages[drawn] = dict(
          run="benchmarks.compare_dense.triplets_of_few",
          inputs=dict(
              clusters="clusters/clusters.npz",
              representations="features/train",
              images="data/train",
          ),
          params=dict(
              batches=args.steps + 1,
              triplets=_TRIPLETS,
              groups=_GROUPS,
              group_size=_GROUP_SIZE,
              seed=seed,
          ),
      )
      # The rows of a batch follow each other in the file.
      source = dict(shuffle=False, unique_images=_GROUPS * _GROUP_SIZE)
    config.stages[answers] = dict(
        run="respond",
        inputs=dict(
            transform=f"teacher_{f}/transform.npz",
            representations="features/train",
            triplets=f"{drawn}/triplets.npz",
            clusters="clusters/clusters.npz",
        ),
    )
    inputs["triplets"] = f"{answers}/alignet.npz"
  config.stages[name] = dict(
      run="benchmarks.compare_dense.train",
      inputs=dict(aux=inputs),
      params=dict(
          config="student/small:dense"
          if method == "dense"
          else "student/small",
          source=source,
          seed=seed,
          num_train_steps=args.steps,
          aux=dict(
              source="vice", eval_every=args.eval_every, peak=peak, **batch
          ),
          model=dict(
              backbone=dict(
                  patch_size=_SIZE["patch"],
                  width=_SIZE["width"],
                  depth=_SIZE["depth"],
                  num_heads=_SIZE["heads"],
                  mlp_dim=_SIZE["mlp"],
              )
          ),
      ),
  )
  config.stages[f"evaluate_{name}"] = _evaluation(name, f)
  return config, name


def _evaluation(run: str, fold: str) -> dict[str, Any]:
  return dict(
      run="evaluate",
      inputs=dict(
          weights=f"{run}/weights.safetensors",
          train="data/train",
          test="data/test",
          trials=f"trials_{fold}",
      ),
      params=dict(class_level="subordinate"),
  )


def run_cell(args: argparse.Namespace, **cell: Any) -> dict[str, Any]:
  """Trains and scores one student, or finds it done; its curves and scores."""
  config, name = cell_config(args, **cell)

  def say(line):
    if not line.endswith("done before"):
      print(line, flush=True)

  # Before the run: a config edited meanwhile would have another fingerprint.
  plans = runner.plan(config)
  out = runner.run(config, args.out, say=say)
  folders = {
      key: out / "stages" / f"{key}-{plan['fingerprint']}"
      for key, plan in plans.items()
  }
  curves = {}
  for measure, collection in (("head_dot", "head"), ("cosine", "observers")):
    path = folders[name] / "scalars" / f"{collection}.jsonl"
    curves[measure] = writer.read_scalars(path)[f"vice/{_SET}"]
  fold = f"fold{cell['fold']}"
  read = lambda key: files.load_npz(folders[key] / "scores.npz", required=())
  store = images_lib.open_store(folders["data"] / "test")
  trials = trials_lib.read_folder(folders[f"trials_{fold}"])[_SET]
  return cell | {
      "curves": curves,
      "seconds": json_files.read(folders[name] / "seconds.json"),
      "scores": read(f"evaluate_{name}"),
      "base": read(f"evaluate_base_{fold}"),
      "concepts": store.labels["concept"].ids[trials.indices],
  }


def tuned(args: argparse.Namespace, method: str) -> tuple[float, dict]:
  """The peak rate whose last agreement is best, and each one's agreement."""
  if len(args.peaks) == 1:
    return args.peaks[0], {}
  found = {}
  for peak in args.peaks:
    cell = run_cell(
        args, method=method, fold=args.tune_fold, seed=args.seeds[0], peak=peak
    )
    found[peak] = float(cell["scores"][f"{_SET}/head_dot"].mean())
    print(
        f"{method}, peak {peak:g}: {found[peak]:.4f} on fold {args.tune_fold}"
    )
  return max(found, key=found.get), found


def summary(cells: list[dict], peaks: dict) -> dict[str, Any]:
  """What is written as JSON: every curve, and comparisons of what is done."""
  backbone = models.ViT(
      patch_size=_SIZE["patch"],
      width=_SIZE["width"],
      depth=_SIZE["depth"],
      num_heads=_SIZE["heads"],
      mlp_dim=_SIZE["mlp"],
  )
  flop = 3 * backbone.forward_flops(_SIZE["size"])
  out = {"peaks": peaks, "flop_per_image_pass": flop, "cells": [], "pooled": {}}
  for cell in cells:
    out["cells"].append(
        {key: cell[key] for key in ("method", "fold", "seed", "peak")}
        | {
            "images_per_step": _IMAGES[cell["method"]],
            "curves": {
                measure: {
                    "image_passes": [
                        s * _IMAGES[cell["method"]] for s in curve
                    ],
                    "agreement": list(curve.values()),
                }
                for measure, curve in cell["curves"].items()
            },
            "train_seconds": cell["seconds"],
            "final_head_dot": float(cell["scores"][f"{_SET}/head_dot"].mean()),
            "final_cosine": float(cell["scores"][f"{_SET}/modal"].mean()),
            "base_cosine": float(cell["base"][f"{_SET}/modal"].mean()),
            "class_accuracy": float(cell["scores"]["knn"].mean()),
        }
    )
  by = {}
  for cell in cells:
    by.setdefault(cell["method"], {})[cell["fold"], cell["seed"]] = cell
  for method, done in by.items():
    entry = out["pooled"][method] = {
        "cells": len(done),
        "minus_base": _difference(done, done, f"{_SET}/head_dot", "base"),
    }
    common = done.keys() & by.get("sparse", {}).keys()
    if method == "sparse" or not common:
      continue
    ours = {key: done[key] for key in common}
    theirs = {key: by["sparse"][key] for key in common}
    entry["minus_sparse"] = _difference(
        ours, theirs, f"{_SET}/head_dot", "scores"
    )
    for measure in ("head_dot", "cosine"):
      entry[f"passes_to_sparse_final_{measure}"] = _passes(
          _mean_curve(ours.values(), measure),
          _mean_curve(theirs.values(), measure),
      )
  return out


def passes_lines(entry: dict[str, Any]) -> list[str]:
  """After how many image passes a method reaches what sparse ends with."""
  lines = []
  for measure in ("head_dot", "cosine"):
    if found := entry.get(f"passes_to_sparse_final_{measure}"):
      end = f"sparse's final {measure} of {found['sparse_final']:.4f}"
      of = f"{found['sparse_passes']:,.0f} image passes of sparse"
      reached = (
          f"after {found['passes']:,.0f}, {found['share']:.2f} of the"
          if found["passes"] is not None
          else "never, within its own training; against"
      )
      lines.append(f"{end}: reached {reached} {of}")
  return lines


def _difference(ours, theirs, score: str, of: str) -> dict[str, Any]:
  """Mean difference, seeds averaged, folds pooled, concepts resampled."""
  columns = []
  for fold in sorted({fold for fold, _ in ours}):
    keys = [key for key in sorted(ours) if key[0] == fold]
    a = np.mean([ours[key]["scores"][score] for key in keys], axis=0)
    # The base has no head.
    other = f"{_SET}/modal" if of == "base" else score
    b = np.mean([theirs[key][of][other] for key in keys], axis=0)
    columns.append((a, b, ours[keys[0]]["concepts"]))
  a, b, concepts = (np.concatenate(x) for x in zip(*columns))
  found = bootstrap.paired_difference(
      a, b, concepts, rng=np.random.default_rng([0, 7])
  )
  return {"value": found.mean, "low": found.low, "high": found.high}


def _mean_curve(cells, measure: str) -> tuple[np.ndarray, np.ndarray]:
  """Image passes, and agreement averaged over cells."""
  cells = list(cells)
  steps = np.array(list(cells[0]["curves"][measure]))
  values = [[c["curves"][measure][s] for s in steps] for c in cells]
  return steps * _IMAGES[cells[0]["method"]], np.mean(values, axis=0)


def _passes(ours, sparse) -> dict[str, float | None]:
  """Image passes at which a curve reaches, and stays at, sparse's last value.

  Both curves are means over the same cells. "Reached" counts from the first
  evaluation after which none is below, so that no lucky peak is picked.
  """
  passes, values = ours
  below = np.flatnonzero(values < sparse[1][-1])
  first = below[-1] + 1 if below.size else 0
  reached = float(passes[first]) if first < len(passes) else None
  share = None if reached is None else reached / float(sparse[0][-1])
  return {
      "sparse_final": float(sparse[1][-1]),
      "sparse_passes": float(sparse[0][-1]),
      "passes": reached,
      "share": share,
  }


@style.styled
def draw(cells: list[dict]):
  """Agreement along image passes: a thin line a cell, a thick one a method."""
  colors = style.model_colors(METHODS)
  fig = style.figure(9.0, 3.8)
  for ax, (measure, title) in zip(
      fig.subplots(1, 2),
      (("head_dot", "head's dot"), ("cosine", "cosine of pre_logits")),
  ):
    for method in METHODS:
      mine = [c for c in cells if c["method"] == method]
      for cell in mine:
        x, y = _mean_curve([cell], measure)
        ax.plot(np.divide(x, 1e3), y, color=colors[method], lw=0.6, alpha=0.4)
      if mine:
        x, y = _mean_curve(mine, measure)
        label = f"{method}, {_IMAGES[method]} images a step"
        x = np.divide(x, 1e3)
        ax.plot(x, y, color=colors[method], lw=2, label=label)
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("image forward passes (thousands)")
    ax.set_ylabel("agreement with VICE, held-out concepts")
    ax.grid(True)
  handles = fig.axes[0].get_legend_handles_labels()
  fig.legend(*handles, loc="outside lower center", ncols=3)
  return fig


def _save(args, cells, peaks) -> dict[str, Any]:
  result = summary(cells, peaks)
  json_files.write(args.out / "dense_comparison.json", result, overwrite=True)
  path = args.out / "dense_comparison.png"
  with files.atomic_write(path, overwrite=True) as f:
    f.write(style.png(draw(cells)))
  return result


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  numbers = lambda of: lambda text: [of(x) for x in text.split(",")]
  for path in ("tfds", "model", "concepts", "vice"):
    parser.add_argument(f"--{path}", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--folds", type=numbers(int), default=[1, 2])
  parser.add_argument("--seeds", type=numbers(int), default=[0, 1, 2])
  parser.add_argument("--methods", type=numbers(str), default=list(METHODS))
  parser.add_argument("--peaks", type=numbers(float), default=PEAKS)
  parser.add_argument("--tune_fold", type=int, default=3)
  parser.add_argument("--steps", type=int, default=2000)
  parser.add_argument("--eval_every", type=int, default=100)
  parser.add_argument("--base_steps", type=int, default=5500)
  args = parser.parse_args(argv)
  if unknown := set(args.methods) - set(METHODS):
    parser.error(f"--methods: expected some of {METHODS}, found {unknown}")
  if len(args.peaks) > 1 and args.tune_fold in args.folds:
    parser.error("--tune_fold must be none of --folds")
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  best, tuning = {}, {}
  for method in args.methods:
    best[method], tuning[method] = tuned(args, method)
  peaks = {"chosen": best, "agreement_on_tune_fold": tuning}
  cells = []
  for seed, fold, method in itertools.product(
      args.seeds, args.folds, args.methods
  ):
    cell = dict(method=method, fold=fold, seed=seed, peak=best[method])
    cells.append(run_cell(args, **cell))
    result = _save(args, cells, peaks)
    score = result["cells"][-1]["final_head_dot"]
    print(f"{method}, fold {fold}, seed {seed}: {score:.4f}", flush=True)
  for method, entry in result["pooled"].items():
    print(method, entry)
    for line in passes_lines(entry):
      print(f"  {line}")


if __name__ == "__main__":
  main(sys.argv[1:])
