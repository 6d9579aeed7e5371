"""Exceptions whose message is one sentence meant for the person who reads it.

The command line prints the message alone and exits with code 2.
"""

from collections.abc import Iterable


class AlignetError(ValueError):
  """Something given to alignet cannot be used.

  The message says what was expected, what was found and what mends it.
  """


class OutputExistsError(AlignetError):
  """The output is already there and nobody asked for it to be replaced."""


class DiskFullError(AlignetError):
  """There was no space left for an output; nothing of it was kept."""


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
