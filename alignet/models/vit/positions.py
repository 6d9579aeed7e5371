"""Position embeddings for another grid of patches than the one trained."""

from typing import Any, Literal, get_args

from alignet import errors
from alignet.errors import AlignetError
import jax
import jax.numpy as jnp
import numpy as np

Method = Literal["bicubic", "bilinear"]

_CUBIC = -0.75  # PyTorch's and OpenCV's; jax.image and PIL take -0.5.


def resample(
    positions: Any,
    old: tuple[int, int],
    new: tuple[int, int],
    method: Method = "bicubic",
) -> jax.Array:
  """Resamples position embeddings to another grid, square or not.

  Args:
    positions: (1, k + rows * columns, d) values of an `old` grid; the first k,
      those of a class token, stay as they are.
    old: (rows, columns) they were made for.
    new: (rows, columns) wanted.
    method: "bicubic": pixel centres aligned, the cubic of a = -0.75, edges
      repeated, no smoothing before a reduction; what `transformers` does for
      all its ViTs (`torch.nn.functional.interpolate`, align_corners=False).
      "bilinear": corners aligned; what big_vision does
      (`scipy.ndimage.zoom(order=1)`).

  Returns:
    (1, k + rows * columns, d) float32.

  Raises:
    AlignetError: an unknown method, or fewer positions than `old` has.
  """
  errors.check_choice("method", method, get_args(Method))
  extra = positions.shape[1] - old[0] * old[1]
  if extra < 0:
    raise AlignetError(
        f"a grid of {old[0]} x {old[1]} has {old[0] * old[1]} positions, found"
        f" {positions.shape[1]}"
    )
  rows, columns = (_weights(o, n, method) for o, n in zip(old, new))
  positions = jnp.asarray(positions, jnp.float32)
  grid = positions[:, extra:].reshape(*old, -1)
  grid = jnp.einsum("ri,cj,ijd->rcd", rows, columns, grid)
  return jnp.concatenate(
      [positions[:, :extra], grid.reshape(1, -1, grid.shape[-1])], axis=1
  )


def _weights(old: int, new: int, method: Method) -> np.ndarray:
  """(new, old) float32: what each new place takes from each old one."""
  if method == "bilinear":
    places = np.arange(new) * ((old - 1) / max(new - 1, 1))
    taps, kernel = (0, 1), lambda t: np.maximum(1 - t, 0)
  else:
    places = (np.arange(new) + 0.5) * old / new - 0.5
    taps, kernel = (-1, 0, 1, 2), _cubic
  weights = np.zeros((new, old))
  first = np.floor(places).astype(int)
  for tap in taps:
    source = first + tap
    np.add.at(
        weights,
        (np.arange(new), np.clip(source, 0, old - 1)),
        kernel(np.abs(places - source)),
    )
  return weights.astype(np.float32)


def _cubic(t: np.ndarray) -> np.ndarray:
  """Keys (1981), cubic convolution; t is a distance of 0 to 2."""
  near = ((_CUBIC + 2) * t - (_CUBIC + 3)) * t**2 + 1
  far = _CUBIC * (((t - 5) * t + 8) * t - 4)
  return np.where(t <= 1, near, far)
