"""JSON: written sorted and finite, read with a bound and checked for its form.

JSON may be anybody's: a model's description, scores, manifests, configs of
other programs. A form is a type, such as `dict[str, float]` or a dataclass with
the keys that a reader needs; other keys are let through. pydantic compares
strictly: it does not take the text "1" for a number.
"""

from collections.abc import Mapping
import functools
import json
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
import numpy as np

Object = dict[str, Any]

_MAX_BYTES = 2**28
_SHOWN = 60


def write(path: files.Path, value: Any, *, overwrite: bool = False) -> None:
  """Writes sorted, indented JSON; NaN and infinity are refused."""
  text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
  with files.atomic_write(path, overwrite=overwrite) as f:
    f.write(text.encode() + b"\n")


def read(path: files.Path, form: Any = Object, *, mend: str = "") -> Any:
  """Reads JSON of a form.

  Args:
    path: a file of at most 256 MiB.
    form: the type that it is to have.
    mend: what to do about another, for the message.

  Raises:
    AlignetError: missing, too large, no JSON, or of another form.
  """
  try:
    text = files.read_bytes(path, _MAX_BYTES)
  except FileNotFoundError as e:
    raise files.missing(path) from e
  return parse(text, str(path), form, mend=mend)


def parse(
    text: str | bytes, what: str, form: Any = Object, *, mend: str = ""
) -> Any:
  """JSON text of a form; `what` names it in messages.

  Raises:
    AlignetError: no JSON, or of another form.
  """
  # Not at the top: most commands start without it.
  import pydantic  # pylint: disable=g-import-not-at-top

  try:
    value = json.loads(text)
    _adapter(form).validate_json(text, strict=True)
  except pydantic.ValidationError as e:
    # Of alternatives, the one that got furthest is meant.
    found = e.errors(include_url=False, include_context=False)
    worst = max(found, key=lambda error: len(error["loc"]))
    raise AlignetError(
        f"{what}{_place(worst['loc'])}: {_message(worst)}"
        f"{mend and '; '}{mend}"
    ) from e
  except (ValueError, RecursionError) as e:
    raise AlignetError(
        f"{what} is not valid JSON ({e}){mend and '; '}{mend}"
    ) from e
  return value


def differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
  """Keys whose values differ, or that only one has, of JSON-serialisables."""
  wanted = json.loads(json.dumps(wanted))
  return sorted(
      key
      for key in found.keys() | wanted.keys()
      if found.get(key) != wanted.get(key)
  )


def array(value: Any) -> np.ndarray:
  """JSON as an array of one string: how an npz carries its `meta`."""
  return np.array(json.dumps(value, sort_keys=True, allow_nan=False))


def parse_array(text: np.ndarray, what: str, form: Any = Object) -> Any:
  """What `array` wrote.

  Raises:
    AlignetError: no string, no JSON, or of another form.
  """
  return parse(
      str(files.check_array(text, what, shape=(), kinds="U")), what, form
  )


@functools.cache
def _adapter(form: Any) -> Any:
  import pydantic  # pylint: disable=g-import-not-at-top

  return pydantic.TypeAdapter(form)


def _place(keys: tuple[int | str, ...]) -> str:
  text = ".".join(str(key) for key in keys if "[" not in str(key))
  return f", {_short(text)}" if text else ""


def _message(error: Mapping[str, Any]) -> str:
  if error["type"] == "missing":
    return "expected this key, found none"
  text = error["msg"].replace("Input should be ", "expected ")
  text = text.replace("an object", "a JSON object")
  if error["type"] == "json_invalid":
    return text
  return f"{text}, found {_short(repr(error['input']))}"


def _short(text: str) -> str:
  return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
