"""Exceptions whose message is one sentence meant for the person who reads it.

The command line prints the message alone and exits with code 2.
"""

from collections.abc import Iterable
import os
import re
import sys


class AlignetError(ValueError):
  """Something given to alignet cannot be used.

  The message says what was expected, what was found and what mends it.
  """


class OutputExistsError(AlignetError):
  """The output is already there and nobody asked for it to be replaced."""


class DiskFullError(AlignetError):
  """There was no space left for an output; nothing of it was kept."""


_NO_DEVICE = "Unable to initialize backend"

_ENVIRONMENT = (
    (
        _NO_DEVICE,
        "JAX finds no device of the platform that JAX_PLATFORMS asks for"
        " ({platforms}); unset it, or install JAX for that platform",
    ),
    (
        r"No space left on device|ENOSPC|RESOURCE_EXHAUSTED.*space",
        "no space is left on the disk ({message}); free some, then run the same"
        " command again",
    ),
    (
        r"[Tt]oo many open files|EMFILE",
        "too many files are open ({message}); allow more with `ulimit -n 4096`,"
        " or use fewer workers",
    ),
    (
        r"[Ss]harding.*(divisible|evenly divide)",
        "the batch cannot be divided among the devices ({message}); give"
        " another --cfg.aux.batch_size, a multiple of their number",
    ),
    (
        r"File name too long",
        "a file name is too long for the file system ({message}); choose a"
        " shorter one",
    ),
)


def explain(error: BaseException) -> str | None:
  """What a library's error says of the environment; None of any other."""
  seen = set()
  while error is not None and id(error) not in seen:
    seen.add(id(error))
    message = " ".join(str(error).split())
    if isinstance(error, AssertionError) and _lacks_device():
      message = _NO_DEVICE  # JAX says no more of it, and hides its place.
    platforms = os.environ.get("JAX_PLATFORMS", "")
    for pattern, text in _ENVIRONMENT:
      if re.search(pattern, message):
        return text.format(message=message[-300:], platforms=platforms)
    error = error.__cause__ or error.__context__
  return None


def _lacks_device() -> bool:
  """Whether JAX cannot begin on the platform that it is to use."""
  if "jax" not in sys.modules or not os.environ.get("JAX_PLATFORMS"):
    return False
  try:
    sys.modules["jax"].devices()
  except (AssertionError, RuntimeError):
    return True
  return False


def check_choice(name: str, value: object, allowed: Iterable[object]) -> None:
  """Fails where a setting is none of those there are."""
  allowed = tuple(allowed)
  if value not in allowed:
    raise AlignetError(
        f"{name}: expected one of {', '.join(map(str, allowed))}, found"
        f" {value!r}"
    )


def check_least(least: float, **settings: float | None) -> None:
  """Fails where a setting is given and less than it must be."""
  for name, value in settings.items():
    if value is not None and not value >= least:
      raise AlignetError(f"{name}: expected at least {least}, found {value}")
