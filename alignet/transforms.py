"""The teacher: an affine map of representations, applied, saved and loaded.

    transform(x) = ((map(x) - mean) / std) @ weights + bias

The four arrays are the keys of gLocal's published transforms (Muttenthaler et
al. 2023), so those files load too.
"""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any, Literal, get_args

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.triplets import similarity
import numpy as np

InputMap = Literal["none", "sqrt", "l2"]
"""What is done to a representation first: nothing, the square root of each
component (for non-negative ones), or scaling to unit length."""

_KEYS = ("weights", "bias", "mean", "std")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Transform:
  """An affine map of representations; call it with (n, d) features.

  Attributes:
    weights: (d, d') matrix, floats.
    bias: (d',) vector.
    mean: subtracted after the input map: a number, or (d,) per dimension.
    std: divided by after that: a positive number, or (d,) per dimension.
    input_map: "none", "sqrt" or "l2", applied to a row before anything else.
    meta: JSON-serialisable report of how the transform came about.
  """

  weights: np.ndarray
  bias: np.ndarray
  mean: np.ndarray | float = 0.0
  std: np.ndarray | float = 1.0
  input_map: InputMap = "none"
  meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def __post_init__(self):
    weights = files.check_array(
        self.weights, "weights", shape=(None, None), kinds="f"
    )
    d, width = weights.shape
    bias = files.check_array(self.bias, "bias", shape=(width,), kinds="f")
    mean = _moment(self.mean, "mean", d)
    std = _moment(self.std, "std", d)
    for name, array in (("weights", weights), ("bias", bias)):
      files.check_finite(array, name)
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
      raise AlignetError("mean and std: expected finite numbers, found NaN")
    if (std <= 0).any():
      raise AlignetError(
          f"std: expected positive numbers, found {float(std.min())}"
      )
    _check_input_map(self.input_map)
    for name, value in zip(_KEYS, (weights, bias, mean, std)):
      object.__setattr__(self, name, value)

  def __call__(self, x: np.ndarray, *, rows: int = 8192) -> np.ndarray:
    """Transformed representations.

    Args:
      x: (n, d) features, possibly memory-mapped, any float dtype.
      rows: rows in memory at a time; the result does not depend on it beyond
        the rounding of a matrix product.

    Returns:
      (n, d') float32, computed in float32.

    Raises:
      AlignetError: another number of dimensions, a NaN or an infinity, a
        negative component where the input map is "sqrt".
    """
    d, width = self.weights.shape
    x = np.asanyarray(x)
    if x.ndim != 2 or x.shape[1] != d:
      raise AlignetError(
          f"features: expected shape (any, {d}) to fit the transform's weights"
          f" {self.weights.shape}, found {x.shape}; use the representations"
          " of the model and layer that the transform was trained on"
      )
    weights = self.weights.astype(np.float32, copy=False)
    bias, mean, std = (
        v.astype(np.float32) for v in (self.bias, self.mean, self.std)
    )
    out = np.empty((len(x), width), np.float32)
    for start in range(0, len(x), rows):
      block = map_input(x[start : start + rows], self.input_map, first=start)
      target = out[start : start + rows]
      np.matmul((block - mean) / std, weights, out=target)
      target += bias
    return out


def map_input(
    x: np.ndarray, input_map: InputMap, *, first: int = 0
) -> np.ndarray:
  """Applies an input map to checked features.

  Args:
    x: (n, d) features.
    input_map: "none", "sqrt" or "l2"; a zero row stays zero under "l2".
    first: number of the first row, for error messages.

  Returns:
    (n, d) float32.

  Raises:
    AlignetError: a NaN or an infinity; a negative number under "sqrt".
  """
  _check_input_map(input_map)
  x = np.asarray(x, np.float32)
  finite = np.isfinite(x).all(axis=1)
  if not finite.all():
    raise AlignetError(
        f"features: row {first + int(np.argmin(finite))} holds a NaN or"
        " infinite value (after conversion to float32); remove or mend it"
    )
  if input_map == "l2":
    return similarity.normalise(x)
  if input_map == "sqrt":
    negative = (x < 0).any(axis=1)
    if negative.any():
      raise AlignetError(
          f"features: row {first + int(np.argmax(negative))} holds a negative"
          ' number, which the input map "sqrt" cannot take; choose "none" or'
          ' "l2"'
      )
    return np.sqrt(x)
  return x


