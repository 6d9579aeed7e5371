"""Linear centred kernel alignment (CKA) of two representations.

How alike two representations of the same images are, up to rotation and
isotropic scaling; 1 for equal ones. Kornblith, Norouzi, Lee and Hinton 2019,
Similarity of neural network representations revisited (ICML), equation 1 with
linear kernels,

    CKA(X, Y) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),  K = X X', L = Y Y',

in its feature-space form: for centred X and Y, HSIC(K, L) is proportional to
|Y' X|^2 (Frobenius), so that no n x n matrix is formed.

The plain estimate of HSIC is biased upwards where the dimensions are many
against the images: two independent representations get a CKA well above 0. The
unbiased estimate of Song et al. 2012 (Feature selection via dependence
maximization, JMLR 13, theorem 5) takes the diagonals out of both kernels,

    HSIC_1 = [tr(K~ L~) + 1'K~1 1'L~1 / ((n-1)(n-2)) - 2/(n-2) 1'K~L~1]
             / (n (n-3)),

and all its terms have a feature-space form, too. Compare over sets of images of
different sizes by it only.

A resample would cost what the whole costs, so the standard error is a
jackknife's: ten groups of images, each left out in turn. All sums are sums over
groups: one pass over the features gives them all.
"""

import dataclasses
import functools
import operator
from typing import NamedTuple

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

GROUPS = 10
"""Of images, for the jackknife."""

_ROWS = 4096

_ROUNDING = 1e-12
"""What is left of terms that cancel to less of their size is no HSIC."""


class Cka(NamedTuple):
  """CKA by both estimates; NaN where a representation is constant.

  Attributes:
    biased: in [0, 1].
    unbiased: about 0 for independent representations, at most 1, may be below
      0; NaN also where all images of a representation are equally far from each
      other, a simplex, whose unbiased HSIC with itself is 0.
  """

  biased: float
  unbiased: float


def linear(x: np.ndarray, y: np.ndarray) -> Cka:
  """Linear CKA of two representations of the same n images, n > 3.

  Args:
    x: (n, p) finite floats, may be a memory map.
    y: (n, q).

  Returns:
    Both estimates, in float64.

  Raises:
    AlignetError: numbers of rows that differ, fewer than four.
  """
  x, y = _check(x, y)
  return _of_sums(*(total for total, _ in _sums(x, y, np.zeros(len(x), int))))


def standard_error(
    x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator
) -> Cka:
  """Standard errors of both estimates, images being a sample of others.

  Args:
    x: as in `linear`; 40 images or more.
    y: as in `linear`.
    rng: deals the images out to `GROUPS` groups.

  Returns:
    Delete-a-group jackknife: sqrt((g - 1) / g sum (v_i - mean v)^2) of the
    values v_i without group i; NaN where one is undefined. It has g - 1 degrees
    of freedom.

  Raises:
    AlignetError: as `linear`; too few images.
  """
  if len(x) < 4 * GROUPS:
    raise AlignetError(
        f"CKA: expected {4 * GROUPS} images or more for a standard error, found"
        f" {len(x)}"
    )
  groups = rng.permutation(len(x)) % GROUPS
  sums = _sums(*_check(x, y), groups)
  values = np.array(
      [
          _of_sums(*(total - parts[group] for total, parts in sums))
          for group in range(GROUPS)
      ]
  )
  spread = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
  return Cka(*np.sqrt(spread * (GROUPS - 1) / GROUPS).tolist())


def _check(x, y) -> tuple[np.ndarray, np.ndarray]:
  x = files.check_array(x, "representations", shape=(None, None))
  y = files.check_array(y, "the other representations", shape=(None, None))
  if len(x) != len(y) or len(x) < 4:
    raise AlignetError(
        "CKA: expected two representations of the same images, four or more,"
        f" found {len(x)} and {len(y)} rows"
    )
  return x, y


