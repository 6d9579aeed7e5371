"""Pickles of plain data, read without running anything they bring.

A pickle is a program: loading one may call any function of the machine. Data
sets that exist as pickles only are read once, through an unpickler that knows
numbers, strings, containers and NumPy's single numbers and refuses every other
name, and are then kept as npz. What it calls gets no more than the file holds:
a short file cannot fill the memory.
"""

from collections.abc import Callable
import io
import pickle
import pickletools
import re
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

_MAX_BYTES = 2**31

_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")

_NUMPY = (*("numpy", "numpy.core.multiarray", "numpy._core.multiarray"),)


def load(path: files.Path, *, max_bytes: int = _MAX_BYTES) -> Any:
  """Reads a pickle that holds plain data.

  Args:
    path: the file.
    max_bytes: largest file that is read.

  Returns:
    None, bool, int, float, complex, str, bytes, list, tuple, dict and set,
    nested in any way; an OrderedDict becomes a dict. NumPy's single numbers
    stay what they are; arrays are refused.

  Raises:
    AlignetError: missing, damaged, too large, or a pickle that asks for
      anything else, or for more than it holds.
  """
  try:
    with open(path, "rb") as f:
      content = f.read(max_bytes + 1)
  except FileNotFoundError as e:
    raise AlignetError(f"{path} does not exist") from e
  if len(content) > max_bytes:
    raise AlignetError(
        f"{path} is larger than the {max_bytes} bytes a pickle may have here"
    )
  try:
    _check_sizes(content)
    return _Unpickler(content).load()
  except AlignetError as e:
    raise AlignetError(f"{path}: {e}") from e
  # A damaged pickle may raise whatever the machine of pickle stumbles on.
  except Exception as e:
    raise AlignetError(
        f"{path} cannot be read as a pickle: it is truncated or of another"
        f" format ({type(e).__name__}: {e})"
    ) from e


def _check_sizes(content: bytes) -> None:
  """Fails on a place in the memo, or a length, beyond what the file has.

  The unpickler would make room for it first.
  """
  for code, argument, _ in pickletools.genops(content):
    if code.name in _PLACES and int(argument) > len(content):
      raise AlignetError(
          f"the pickle asks for room for {argument} objects, more than it has"
          " bytes; it was not loaded: it may be hostile"
      )


class _Unpickler(pickle.Unpickler):
  """Knows a few names and no other; see `load`."""

  def __init__(self, content: bytes):
    super().__init__(io.BytesIO(content))
    self._left = len(content)

  def find_class(self, module: str, name: str) -> Any:
    if module == "collections" and name == "OrderedDict":
      return self._bounded(dict)
    if module in ("builtins", "__builtin__") and name in _BUILTINS:
      return self._bounded(_BUILTINS[name])
    if module == "_codecs" and name == "encode":
      return self._bounded(_encode)
    if module in _NUMPY and name == "dtype":
      return _Dtype
    if module in _NUMPY and name == "scalar":
      return _scalar
    raise AlignetError(
        f"the pickle asks for {module}.{name}, which plain data do not need; it"
        " was not loaded: it may be hostile"
    )

  def _bounded(self, make: Callable[..., Any]) -> Callable[..., Any]:
    """Calls `make` on no more elements in all than the file has bytes."""

    def call(*args):
      # A number of elements, such as bytes(10**9), stands in no data.
      self._left -= sum(
          len(a) if hasattr(a, "__len__") else 0 if make is complex else np.inf
          for a in args
      )
      if self._left < 0:
        raise AlignetError(
            f"the pickle has {make.__name__} make more than it holds; it was"
            " not loaded: it may be hostile"
        )
      return make(*args)

    return call

  def persistent_load(self, pid: Any) -> Any:
    raise AlignetError(
        "the pickle refers to objects outside it; it was not loaded"
    )


_BUILTINS = {
    "bytearray": bytearray,
    "bytes": bytes,
    "complex": complex,
    "frozenset": frozenset,
    "set": set,
}
"""What pickles of plain data call; the other types have codes of their own."""


def _encode(text: str, encoding: str) -> bytes:
  """Bytes, as pickles of protocol 2 and before write them."""
  if encoding not in ("latin1", "latin-1"):
    raise AlignetError(
        f"the pickle asks for the encoding {encoding!r}; it was not loaded"
    )
  return text.encode("latin-1")


class _Dtype:
  """Stands for np.dtype, whose own __setstate__ trusts what it is given."""

  def __init__(self, code: str, *unused: Any):
    del unused  # align and copy
    # One letter and a number of bytes: no object, no fields.
    if not isinstance(code, str) or not re.fullmatch(r"[?biufc]\d{0,2}", code):
      raise AlignetError(
          f"the pickle holds a NumPy value of dtype {code!r}; it was not loaded"
      )
    self._code = code
    self._order = ""

  def __setstate__(self, state: tuple[Any, ...]) -> None:
    # (version, byte order, ...)
    if state[1] in ("<", ">"):
      self._order = state[1]

  def build(self) -> np.dtype:
    return np.dtype(self._order + self._code)


def _scalar(dtype: _Dtype, content: bytes) -> np.generic:
  if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
    raise AlignetError("the pickle holds a NumPy object; it was not loaded")
  (value,) = np.frombuffer(content, dtype.build())
  return value