def identity(d: int) -> Transform:
  """The transform of d dimensions that changes nothing."""
  return Transform(
      weights=np.eye(d, dtype=np.float32), bias=np.zeros(d, np.float32)
  )


def fold(transform: Transform) -> Transform:
  """The same map with scalar mean and std.

  Per-dimension standardisation goes into weights and bias, which leaves mean 0
  and std 1; a transform whose mean and std are numbers is returned as it is.
  """
  if transform.mean.ndim == 0 and transform.std.ndim == 0:
    return transform
  d = len(transform.weights)
  weights64 = transform.weights.astype(np.float64)
  weights64 /= np.broadcast_to(transform.std, (d,))[:, None]
  shift = np.broadcast_to(transform.mean, (d,)).astype(np.float64) @ weights64
  return dataclasses.replace(
      transform,
      weights=weights64.astype(transform.weights.dtype),
      bias=(transform.bias - shift).astype(transform.bias.dtype),
      mean=0.0,
      std=1.0,
  )


def save(
    path: files.Path,
    transform: Transform,
    *,
    columns: identities.Columns | None = None,
    overwrite: bool = False,
) -> None:
  """Writes weights (d, d'), bias (d',), mean (), std () and a meta string.

  Per-dimension mean and std are folded into weights and bias.

  Args:
    path: the file.
    transform: what to write.
    columns: of the features that it was fitted to, where they are known.
    overwrite: replace an existing file.

  Raises:
    OutputExistsError: the file exists and `overwrite` is false.
  """
  transform = fold(transform)
  meta = {**transform.meta, "input_map": transform.input_map}
  if columns is not None:
    meta["columns"] = columns
  files.save_npz(
      path,
      {
          **{key: getattr(transform, key) for key in _KEYS},
          "meta": np.array(json.dumps(meta, sort_keys=True, allow_nan=False)),
      },
      overwrite=overwrite,
  )


def load(path: files.Path) -> Transform:
  """Reads a transform: ours, or one of gLocal's published files.

  Those have no meta, and some no bias, which is zero then.

  Raises:
    AlignetError: missing, truncated, a key absent, arrays that do not fit each
      other, a NaN, or a meta string that is no JSON object.
  """
  arrays = files.load_npz(
      path, required=("weights", "mean", "std"), optional=("bias", "meta")
  )
  width = np.shape(arrays["weights"])[-1:]
  arrays.setdefault("bias", np.zeros(width, np.float32))
  meta = {}
  if "meta" in arrays:
    meta = json_files.parse_array(arrays["meta"], f"meta in {path}")
  input_map = meta.pop("input_map", "none")
  try:
    return Transform(
        **{key: arrays[key] for key in _KEYS}, input_map=input_map, meta=meta
    )
  except AlignetError as e:
    raise AlignetError(f"{path} holds no valid transform: {e}") from e


def load_for(
    path: files.Path | None,
    of: object,
    columns: identities.Columns | None,
    trust: identities.Trust = identities.NOTHING,
) -> Transform | None:
  """Reads a transform that is to be applied to features of a file.

  Args:
    path: None, or "", for none.
    of: what the features are called in messages, such as their path.
    columns: of the features, None where they do not say.
    trust: what the user vouches for.

  Returns:
    The transform; None for none.

  Raises:
    AlignetError: as `load`; the transform is of another network, layer or
      pixels, or does not say of which.
  """
  if not path:
    return None
  transform = load(path)
  trust.check_columns(path, transform.meta.get("columns"), of, columns)
  return transform


def _moment(value: np.ndarray | float, what: str, d: int) -> np.ndarray:
  """A scalar or (d,) float array; arrays of one element become scalars."""
  value = np.asarray(value)
  if value.dtype.kind not in "f":
    value = files.check_array(value, what, kinds="iu").astype(np.float32)
  if value.size == 1:
    return value.reshape(())
  return files.check_array(value, what, shape=(d,))


def _check_input_map(input_map: str) -> None:
  errors.check_choice("input_map", input_map, get_args(InputMap))
