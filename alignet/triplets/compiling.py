"""Compiles a loop over rows, and keeps the machine code where it can.

numba takes half a second to load, so whoever calls a kernel imports its module
inside the function that calls. Kernels hold no lock of the interpreter and
start no threads of their own; `alignet.io.parallel` runs several at once, which
is safe in threads and after a fork alike.

numba writes it beside the module, or, where that folder is read-only, into
$NUMBA_CACHE_DIR or the user's cache folder. Where it finds no place at all the
kernel is compiled anew in each process.

What is kept is thrown away when the kernel's own file changes, and only then:
whatever is compiled into a kernel, constants too, stands in its file. Of this
file the kept code knows nothing: whoever changes the options below also changes
the kernels' files, or deletes what is kept.
"""

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
  """`numba.njit` without the interpreter's lock, cached where possible.

  No fast-math: sums are taken in the order in which they are written, so that
  the bytes of a result do not depend on the processor.
  """
  try:
    return numba.njit(function, nogil=True, cache=True)
  except RuntimeError:  # No place to write to.
    return numba.njit(function, nogil=True)
