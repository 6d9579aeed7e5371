"""What networks in files of other programs leave open, and who says it then.

Size, batch and outputs: a file may fix them, and must not contradict the user.
"""

from collections.abc import Collection, Sequence

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.models.vit import pixels
import numpy as np


def side(path: files.Path, asked: int | None, fixed: int | None) -> int:
  """Side in pixels of the images that a network takes.

  Raises:
    AlignetError: neither the user nor the file says it, or they differ.
  """
  if not asked and not fixed:
    raise AlignetError(
        f"{path} takes images of any size; pass --size, the side in pixels that"
        " its network was trained on"
    )
  if asked and fixed and asked != fixed:
    raise AlignetError(
        f"{path} takes images of {fixed} pixels, found --size={asked}"
    )
  return asked or fixed


def batch_size(asked: int | None, fixed: int | None, default: int) -> int:
  """Images of a call.

  Raises:
    AlignetError: none, or another number than the file's.
  """
  found = fixed or default if asked is None else asked
  if found < 1 or (fixed and found != fixed):
    raise AlignetError(
        f"batch size: expected {fixed or 'at least 1'}, found {found}"
    )
  return found


def output(
    path: files.Path,
    names: Collection[str],
    layer: str | None,
    default: str | None = None,
) -> str:
  """The output that a user means: None is the default, or the only one.

  Raises:
    AlignetError: no such output, or several and none named.
  """
  if layer is None and default in names:
    return default
  if layer is None and len(names) == 1:
    return next(iter(names))
  if layer not in names:
    raise AlignetError(
        f"{path} has the outputs {', '.join(names)}; expected one of them as"
        f" --layer, found {layer!r}"
    )
  return layer


def check_pool(pool: str | None) -> None:
  """Fails where pool is neither "first" nor "mean" nor None."""
  errors.check_choice("pool", pool or "mean", ("first", "mean"))


def table(path: files.Path, pixel_range: str | None) -> np.ndarray:
  """What grey values become.

  Raises:
    AlignetError: neither the user nor the file says it.
  """
  if pixel_range is None:
    raise AlignetError(
        f"{path} does not say which pixel range its network was trained on;"
        f" pass --pixel_range={pixels.FORMS}"
    )
  return pixels.table(pixel_range)


def square(path: files.Path, sides: Sequence[int | str | None]) -> int | None:
  """The side that a file fixes, or None.

  Raises:
    AlignetError: two that differ.
  """
  fixed = {side for side in sides if isinstance(side, int) and side}
  if len(fixed) > 1:
    raise AlignetError(f"{path}: expected square images, found {sides}")
  return next(iter(fixed), None)


def padded(batch: np.ndarray, fixed: int | None) -> np.ndarray:
  """A batch of the number of images that a file fixes."""
  more = max((fixed or 0) - len(batch), 0)
  return np.pad(batch, [(0, more)] + [(0, 0)] * 3) if more else batch


def vectors(out: np.ndarray, pool: str | None, what: str) -> np.ndarray:
  """An output (n, d), (n, tokens, d) or (n, d, 1, 1) -> (n, d) float32.

  Args:
    out: what the network gave.
    pool: for one vector a token: "first", which is the class token if there is
      one, or "mean", of all of them.
    what: what the output is, for the error's text.

  Raises:
    AlignetError: another shape, or tokens and no pool.
  """
  if out.ndim == 3 and pool:
    out = out[:, 0] if pool == "first" else out.mean(axis=1)
  elif out.shape[2:] == (1, 1):
    out = out[:, :, 0, 0]
  if out.ndim != 2:
    raise AlignetError(
        f"{what}: expected one vector an image, found shape {out.shape}; choose"
        " another --layer, or pass --pool=first or --pool=mean for an output of"
        " one vector a token"
    )
  return np.asarray(out, np.float32)