@dataclasses.dataclass(frozen=True)
class _Sums:
  """Sums over images of x and y, a = |x|^2 and b = |y|^2, seen from a point."""

  n: int
  x: np.ndarray  # (p,)
  y: np.ndarray  # (q,)
  xy: np.ndarray  # (p, q) of x y'
  bx: np.ndarray  # (p,) of b x
  ay: np.ndarray  # (q,) of a y
  a: float
  b: float
  ab: float

  @classmethod
  def of(cls, x: np.ndarray, y: np.ndarray) -> "_Sums":
    a, b = (np.einsum("ij,ij->i", z, z) for z in (x, y))
    return cls(
        *(len(x), x.sum(axis=0), y.sum(axis=0), x.T @ y, b @ x, a @ y),
        *(a.sum(), b.sum(), a @ b),
    )

  def __add__(self, other: "_Sums") -> "_Sums":
    return self._combine(other, operator.add)

  def __sub__(self, other: "_Sums") -> "_Sums":
    return self._combine(other, operator.sub)

  def _combine(self, other, how) -> "_Sums":
    fields = [f.name for f in dataclasses.fields(self)]
    return _Sums(*(how(getattr(self, f), getattr(other, f)) for f in fields))


def _sums(x, y, groups) -> list[tuple[_Sums, list[_Sums]]]:
  """Of (x, y), (x, x) and (y, y): the sum over all images and over each group.

  Vectors are seen from the mean of all, so that nothing cancels.
  """
  means = _mean(x), _mean(y)
  out = [[None] * (groups.max() + 1) for _ in range(3)]
  for start in range(0, len(x), _ROWS):
    rows = slice(start, start + _ROWS)
    block = [
        np.asarray(z[rows], np.float64) - mean for z, mean in zip((x, y), means)
    ]
    for group in np.unique(groups[rows]):
      one, two = (z[groups[rows] == group] for z in block)
      for parts, pair in zip(out, ((one, two), (one, one), (two, two))):
        more = _Sums.of(*pair)
        parts[group] = more if parts[group] is None else parts[group] + more
  return [(functools.reduce(operator.add, parts), parts) for parts in out]


def _of_sums(*sums: _Sums) -> Cka:
  moments = [_centred(s) for s in sums]
  return Cka(
      *(
          _ratio(*(estimate(m) for m in moments))
          for estimate in (lambda m: m.cross, _unbiased)
      )
  )


class _Moments(NamedTuple):
  """Sums over images of centred x and y, a = |x|^2 and b = |y|^2 each."""

  n: int
  cross: float  # |Y' X|^2
  ab: float  # sum a b
  a: float
  b: float


def _centred(s: _Sums) -> _Moments:
  """The sums seen from the images' own mean."""
  x, y = s.x / s.n, s.y / s.n
  xx, yy = x @ x, y @ y
  cross = s.xy - s.n * np.outer(x, y)
  # |z - m|^2 = |z|^2 - 2 m . z + |m|^2, multiplied out.
  ab = (
      s.ab
      - 2 * (s.ay @ y + s.bx @ x)
      + s.a * yy
      + s.b * xx
      + 4 * x @ s.xy @ y
      - 3 * s.n * xx * yy
  )
  return _Moments(
      s.n, float((cross**2).sum()), ab, s.a - s.n * xx, s.b - s.n * yy
  )


def _unbiased(m: _Moments) -> float:
  """HSIC_1. Of centred vectors K~ 1 = -a: the rows of K sum to 0."""
  n = m.n
  trace = m.cross - m.ab
  sums = m.a * m.b / ((n - 1) * (n - 2))
  hsic = trace + sums - 2 / (n - 2) * m.ab
  if abs(hsic) <= _ROUNDING * (m.cross + m.ab + sums):
    return 0.0
  return hsic / (n * (n - 3))


def _mean(x: np.ndarray) -> np.ndarray:
  """(d,) float64."""
  total = np.zeros(x.shape[1])
  first = np.asarray(x[0], np.float64)
  for start in range(0, len(x), _ROWS):
    # From one of the rows, so that equal rows are exactly their mean.
    total += (np.asarray(x[start : start + _ROWS], np.float64) - first).sum(0)
  return first + total / len(x)


def _ratio(xy: float, xx: float, yy: float) -> float:
  return xy / np.sqrt(xx * yy) if xx > 0 and yy > 0 else np.nan
