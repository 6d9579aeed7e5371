"""Where the training of a transform starts."""

from typing import Any, Literal

from alignet import transforms
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
import numpy as np
from uncertainty_distillation import point_embedding
from uncertainty_distillation import ridge
from uncertainty_distillation.config import Standardise

_POINT_WIDTH = 32
_RIDGE_FOLDS = 10


def standardise(
    features: np.ndarray, input_map: transforms.InputMap, kind: Standardise
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Maps and standardises: (n, d) float32, mean and std (scalars or (d,)).

  A dimension whose spread is under a hundredth of the matrix's is divided by
  that hundredth, so that dead dimensions are not blown up.
  """
  x = transforms.map_input(features, input_map)
  if x is features or np.shares_memory(x, features):
    x = x.copy()
  axis = 0 if kind == "per_dimension" else None
  mean = x.mean(axis=axis, dtype=np.float64).astype(np.float32)
  whole = float(x.std(dtype=np.float64))
  if not whole > 0:
    raise AlignetError("features: all values are equal; nothing to learn from")
  std = x.std(axis=axis, dtype=np.float64)
  std = np.maximum(std, 0.01 * whole).astype(np.float32)
  x -= mean
  x /= std
  return x, mean, std


def plain(
    features: np.ndarray, input_map: transforms.InputMap, kind: Standardise
) -> tuple[transforms.Transform, np.ndarray]:
  """Standardisation alone.

  Returns:
    The transform that standardises, and its output (n, d).
  """
  x, mean, std = standardise(features, input_map, kind)
  d = x.shape[1]
  base = transforms.Transform(
      weights=np.eye(d, dtype=np.float32),
      bias=np.zeros(d, np.float32),
      mean=mean,
      std=std,
      input_map=input_map,
  )
  return base, x


def given(
    path: files.Path,
    d: int,
    input_map: transforms.InputMap,
    moments: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
  """A transform that is there, as a map of standardised features.

  Args:
    path: `transform.npz`.
    d: dimensions of the features.
    input_map: done to the features.
    moments: mean and standard deviation by which they are standardised.

  Returns:
    "weights" (d, k) and "bias" (k,) float32: of ((map(x) - mean) / std) they
    make what the transform makes of x.

  Raises:
    AlignetError: a file that is none, another number of dimensions or another
      input map.
  """
  transform = transforms.load(path)
  if len(transform.weights) != d:
    raise AlignetError(
        f"start {path}: expected a transform of {d} dimensions, those of the"
        f" features, found {len(transform.weights)}"
    )
  if transform.input_map != input_map:
    raise AlignetError(
        f"start {path}: expected the input map {input_map!r}, found"
        f" {transform.input_map!r}; set input_map to that, or to auto"
    )
  mean, std = (np.asarray(x, np.float64) for x in moments)
  weights = transform.weights.astype(np.float64)
  weights /= np.broadcast_to(transform.std, d)[:, None]
  bias = np.broadcast_to(mean - transform.mean, d) @ weights + transform.bias
  weights *= np.broadcast_to(std, d)[:, None]
  return {
      "weights": weights.astype(np.float32),
      "bias": bias.astype(np.float32),
  }


def cross_fitted_ridge(
    features: np.ndarray,
    concepts: np.ndarray,
    judgments: Judgments,
    embedding: np.ndarray | None,
    *,
    input_map: transforms.InputMap | Literal["auto"],
    kind: Standardise,
    width: int | None,
    seed: int,
    blocks: np.ndarray | None = None,
) -> tuple[transforms.Transform, np.ndarray, dict[str, Any]]:
  """Ridge regression onto a human embedding, see `ridge`.

  Args:
    features: (n, d).
    concepts: (n,) integers in [0, m).
    judgments: of the m concepts; an embedding is made of them where none is
      given.
    embedding: (m, k) or None.
    input_map: as in `transforms`, or "auto": the one with the smallest error;
      "sqrt" takes part where no feature is negative.
    kind: of the standardisation.
    width: dimensions to regress onto; None for the embedding's.
    seed: of the concept folds.
    blocks: (m,) category of each concept, held out whole; None for none.

  Returns:
    The map fitted on all, the cross-fitted predictions (n, width), and a
    report: relative error by input map, and the penalty.

  Raises:
    AlignetError: the embedding has fewer dimensions than `width`.
  """
  if embedding is None:
    targets = point_embedding.embedding(
        judgments, width or _POINT_WIDTH, seed=seed
    )
  else:
    targets = embedding if width is None else _leading(embedding, width)
  folds = judgments_lib.inner_folds(
      len(targets), _RIDGE_FOLDS, seed=seed, blocks=blocks
  )
  maps = [input_map]
  if input_map == "auto":
    maps = ["none", "l2"] + ["sqrt"] * bool((features >= 0).all())
  best, errors = None, {}
  for name in maps:
    x, mean, std = standardise(features, name, kind)
    fitted = ridge.fit(x, concepts, targets, folds)
    errors[name] = float(fitted.error)
    if best is None or fitted.error < best[1].error:
      best = name, fitted, mean, std
  name, fitted, mean, std = best
  base = transforms.Transform(
      weights=fitted.weights,
      bias=fitted.bias,
      mean=mean,
      std=std,
      input_map=name,
  )
  report = {"input_map_errors": errors, "penalty": float(fitted.penalty)}
  return base, fitted.predictions, report


def _leading(embedding, width):
  """Best (n, width) approximation of an embedding's dot products."""
  u, s, _ = np.linalg.svd(embedding, full_matrices=False)
  if width > len(s):
    raise AlignetError(
        f"width: expected at most {len(s)}, the embedding's, found {width}"
    )
  return u[:, :width] * s[:width]
