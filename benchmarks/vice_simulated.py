"""VICE on simulated choices with a known answer.

  python benchmarks/vice_simulated.py [--quick]

Three parts. `recovery`: choices sampled from a sparse non-negative embedding;
the dimensions found, and on fresh choices the cross-entropy beside that of the
truth and the calibration error. `killed`: the same command killed with SIGKILL
a few times and run again must write the same bytes. `targets`: of a posterior
that is known, the divergence of targets from its predictive: a choice, the
softmax of the point embedding, and the mean over 1, 10 or 50 draws.

The last line is one JSON object. Divergences are KL(target || truth) in nats,
which is finite for a choice; `excess_*` is KL(truth || target), what a student
that learns the target by heart is off, and finite for the others.
"""

import argparse
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.triplets import similarity
import numpy as np
from uncertainty_distillation import vice

_DENSITY = 0.4  # Of an object's weights, the others are zero.


def embedding(n: int, dims: int, scale: float, seed: int) -> np.ndarray:
  """(n, dims) weights, gamma distributed with mean `scale`, or zero."""
  rng = np.random.default_rng(seed)
  weights = rng.gamma(2, scale / 2, (n, dims))
  return (weights * (rng.random((n, dims)) < _DENSITY)).astype(np.float32)


def triplets(n: int, m: int, seed: int) -> np.ndarray:
  """(m, 3) distinct objects, drawn uniformly."""
  rows = np.random.default_rng(seed).integers(0, n, (2 * m, 3))
  i, j, k = rows.T
  return rows[(i != j) & (i != k) & (j != k)][:m]


def choices(rows: np.ndarray, p: np.ndarray, seed: int) -> np.ndarray:
  """The rows with the odd one last, sampled from the pairs' probabilities."""
  u = np.random.default_rng(seed).random((len(p), 1))
  chosen = (p.cumsum(axis=1) > u).argmax(axis=1)
  orders = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[chosen]
  return np.take_along_axis(rows, orders, axis=1)


def simulate(weights: np.ndarray, m: int, seed: int) -> np.ndarray:
  """m choices (m, 3) of people who see the world as `weights` has it."""
  rows = triplets(len(weights), m, seed)
  s = similarity.of_triplets(weights, rows)
  return choices(rows, similarity.choice_probabilities(s), seed)


def recovery(weights, observed, fresh, config) -> dict:
  """Fits the choices observed; scores on fresh ones."""
  judgments = judgments_lib.from_choices(observed, n_concepts=len(weights))
  wall, cpu = time.perf_counter(), time.process_time()
  found = vice.fit(judgments, config)
  wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
  p, _ = vice.posterior_predictive(found.mu, found.sigma, fresh, samples=50)
  log_p = np.log(np.maximum(p, np.finfo(np.float32).tiny))
  s = similarity.of_triplets(weights, fresh)
  true = probabilistic.nll(probabilistic.log_probabilities(s)).mean()
  ours = probabilistic.nll(log_p).mean()
  dims = weights.shape[1]
  match = np.corrcoef(weights.T, found.point.T)[:dims, dims:]
  curve = probabilistic.calibration_curve(log_p)
  return {
      "dimensions": found.mu.shape[1],
      "true_dimensions": dims,
      "objects_per_dimension": found.meta["objects_per_dimension"],
      "true_objects_per_dimension": (weights > 0).sum(axis=0).tolist(),
      "correlations": match.max(axis=1).round(3).tolist(),
      "steps": found.meta["steps"],
      "stable": found.meta["stable"],
      "cross_entropy": round(float(ours), 4),
      "true_cross_entropy": round(float(true), 4),
      "ratio": round(float(ours / true), 4),
      "accuracy": round(float(odd_one_out.accuracy(p).mean()), 4),
      "true_accuracy": round(float(odd_one_out.accuracy(s).mean()), 4),
      "calibration_error": round(curve.expected_calibration_error, 4),
      "validation": found.meta["validation"],
      "seconds": round(wall, 1),
      "cpu_seconds": round(cpu, 1),
  }


