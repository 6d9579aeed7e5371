"""JSON of a form, or one sentence."""

import dataclasses

from alignet.errors import AlignetError
from alignet.io import json_files
import numpy as np
import pytest


@dataclasses.dataclass(frozen=True)
class _Form:
  name: str
  sizes: list[int]
  ratio: float | None = None


def test_what_is_written_is_read(tmp_path):
  value = {"name": "a", "sizes": [1, 2], "more": {"x": None}}
  json_files.write(tmp_path / "x.json", value)
  assert json_files.read(tmp_path / "x.json", _Form) == value
  assert json_files.parse_array(json_files.array(value), "x", _Form) == value


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "x.json is not valid JSON"),
        ("", "x.json is not valid JSON"),
        ("\0", "x.json is not valid JSON"),
        ("[" * 10**6, "x.json is not valid JSON"),
        ('{"a":' * 10**6, "x.json is not valid JSON"),
        ("[]", "x.json: expected a JSON object, found []"),
        ("{}", "x.json, name: expected this key, found none"),
        ('{"name": 3, "sizes": []}', "x.json, name: expected a valid string"),
        ('{"name": "", "sizes": ["1"]}', "x.json, sizes.0: expected a valid"),
        ('{"name": "", "sizes": [1.5]}', "x.json, sizes.0: expected a valid"),
        ('{"name": "", "sizes": [], "ratio": true}', "ratio"),
        ('{"name": ' + '"x"' * 9 + "}", "x.json is not valid JSON"),
        ('{"name": [' + '"x",' * 99999 + '"x"], "sizes": []}', "valid string"),
    ],
)
def test_another_form(tmp_path, text, message):
  (tmp_path / "x.json").write_text(text)
  with pytest.raises(AlignetError) as error:
    json_files.read(tmp_path / "x.json", _Form, mend="write it again")
  assert message in str(error.value)
  assert str(error.value).endswith("; write it again")
  assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_a_file_that_is_missing_or_too_large(tmp_path, monkeypatch):
  with pytest.raises(AlignetError, match="does not exist"):
    json_files.read(tmp_path / "x.json")
  monkeypatch.setattr(json_files, "_MAX_BYTES", 2**20)
  (tmp_path / "x.json").write_bytes(b" " * (2**20 + 1))
  with pytest.raises(AlignetError, match="expected at most 1 MiB, found more"):
    json_files.read(tmp_path / "x.json")


def test_an_array_that_is_no_text():
  with pytest.raises(AlignetError, match="expected strings"):
    json_files.parse_array(np.array(3), "meta in x.npz")
