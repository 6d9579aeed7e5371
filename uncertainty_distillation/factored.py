"""Least squares for similarities that are products of a factor.

    s_ij = u_i V V' u_j'

over pairs of images, u (n, rank) coordinates in an orthonormal basis of what
the images span, V (rank, width). See `uncertainty_distillation.recover`.
"""

from collections.abc import Iterator
import dataclasses

from alignet import transforms
from alignet.triplets import layout
import numpy as np
import scipy.linalg
import scipy.sparse

_BLOCK = 65536  # Pairs.
_ROWS = 4096
_COLUMNS = 32
_INNER = 25
# Directions of less than this share of the largest variance are rounding.
_SMALLEST = 1e-10


def pairs(local, s, n) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Distinct pairs of images, (p,) each, and the similarity of each."""
  a, b = (
      np.concatenate([local[:, pair[side]] for pair in layout.PAIRS])
      for side in (0, 1)
  )
  key = np.minimum(a, b).astype(np.int64) * n + np.maximum(a, b)
  unique, first = np.unique(key, return_index=True)
  return unique // n, unique % n, s.T.ravel()[first]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
  """Coordinates of images, u = ((map(x) - mean) @ b, 1); E[u'u] is I.

  Attributes:
    input_map: done to a row first.
    u: (n, rank) float32; the last coordinate is the constant.
    mean: (d,) of the mapped rows.
    b: (d, rank - 1).
  """

  input_map: transforms.InputMap
  u: np.ndarray
  mean: np.ndarray
  b: np.ndarray

  @property
  def rank(self) -> int:
    """Directions that the images span, and one for the constant."""
    return self.u.shape[1]


def basis(x: np.ndarray, input_map: transforms.InputMap) -> Basis:
  """An orthonormal basis of what (n, d) images span; one more such array."""

  def mapped():
    for rows in _blocks(len(x), _ROWS):
      yield rows, transforms.map_input(x[rows], input_map, first=rows.start)

  mean = sum(block.sum(axis=0, dtype=np.float64) for _, block in mapped())
  mean /= len(x)
  gram = np.zeros((x.shape[1],) * 2)
  for _, block in mapped():
    centred = block - mean
    gram += centred.T @ centred
  w, q = np.linalg.eigh(gram / len(x))
  kept = w > max(w[-1] * _SMALLEST, 1e-30)
  b = q[:, kept] / np.sqrt(w[kept])
  u = np.ones((len(x), kept.sum() + 1), np.float32)
  for rows, block in mapped():
    u[rows, :-1] = (block - mean) @ b
  return Basis(input_map=input_map, u=u, mean=mean, b=b)


def unknowns(rank: int, width: int) -> int:
  """Numbers that determine V V' of a (rank, width) matrix V."""
  width = min(width, rank)
  return rank * width - width * (width - 1) // 2


def fit(u, pairs, width, v, steps) -> tuple[np.ndarray, float]:
  """V by Gauss-Newton.

  Args:
    u: (n, rank) coordinates.
    pairs: numbers i and j, (p,) each, and the similarities s.
    width: columns of V.
    v: where to start; None for the leading eigenvectors of mean(s u_i' u_j).
    steps: at most.

  Returns:
    V (rank, width) float32, and the root mean square error on the pairs over
    the standard deviation of s.
  """
  i, j, s = pairs
  scale = s.std()
  if v is None:
    v = _start(u, pairs, width)
  error = np.inf
  for _ in range(steps):
    z = u @ v
    residual = s - dots(z, z, i, j)
    d = _direction(u, z, residual, i, j)
    dz = u @ d
    linear = dots(z, dz, i, j) + dots(dz, z, i, j)
    square = dots(dz, dz, i, j)
    t = _step(residual, linear, square)
    v = v + np.float32(t) * d
    rest = residual - t * linear - t * t * square
    previous, error = error, float(np.sqrt(np.mean(rest * rest)) / scale)
    if error < 1e-5 or error > 0.98 * previous:
      break
  return v, error


def _start(u, pairs, width) -> np.ndarray:
  i, j, s = pairs
  rank = u.shape[1]
  moment = np.empty((rank, rank), np.float32)
  for columns in _blocks(rank, _COLUMNS):  # All at once would be two more u.
    moment[:, columns] = u.T @ _times(s, u[:, columns], i, j)
  moment /= np.float32(2 * len(s))
  w, q = scipy.linalg.eigh(
      moment.astype(np.float64), subset_by_index=[rank - width, rank - 1]
  )
  # A column of zeros would stay zero: the gradient vanishes there.
  v = (q * np.sqrt(np.maximum(w, 1e-3 * max(w[-1], 1e-12)))).astype(np.float32)
  z = u @ v
  p = dots(z, z, i, j)
  fitted = float(p @ s) / max(float(p @ p), 1e-30)
  return v * np.float32(np.sqrt(max(fitted, 1e-6)))


def _direction(u, z, residual, i, j) -> np.ndarray:
  """Solves the linearised least squares by conjugate gradients."""
  r = u.T @ _times(residual, z, i, j)
  d = np.zeros_like(r)
  p = r.copy()
  norm = first = _square(r)
  for _ in range(_INNER):
    if norm <= 1e-8 * first or not norm:
      break
    dz = u @ p
    ap = u.T @ _times(dots(z, dz, i, j) + dots(dz, z, i, j), z, i, j)
    curvature = float(np.vdot(p.astype(np.float64), ap))
    if curvature <= 0:
      break
    a = np.float32(norm / curvature)
    d += a * p
    r -= a * ap
    norm, previous = _square(r), norm
    p = r + np.float32(norm / previous) * p
  return d


def _step(residual, linear, square) -> float:
  """The t that minimises |residual - t linear - t^2 square|^2."""
  quartic = [
      square @ square,
      2 * (linear @ square),
      linear @ linear - 2 * (residual @ square),
      -2 * (residual @ linear),
      0.0,
  ]
  roots = np.roots(np.polyder(quartic))
  real = [0.0, *roots[np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots))].real]
  return float(min(real, key=lambda t: np.polyval(quartic, t)))


def dots(a, b, i, j) -> np.ndarray:
  """(p,) float64 a_i . b_j, gathered by blocks."""
  out = np.empty(len(i))
  for block in _blocks(len(i)):
    out[block] = np.einsum("pk,pk->p", a[i[block]], b[j[block]])
  return out


def _times(values, z, i, j) -> np.ndarray:
  """R z for the symmetric sparse R with `values` at (i, j) and (j, i)."""
  n = len(z)
  values = values.astype(np.float32)
  half = scipy.sparse.csr_array((values, (i, j)), shape=(n, n))
  return half @ z + half.T @ z


def _square(a) -> float:
  return float(np.sum(np.square(a, dtype=np.float64)))


def _blocks(n: int, size: int = _BLOCK) -> Iterator[slice]:
  return (slice(start, start + size) for start in range(0, n, size))