def killed(folder: pathlib.Path, n: int, config, kills: int) -> dict:
  """Whether a command that is killed and repeated writes the same bytes."""

  def command(out):
    flags = [f"--{k}={v}" for k, v in dataclasses.asdict(config).items()]
    return [
        *(sys.executable, "-m", "alignet.cli.main", "vice", "--quiet", *flags),
        *(f"--triplets={folder / 'T.npy'}", f"--n_objects={n}", f"--out={out}"),
    ]

  whole, out = folder / "whole.npz", folder / "killed.npz"
  subprocess.run(command(whole), check=True, cwd=_ROOT)
  state = folder / "killed.npz.partial" / "state.npz"
  steps = []
  rng = np.random.default_rng(0)
  for _ in range(kills):
    process = subprocess.Popen(command(out), cwd=_ROOT)
    # Killed at any moment after one to six more checks.
    checks, before = rng.integers(1, 7), _written(state)
    while process.poll() is None and checks:
      time.sleep(0.02)
      if (now := _written(state)) != before:
        checks, before = checks - 1, now
    time.sleep(rng.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    if state.exists():
      steps.append(len(np.load(state)["curve"]) * config.check)
  subprocess.run(command(out), check=True, cwd=_ROOT)
  return {
      "killed_at_steps": steps,
      "same_bytes": out.read_bytes() == whole.read_bytes(),
      "left_over": sorted(
          path.name
          for path in folder.iterdir()
          if path.name not in ("T.npy", whole.name, out.name)
      ),
  }


def _written(path: pathlib.Path) -> int:
  return path.stat().st_mtime_ns if path.exists() else 0


def targets(weights: np.ndarray, m: int, draws: int, seed: int) -> dict:
  """Divergence of targets from the predictive of a known posterior."""
  rng = np.random.default_rng(seed)
  # Where there is no weight the mean is negative, as VICE finds it.
  mu = np.where(weights > 0, weights, -0.3).astype(np.float32)
  sigma = rng.uniform(0.1, 0.6, mu.shape).astype(np.float32)
  rows = triplets(len(mu), m, seed)
  truth, error = vice.posterior_predictive(mu, sigma, rows, samples=draws)
  given = {
      "hard": np.tile([1.0, 0, 0], (m, 1)),
      "soft_point": similarity.choice_probabilities(
          similarity.of_triplets(np.maximum(mu, 0), rows)
      ),
  }
  for samples in (1, 10, 50):
    given[f"posterior_{samples}"] = vice.posterior_predictive(
        mu, sigma, rows, samples=samples, seed=seed + 1
    ).probabilities
  log_truth = np.log(truth / truth.sum(axis=1, keepdims=True))
  table = {"truth_standard_error": float(error.mean())}
  for name, p in given.items():
    p = np.maximum(p, np.finfo(np.float32).tiny)
    if name == "hard":
      # A choice, sampled from the truth: its surprise.
      chosen = rng.random((m, 1)) < truth.cumsum(axis=1)
      p = np.eye(3)[chosen.argmax(axis=1)]
      kl = -(p * log_truth).sum(axis=1)
    else:
      kl = probabilistic.kl_divergence(log_truth, p / p.sum(1, keepdims=True))
      excess = probabilistic.kl_divergence(np.log(p), truth)
      table[f"excess_{name}"] = round(float(excess.mean()), 5)
    table[name] = round(float(kl.mean()), 5)
  return table


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
      "--quick", action="store_true", help="a world of 60 objects"
  )
  parser.add_argument("--seed", type=int, default=0, help="of world and fit")
  parser.add_argument("--n", type=int, help="objects: default 300; quick 60")
  parser.add_argument("--dims", type=int, help="default 6; quick 3")
  parser.add_argument(
      "--choices", type=int, help="default 200,000; quick 20,000"
  )
  parser.add_argument("--scale", type=float, default=1.5, help="of the weights")
  parser.add_argument(
      "--parts",
      nargs="+",
      default=["recovery", "killed", "targets"],
      choices=["recovery", "killed", "targets"],
  )
  args = parser.parse_args()
  n = args.n or (60 if args.quick else 300)
  dims = args.dims or (3 if args.quick else 6)
  m = args.choices or (20_000 if args.quick else 200_000)
  config = vice.Config(seed=args.seed)
  if args.quick:
    config = dataclasses.replace(config, width=20, batch=512, anneal=1000)
  weights = embedding(n, dims, args.scale, args.seed)
  observed = simulate(weights, m, args.seed + 1)
  result = {"benchmark": "vice_simulated", "quick": args.quick}
  result |= {"objects": n, "choices": m, "scale": args.scale, "seed": args.seed}
  if "recovery" in args.parts:
    fresh = simulate(weights, 50_000, args.seed + 2)
    result["recovery"] = recovery(weights, observed, fresh, config)
  if "killed" in args.parts:
    with tempfile.TemporaryDirectory() as name:
      folder = pathlib.Path(name)
      np.save(folder / "T.npy", observed)
      result["killed"] = killed(folder, n, config, kills=3)
  if "targets" in args.parts:
    draws, rows = (2000, 5000) if args.quick else (5000, 20_000)
    result["targets"] = targets(weights, rows, draws, args.seed)
  print(json.dumps(result))


if __name__ == "__main__":
  main()
