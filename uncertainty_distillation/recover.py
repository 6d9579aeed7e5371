"""Recovers a teacher from its answers: W and b up to rotation.

An AligNet file holds dot products of transformed representations,

    s_ij = (x_i W + b) . (x_j W + b) = u_i V V' u_j',

where u are coordinates of (x, 1) in an orthonormal basis of what the images
span. V (rank, width) is fitted to the distinct pairs by least squares:
Gauss-Newton on the quartic, inner systems by conjugate gradients, the step
length exactly (the loss along a line is a polynomial of degree four). It starts
from the leading eigenvectors of mean(s u_i' u_j), which is V V' where pairs are
independent. V is determined up to a rotation of its columns only, and so is the
teacher; odd-one-out choices do not depend on it.

Some images are held out with every triplet that shows them. What the fit says
about those tells whether the answers are those of an affine teacher of these
representations at all: cosines, another layer or another network are not, and
leave an error that no number of triplets removes.

Untested on the public release of AligNet, which was made from representations
that this project never had.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

from alignet import transforms
from alignet.errors import AlignetError
from alignet.evals.scores.choices import odd_one_out
from alignet.io import files
from alignet.triplets import layout
from alignet.triplets import similarity
import numpy as np
from uncertainty_distillation import factored

LARGEST_ERROR = 0.05
"""Root mean square error on held-out images, over the standard deviation of
the similarities, up to which a teacher counts as affine; and the agreement of
odd-one-out choices from which on it does."""
LEAST_AGREEMENT = 0.98

WIDTHS = (64, 128, 256)

_HELD_OUT_ROWS = 0.1
_FIRST_STEPS = 3
_STEPS = 12
_ROUNDS = 4  # Of so many steps, while they help.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recovered:
  """A fitted teacher and how far to believe it.

  Attributes:
    transform: its best fit; meta is the report.
    report: `affine`, whether it is an affine dot-product teacher of these
      representations, `verdict` in words, `held_out` (relative RMSE, R2,
      odd-one-out agreement, rows, images), `identifiability` and what was
      tried.
  """

  transform: transforms.Transform
  report: dict[str, Any]


def recover(
    features: np.ndarray,
    indices: np.ndarray,
    similarities: np.ndarray,
    *,
    input_maps: Sequence[transforms.InputMap] = ("none", "l2", "sqrt"),
    widths: Sequence[int] = WIDTHS,
    max_rows: int = 200_000,
    seed: int = 0,
) -> Recovered:
  """Fits an affine teacher to similarities.

  Memory: 8 bytes times images in the rows used times dimensions, 30 times
  dimensions squared, and 0.1 GB. Time: see docs/release.md.

  Args:
    features: (n, d) representations, possibly a memory map.
    indices: (m, 3) image numbers, the rows of `features`.
    similarities: (m, 3) finite [s01, s02, s12].
    input_maps: maps of a row to try; "sqrt" only where no feature is negative.
    widths: numbers of columns of W to try, ascending, until one fits; those
      that the pairs cannot determine are left out.
    max_rows: rows used, drawn at random where there are more.
    seed: of that, and of the images held out.

  Returns:
    The transform and the report.

  Raises:
    AlignetError: arrays that do not fit each other, fewer than 100 rows or 20
      images, similarities that are all equal.
  """
  files.check_array(features, "features", shape=(None, None), kinds="f")
  layout.check(indices, len(features), what="indices")
  files.check_array(
      similarities, "similarities", shape=(len(indices), 3), kinds="f"
  )
  rng = np.random.default_rng(seed)
  rows = np.arange(len(indices))
  if len(rows) > max_rows:
    rows = np.sort(rng.choice(len(rows), max_rows, replace=False))
  images, local = np.unique(np.asarray(indices)[rows], return_inverse=True)
  local = local.reshape(-1, 3)
  s = np.asarray(similarities)[rows].astype(np.float64)
  files.check_finite(s, "similarities")
  if len(rows) < 100 or len(images) < 20 or s.std() < 1e-12:
    raise AlignetError(
        "expected at least 100 triplets of 20 images whose similarities differ,"
        f" found {len(rows)} of {len(images)}"
        + (", all similarities equal" if s.std() < 1e-12 else "")
    )
  x = np.asarray(features[images], np.float32)
  held = _held_out(local, len(images), rng)
  hidden = held[local].any(axis=1)
  pairs = factored.pairs(local[~hidden], s[~hidden], len(images))

  tried = []

  def attempt(basis, width, v=None, steps=_STEPS):
    v, train = factored.fit(basis.u, pairs, width, v, steps)
    scores = _scores(basis.u @ v, local[hidden], s[hidden], s.std())
    entry = {
        "input_map": basis.input_map,
        "width": width,
        "train_relative_rmse": train,
        **scores,
    }
    return v, entry

  # Which input map: a few steps each.
  best = None
  for input_map in input_maps:
    if input_map == "sqrt" and (x < 0).any():
      continue
    basis = None  # Two at a time would be the most of the memory.
    basis = factored.basis(x, input_map)
    chosen = _determined(widths, basis.rank, len(pairs[0]))
    v, entry = attempt(basis, chosen[0], steps=_FIRST_STEPS)
    tried.append(entry)
    if best is None or entry["train_relative_rmse"] < best[2]:
      best = input_map, v, entry["train_relative_rmse"]
  if best is None:
    raise AlignetError(
        "the input map sqrt needs features that are not negative, found"
        f" {x.min():g}; try --input_map=none"
    )
  input_map, first, _ = best
  if basis.input_map != input_map:
    basis = None
    basis = factored.basis(x, input_map)
  chosen = _determined(widths, basis.rank, len(pairs[0]))
  # What is kept is the width that says most about images it never saw.
  kept = None
  for width in chosen:
    v, before = first if width == chosen[0] else None, np.inf
    for _ in range(_ROUNDS):
      v, entry = attempt(basis, width, v)
      tried.append(entry)
      if kept is None or entry["relative_rmse"] < kept[1]["relative_rmse"]:
        kept = v, entry
      falls = entry["train_relative_rmse"] < 0.8 * before
      before = entry["train_relative_rmse"]
      if _affine(entry) or not falls:
        break
    if _affine(entry):
      break
  v, entry = kept
  report = _report(entry, basis, pairs, len(images), hidden, held, chosen)
  if not report["affine"] and np.abs(s).max() <= 1 + 1e-5:
    report["verdict"] += "; none exceeds 1, as if they were cosines"
  report |= {"tried": tried, "seed": seed, "rows": len(rows)}
  return Recovered(transform=_transform(basis, v, report), report=report)


def _held_out(
    local: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
  """(n,) bool: images that about a tenth of the rows show."""
  share = 1 - (1 - _HELD_OUT_ROWS) ** (1 / 3)
  held = np.zeros(n, bool)
  held[rng.permutation(n)[: max(3, round(share * n))]] = True
  hidden = held[local].any(axis=1)
  if not 0 < hidden.sum() < len(local):
    raise AlignetError(
        "expected triplets with and without the held-out images, found"
        f" {hidden.sum()} of {len(local)}; pass more triplets"
    )
  return held


def _determined(widths, rank: int, n_pairs: int) -> list[int]:
  """Widths to try: those of which there are a quarter more pairs."""
  capped = sorted({min(width, rank) for width in widths})
  fit = [w for w in capped if factored.unknowns(rank, w) * 1.25 <= n_pairs]
  if fit:
    return fit
  lower = [
      w
      for w in range(1, capped[0])
      if factored.unknowns(rank, w) * 1.25 <= n_pairs
  ]
  return [lower[-1] if lower else 1]


def _scores(z, triplets, s, scale) -> dict[str, float]:
  """Errors on rows that the fit did not see."""
  predicted = np.stack(
      [
          factored.dots(z, z, triplets[:, a], triplets[:, b])
          for a, b in layout.PAIRS
      ],
      axis=1,
  )
  p = similarity.choice_probabilities(s)
  rmse = float(np.sqrt(np.mean((predicted - s) ** 2)) / scale)
  return {
      "relative_rmse": rmse,
      "r2": 1 - rmse * rmse,
      "odd_one_out": float(odd_one_out.modal(predicted, p).mean()),
  }


def _affine(entry) -> bool:
  return (
      entry["relative_rmse"] <= LARGEST_ERROR
      and entry["odd_one_out"] >= LEAST_AGREEMENT
  )


def _report(entry, basis, pairs, n_images, hidden, held, chosen):
  rank, dimensions = basis.rank, len(basis.mean)
  n_pairs, affine = len(pairs[0]), _affine(entry)
  said = (
      f"held-out relative RMSE {entry['relative_rmse']:.4f}, same odd-one-out"
      f" {entry['odd_one_out']:.4f}"
  )
  if affine:
    verdict = f"an affine dot-product teacher of these representations ({said})"
  else:
    verdict = (
        f"not an affine dot-product teacher of these representations ({said})"
    )
    if max(chosen) < rank:
      verdict += (
          f"; up to {max(chosen)} dimensions were tried, and {n_pairs} pairs"
          f" cannot tell about all {rank}, which takes"
          f" {factored.unknowns(rank, rank)} and more"
      )
  return {
      "affine": affine,
      "verdict": verdict,
      "input_map": basis.input_map,
      "held_out": {
          key: entry[key] for key in ("relative_rmse", "r2", "odd_one_out")
      }
      | {"rows": int(hidden.sum()), "images": int(held.sum())},
      "train_relative_rmse": entry["train_relative_rmse"],
      "identifiability": {
          "rank": rank,
          "rank_at_most": dimensions + 1,
          "images": n_images,
          "pairs": n_pairs,
          "unknowns": factored.unknowns(rank, entry["width"]),
          "determined": n_pairs >= factored.unknowns(rank, entry["width"]),
          "note": (
              "weights and bias up to a rotation"
              if rank == dimensions + 1
              else (
                  "weights and bias up to a rotation, and only in the"
                  f" {rank - 1} of {dimensions} directions that the images"
                  " span; zero in the others"
              )
          ),
      },
  }


def _transform(basis, v, report) -> transforms.Transform:
  """W and b, the columns of W by decreasing weight, rounding dropped."""
  left, size, _ = np.linalg.svd(v.astype(np.float64), full_matrices=False)
  kept = size > 1e-4 * size[0]
  v = left[:, kept] * size[kept]
  weights = basis.b @ v[:-1]
  bias = v[-1] - basis.mean @ weights
  return transforms.Transform(
      weights=weights.astype(np.float32),
      bias=bias.astype(np.float32),
      input_map=basis.input_map,
      meta={"recovered": report},
  )
