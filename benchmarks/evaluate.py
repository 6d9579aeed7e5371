"""Time and memory of the evaluations that have much to do.

  python benchmarks/evaluate.py            # 1 M triplets of 50,000 x 768
  python benchmarks/evaluate.py --quick
  python benchmarks/evaluate.py --probe TRAIN TEST --penalty 0.01

The hierarchy has 1,000 classes in 50 basic ones in 10 superordinate ones. With
--probe instead the linear probe of two representations directories with labels
(subordinate): also its accuracy.

Prints a line of JSON a task: seconds, CPU seconds, and what was allocated
beyond the features, in MiB. Targets: scores of 1 M triplets in under 10 s on
two cores and 1 GiB, 1,000 resamples in under 60 s more.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from alignet.evals.scores import cka
from alignet.evals.scores import hierarchy
from alignet.evals.scores.choices import choice_scores
from alignet.evals.scores.classes import linear_probe
from alignet.io import progress
from alignet.representations import store
from alignet.triplets import similarity
from benchmarks import _measure
import numpy as np


def main() -> None:
  """Runs the tasks."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true", help="a hundredth")
  parser.add_argument(
      "--probe", nargs=2, metavar=("TRAIN", "TEST"), help="of directories"
  )
  parser.add_argument("--penalty", type=float, default=0.01)
  args = parser.parse_args()
  progress.set_quiet(True)
  if args.probe:
    _probe(*map(store.open, args.probe), args.penalty)
    return
  scale = 100 if args.quick else 1
  rng = np.random.default_rng(0)
  n = 50_000 // scale
  features = rng.standard_normal((n, 768), dtype=np.float32)
  triplets = rng.integers(0, n, (1_000_000 // scale, 3), dtype=np.int32)
  people = rng.integers(0, 500, len(triplets))
  kept = {}

  def similarities():
    kept["s"] = similarity.of_triplets(features, triplets, "cosine")

  def scores():
    kept["rows"] = choice_scores.of_choices(
        kept["s"], rng=np.random.default_rng(0)
    )

  def resample(names, participants):
    choice_scores.summarise(
        {name: kept["rows"][name] for name in names},
        triplets,
        seed=0,
        participants=participants,
        resamples=1000,
    )

  def distances():
    fine = np.arange(n) % (1000 // min(scale, 10))
    tree = hierarchy.tree([fine, fine // 20, fine // 100])
    weights = hierarchy.resample(
        tree, rng=np.random.default_rng(0), resamples=1000
    )
    hierarchy.relative_distances(features, tree, kind="cosine", weights=weights)

  for name, task in (
      ("similarities", similarities),
      ("all scores of choices", scores),
      ("1,000 resamples of concepts", lambda: resample(["accuracy"], None)),
      (
          "1,000 resamples of concepts and people, all scores",
          lambda: resample(list(kept["rows"]), people),
      ),
      ("relative distances, 1,000 resamples of classes", distances),
      ("CKA", lambda: cka.linear(features, features[:, ::-1])),
  ):
    print(json.dumps({"task": name, **_measure.measure(task)}), flush=True)


def _probe(train, test, penalty) -> None:
  """The probe of one penalty: what it costs and how good it is."""
  labels = [part.labels["subordinate"].ids for part in (train, test)]
  kept = {}

  def fit():
    kept["probe"] = linear_probe.fit(train.features, labels[0], penalty=penalty)

  measured = _measure.measure(fit)
  correct = kept["probe"].predict(test.features) == labels[1]
  print(
      json.dumps(
          {
              "task": f"linear probe, penalty {penalty}",
              "train": list(train.features.shape),
              "accuracy": float(correct.mean()),
              **measured,
          }
      )
  )


if __name__ == "__main__":
  main()
