"""Progress bars on stderr: silent when it is no terminal or when told so."""

from collections.abc import Iterable
import os
import sys

import tqdm

_QUIET = "ALIGNET_QUIET"


def set_quiet(quiet: bool) -> None:
  """Switches all progress bars of this process off (or on again)."""
  os.environ[_QUIET] = "1" if quiet else ""


def hidden() -> bool:
  """Whether bars are off: asked for, or stderr is no terminal."""
  return bool(os.environ.get(_QUIET)) or not sys.stderr.isatty()


def bar(
    iterable: Iterable | None = None,
    *,
    desc: str,
    total: int | None = None,
    unit: str = "it",
) -> tqdm.tqdm:
  """A tqdm bar that shows after two seconds, on a terminal only.

  Args:
    iterable: what to walk over; None for a bar that is updated by hand.
    desc: what is being done.
    total: number of units, where the iterable does not know it.
    unit: name of one unit.

  Returns:
    The bar, also a context manager.
  """
  return tqdm.tqdm(
      iterable,
      desc=desc,
      total=total,
      unit=unit,
      unit_scale=True,
      delay=2,
      disable=hidden(),
      file=sys.stderr,
  )
