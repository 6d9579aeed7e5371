"""Files that cannot be read, and meta that cannot be: a check fails."""

import json
import zipfile

from alignet.errors import AlignetError
from alignet.release import verify
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest
from tests.release.verify import good_file


def test_unreadable_file(path):
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])
  (check,) = verify.verify(path).checks
  assert (check.name, check.status) == ("readable", "fail")
  assert "truncated" in check.message
  with pytest.raises(AlignetError, match="does not exist"):
    verify.verify(path.with_name("nowhere"))


@pytest.mark.parametrize("key", ["indices", "similarities", "meta"])
@pytest.mark.parametrize("mapped", [False, True])
def test_one_bit_of_damage(tmp_path, monkeypatch, mapped, key):
  """A memory map never meets the checksum."""
  if mapped:
    monkeypatch.setattr(npz, "MAPPED_ROWS", 1)
  path = tmp_path / "a.npz"
  rows = sampling.sample(good_file.LABELS, "border", 200, seed=0)
  s = similarity.of_triplets(good_file.TRANSFORM(good_file.FEATURES), rows)
  npz.write(path, good_file.NAMES, rows, s, meta={"note": "x" * 100})
  assert verify.verify(path).ok
  with zipfile.ZipFile(path) as archive:
    info = archive.getinfo(f"{key}.npy")
  data = bytearray(path.read_bytes())
  # The lowest bit of a number in the middle; of meta, some bit.
  data[info.header_offset + 30 + (40 if key == "meta" else 1000)] ^= 1
  path.write_bytes(data)
  check = verify.verify(path)["readable"]
  assert check.status == "fail" and f"{key} in" in check.message


@pytest.mark.parametrize(
    "meta",
    [
        {"temperature": "x"},
        {"temperature": None},
        {"temperature": 0},
        {"temperature": True},
        {"temperature": 10**400},
        {"store": [1]},
        {"similarity": {}},
    ],
)
def test_meta_that_cannot_be(rewrite, meta):
  path = rewrite(meta=np.array(json.dumps(meta)))
  verification = verify.verify(path, **good_file.ALL)
  (key,) = meta
  assert verification["meta"].status == "fail"
  assert f"expected {key}" in verification["meta"].message
  assert verification["recomputed"].status == "skipped"


@pytest.mark.parametrize("meta", ["[1]", "{", "[" * 100_000])
def test_meta_that_is_none(rewrite, meta):
  verification = verify.verify(rewrite(meta=np.array(meta)), **good_file.ALL)
  assert verification["readable"].status == "fail"
  assert "meta in" in verification["readable"].message


def test_names_in_no_encoding(rewrite):
  names_ = np.full((200, 3), b"\xff")
  check = verify.verify(rewrite(filenames=names_))["readable"]
  assert check.status == "fail" and "not in UTF-8" in check.message


def test_damaged_names(path):
  data = bytearray(path.read_bytes())
  data[150] ^= 255  # Inside of the compressed names.
  path.write_bytes(data)
  check = verify.verify(path)["readable"]
  assert check.status == "fail"
  assert "filenames in" in check.message and "cannot be read" in check.message
