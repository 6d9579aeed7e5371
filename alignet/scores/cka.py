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
"""

from typing import NamedTuple

from alignet import files
from alignet.errors import AlignetError
import numpy as np

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
  x = files.check_array(x, "representations", shape=(None, None))
  y = files.check_array(y, "the other representations", shape=(None, None))
  if len(x) != len(y) or len(x) < 4:
    raise AlignetError(
        "CKA: expected two representations of the same images, four or more,"
        f" found {len(x)} and {len(y)} rows"
    )
  moments = [_moments(*pair) for pair in ((x, y), (x, x), (y, y))]
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


def _moments(x: np.ndarray, y: np.ndarray) -> _Moments:
  same = x is y
  mean_x = _mean(x)
  mean_y = mean_x if same else _mean(y)
  cross = np.zeros((x.shape[1], y.shape[1]))
  ab = a_sum = b_sum = 0.0
  for start in range(0, len(x), _ROWS):
    one = np.asarray(x[start : start + _ROWS], np.float64) - mean_x
    two = (
        one
        if same
        else np.asarray(y[start : start + _ROWS], np.float64) - mean_y
    )
    cross += one.T @ two
    a, b = (np.einsum("ij,ij->i", z, z) for z in (one, two))
    ab += float(a @ b)
    a_sum += float(a.sum())
    b_sum += float(b.sum())
  return _Moments(len(x), float((cross**2).sum()), ab, a_sum, b_sum)


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
