"""Names that a package exports without importing what defines them."""

from collections.abc import Callable, Mapping
import importlib
from typing import Any


def exports(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
  """Returns `__getattr__`, `__dir__` and `__all__` of a package (PEP 562).

  Args:
    package: the package's `__name__`.
    homes: exported name to the module that defines it, relative to the package.
      A name that is the last part of its module stands for the module itself.
  """

  def get(name: str) -> Any:
    if name not in homes:
      raise AttributeError(f"module {package!r} has no attribute {name!r}")
    module = importlib.import_module(f"{package}.{homes[name]}")
    is_module = homes[name].rpartition(".")[2] == name
    return module if is_module else getattr(module, name)

  return get, lambda: sorted(homes), list(homes)
