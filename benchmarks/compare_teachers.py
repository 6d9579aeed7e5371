"""Teachers on real data, one table: folds x repeats, paired intervals.

  python benchmarks/compare_teachers.py --representations=DIR \
    --embedding=vice_embedding.npy --embedding_order=things
    [--single] [--folds=5] [--repeats=3]

DIR has labels of level concept (`alignet extract --concepts=…`). Methods, each
fitted on the concepts outside a fold and scored on the same trials inside it:

  ours    `alignet teach`'s default: soft_point targets, ridge start
  hard    the same from hard choices sampled from the same probabilities, one a
          triplet; it sees no embedding
  ud      the whole map trained from the identity, identity shrinking;
          learning rate and lambda by inner cross-validation
  glocal  the same with gLocal's local term on the training images, alpha .1,
          tau .1
  ridge   ridge regression onto the embedding, penalty, scale and input map by
          inner cross-validation
  raw     cosine of the representations as they are

Prints the table, then one JSON line.
"""

import argparse
import json
import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet.human import judgments as judgments_lib
import numpy as np
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import crossval
from uncertainty_distillation import crossval_report
from uncertainty_distillation import inputs
from uncertainty_distillation import training_loop


def _grid(**options) -> list[config_lib.Config]:
  """Settings of a map trained as a whole, to choose from."""
  return [
      config_lib.Config(
          start="identity",
          input_map="none",
          steps=200,
          inner_folds=3,
          optimisation=training_loop.Optimisation(
              regulariser_weight=weight,
              learning_rate=rate,
              batch=4096,
              every=20,
              **options,
          ),
      )
      for weight in (0.1, 1.0)
      for rate in (1e-5, 1e-4)
  ]


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--representations", required=True)
  parser.add_argument("--embedding", required=True)
  parser.add_argument("--embedding_names")
  parser.add_argument("--embedding_order", choices=("things",))
  parser.add_argument("--level", default="concept")
  parser.add_argument(
      "--single", action="store_true", help="the first image of each concept"
  )
  parser.add_argument("--folds", type=int, default=5)
  parser.add_argument("--repeats", type=int, default=3)
  parser.add_argument("--methods", default="ours,hard,ud,glocal,ridge,raw")
  parser.add_argument("--local_batch", type=int, default=256)
  args = parser.parse_args()
  data = inputs.load(
      representations=args.representations,
      level=args.level,
      embedding=args.embedding,
      embedding_names=args.embedding_names,
      embedding_order=args.embedding_order,
  )
  features, concepts = data.features, data.concepts
  if args.single:
    rows = np.unique(concepts, return_index=True)[1]
    features, concepts = features[rows], concepts[rows]
  config = config_lib.Config()
  methods = crossval.standard_methods([config])
  methods["hard"] = crossval.Method(
      configs=[config],
      judgments=judgments_lib.sample_choices(data.judgments, seed=0),
      with_embedding=False,
  )
  methods["ud"] = crossval.Method(configs=_grid())
  local = features
  if len(local) > 5000:
    local = local[np.random.default_rng(0).permutation(len(local))[:5000]]
  methods["glocal"] = crossval.Method(
      configs=_grid(alpha=0.1, tau=0.1, local_batch=args.local_batch),
      local_images=local,
  )
  report = crossval_report.make(
      crossval.cross_validate(
          features,
          concepts,
          data.judgments,
          {name: methods[name] for name in args.methods.split(",")},
          embedding=data.embedding,
          folds=args.folds,
          seeds=range(args.repeats),
      )
  )
  print(crossval_report.table(report))
  steps = {
      name: [fit.get("steps") for fit in fits]
      for name, fits in report["fits"].items()
  }
  print(
      json.dumps(
          {
              "steps": steps,
              "trials": report["trials"],
          }
      )
  )


if __name__ == "__main__":
  main()
