"""Recovering teachers whose answers are made here: what comes back.

  python benchmarks/recover.py --train=DIR --images=DIR \
    --embedding=vice_embedding.npy --embedding_names=concepts.tsv

`--train`: representations of images whose labels of level concept have names of
the embedding's rows; `--images`: those of other images of the same network,
that the triplets are of. Teachers are trained on the concepts' mean
representations. 200,000 triplets by k-means clusters of the images are answered
by each, in one way after another, and `uncertainty_distillation.recover` is
asked what gave these answers. Prints a table of docs/release.md, then one JSON
line; each row has its CPU time, and its peak memory beside what was held.
"""

import argparse
import dataclasses
import json
import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet import transforms
from alignet.representations import kmeans
from alignet.representations import store
from alignet.triplets import sampling
from alignet.triplets import similarity
from benchmarks import _measure
import numpy as np
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import fit
from uncertainty_distillation import inputs
from uncertainty_distillation import recover


def teach(args, **config) -> transforms.Transform:
  """A teacher of the concepts' mean representations."""
  data = inputs.load(
      representations=args.train,
      embedding=args.embedding,
      embedding_names=args.embedding_names,
      on_unknown="drop",
      max_triplets=200_000,
  )
  concepts = np.unique(data.concepts)
  means = np.stack(
      [
          data.features[data.concepts == c].mean(axis=0, dtype=np.float64)
          for c in concepts
      ]
  )
  return fit.fit(
      means.astype(np.float32),
      concepts,
      data.judgments,
      config_lib.Config(inner_folds=0, steps=50, **config),
      embedding=data.embedding,
  )[0]


def answers(args, x: np.ndarray, rows: np.ndarray):
  """Yields (what answers, its similarities)."""
  teacher = teach(args, input_map="none")
  z = teacher(x)
  s = similarity.of_triplets(z, rows)
  yield f"a teacher ({z.shape[1]} dimensions, no input map)", s
  for input_map, what in (
      ("l2", "a teacher of l2-normalised rows"),
      ("sqrt", "a teacher of square roots"),
  ):
    other = teach(args, input_map=input_map)
    yield what, similarity.of_triplets(other(x), rows)
  # Its weights on unit rows as long as the others were in the mean: they no
  # longer lie around zero, and what they have in common is most of a product.
  length = np.linalg.norm(x.astype(np.float32), axis=1).mean()
  unit = transforms.fold(teacher)
  unit = dataclasses.replace(
      unit, weights=unit.weights * length, input_map="l2", meta={}
  )
  yield (
      "the first's weights on l2-normalised rows",
      similarity.of_triplets(unit(x), rows),
  )
  wide = teach(args, input_map="none", start="identity")
  yield (
      f"a teacher of {wide.weights.shape[1]:,} dimensions",
      similarity.of_triplets(wide(x), rows),
  )
  half = similarity.of_triplets(z.astype(np.float16).astype(np.float32), rows)
  half = half.astype(np.float16).astype(np.float32)
  yield "the first, z and similarities in float16", half
  yield (
      "the first, cosines instead of dot products",
      similarity.of_triplets(z, rows, "cosine"),
  )
  rng = np.random.default_rng(1)
  d = x.shape[1]
  mix = rng.standard_normal((d, d)).astype(np.float32) / np.sqrt(d)
  hidden = x.astype(np.float32) @ mix
  hidden = np.tanh(2 * hidden / hidden.std()) * hidden.std()
  yield (
      "another layer (a random projection, tanh)",
      similarity.of_triplets(hidden @ teacher.weights, rows),
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--train", required=True)
  parser.add_argument("--images", required=True)
  parser.add_argument("--embedding", required=True)
  parser.add_argument("--embedding_names", required=True)
  parser.add_argument("--only", default="", help="rows with this in their name")
  parser.add_argument("--triplets", type=int, default=200_000)
  parser.add_argument("--clusters", type=int, default=200)
  args = parser.parse_args()
  x = np.asarray(store.open(args.images).features)
  labels = kmeans.fit(x, args.clusters).assignments
  rows = sampling.sample(labels, "border", args.triplets, seed=0)
  print("| answers of | verdict | relative RMSE | same odd one | CPU s | MiB |")
  print("|---|---|---|---|---|---|")
  result = []
  for what, s in answers(args, x, rows):
    if args.only not in what:
      continue
    found = []
    cost = _measure.measure(
        lambda s=s, found=found: found.append(recover.recover(x, rows, s))
    )
    report = found[0].report
    held = report["held_out"]
    verdict = f"affine, {report['input_map']}" if report["affine"] else "not"
    print(
        f"| {what} | {verdict} | {held['relative_rmse']:.4f} |"
        f" {held['odd_one_out']:.2%} | {cost['cpu_seconds']:.0f} |"
        f" {cost['peak_anonymous_mib']:.0f} |",
        flush=True,
    )
    result.append(
        {"answers": what, "affine": report["affine"], **held, **cost}
        | {key: report[key] for key in ("identifiability", "tried")}
    )
  print(json.dumps({"benchmark": "recover", "rows": result}))


if __name__ == "__main__":
  main()
