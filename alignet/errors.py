"""Exceptions whose message is one sentence meant for the person who reads it.

The command line prints the message alone and exits with code 2.
"""


class AlignetError(ValueError):
  """Something given to alignet cannot be used.

  The message says what was expected, what was found and what mends it.
  """


class OutputExistsError(AlignetError):
  """The output is already there and nobody asked for it to be replaced."""


class DiskFullError(AlignetError):
  """There was no space left for an output; nothing of it was kept."""
