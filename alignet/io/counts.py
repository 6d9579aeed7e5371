"""Numbers of things as people write them: 10M, 1e5, 10_000."""

import decimal

from alignet.errors import AlignetError

_FACTORS = {"k": 10**3, "M": 10**6, "G": 10**9}


def parse(text: str) -> int:
  """Returns the whole number that a text stands for.

  Args:
    text: digits, `_` between them allowed; a power of ten as in 1e5; or k, M or
      G (thousand, million, billion) behind them.

  Raises:
    AlignetError: something else, no whole number, or one beyond 64 bits.
  """
  digits, factor = text.strip(), 1
  if digits[-1:] in _FACTORS:
    digits, factor = digits[:-1], _FACTORS[digits[-1]]
  try:
    number = decimal.Decimal(digits) * factor
    if abs(number) < 2**63 and number == int(number):
      return int(number)
  except (decimal.DecimalException, ValueError):
    pass
  raise AlignetError(
      f"expected a whole number such as 5000, 1e5 or 10M, found {text!r}"
  )
