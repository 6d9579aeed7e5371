"""Every config equals its checked-in golden text.

A changed hyper-parameter is a visible diff. After an intended change:

  ALIGNET_UPDATE_GOLDENS=1 python -m pytest tests/configs/test_goldens.py
"""

import difflib
import os
import pathlib
import re
from typing import Any

from alignet.io import config_files
import ml_collections
import pytest

_GOLDEN = pathlib.Path(__file__).parent / "golden"
_UPDATE = os.environ.get("ALIGNET_UPDATE_GOLDENS", "") not in ("", "0")
_COMMAND = (
    "ALIGNET_UPDATE_GOLDENS=1 python -m pytest tests/configs/test_goldens.py"
)


def _golden_path(name: str) -> pathlib.Path:
  return _GOLDEN / f"{name.replace('/', '__')}.txt"


def _render(config: Any) -> str:
  """Stable text, one field a line."""
  from kauldron import konfig  # pylint: disable=g-import-not-at-top

  if isinstance(config, konfig.ConfigDict):
    if "xm_job" in config:  # Kauldron's defaults for a launcher we do not use.
      del config["xm_job"]
    return f"{config!r}\n"
  if not isinstance(config, ml_collections.ConfigDict):
    raise TypeError(f"get_config() returned a {type(config).__name__}")
  return f"{config.to_json_best_effort(indent=2, sort_keys=True)}\n"


@pytest.mark.parametrize("name", config_files.names())
def test_config_equals_golden(name):
  text = _render(config_files.load(name))
  assert not re.search(r" at 0x[0-9a-f]+", text), "an object without a repr"
  path = _golden_path(name)
  if _UPDATE:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
  assert path.is_file(), f"{name} has no golden text: run {_COMMAND}"
  golden = path.read_text()
  diff = "\n".join(
      difflib.unified_diff(
          golden.splitlines(), text.splitlines(), "golden", name, lineterm=""
      )
  )
  assert text == golden, f"{diff}\nif this is intended, run {_COMMAND}"


def test_no_golden_is_left_over():
  wanted = {_golden_path(name).name for name in config_files.names()}
  found = {path.name for path in _GOLDEN.glob("*.txt")}
  if _UPDATE:
    for stale in found - wanted:
      (_GOLDEN / stale).unlink()
    found &= wanted
  assert found <= wanted, f"goldens without a config: {sorted(found - wanted)}"
