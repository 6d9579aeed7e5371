"""Tests of alignet.human.fetch, against a server on this machine."""

import hashlib
import json
import re

from alignet.errors import AlignetError
from alignet.human import fetch
from alignet.human import similarity_sets
from alignet.human import things
import pytest
from tests.io import file_server

server = file_server.server

_BODY, _OTHER, _SHA = file_server.BODY, file_server.OTHER, file_server.SHA


def _dataset(server, **kwargs):
  return fetch.Dataset(
      name="d",
      files=(
          fetch.File(name="f.bin", url=f"{server.url}/f.bin", **kwargs),
          fetch.File(name="g.bin", url=f"{server.url}/g.bin"),
      ),
  )


def test_fetch_does_nothing_twice(server, tmp_path):
  out = tmp_path / "out"
  first = fetch.fetch(_dataset(server, sha256=_SHA), out)
  assert [f.checked for f in first] == [True, False]
  assert all(f.downloaded and f.sha256 == _SHA for f in first)
  assert first[0].path == out / "f.bin"
  record = json.loads((out / fetch.RECORD).read_text())
  assert record["g.bin"] == {
      "sha256": _SHA,
      "size": 300_000,
      "url": f"{server.url}/g.bin",
  }
  again = fetch.fetch(_dataset(server, sha256=_SHA), out)
  # What was found the first time is what is expected now.
  assert [f.checked for f in again] == [True, True]
  assert not any(f.downloaded for f in again) and len(server.seen) == 2


def test_unknown_checksums_are_compared_with_the_record(server, tmp_path):
  fetch.fetch(_dataset(server), tmp_path)
  server.body = _OTHER
  (tmp_path / "g.bin").unlink()
  with pytest.raises(AlignetError, match=f"/g.bin: expected the sha256 {_SHA}"):
    fetch.fetch(_dataset(server), tmp_path)
  (tmp_path / "f.bin").write_bytes(b"altered")
  with pytest.raises(AlignetError, match=f"f.bin is there .*{_SHA}; move"):
    fetch.fetch(_dataset(server), tmp_path)
  found = fetch.fetch(_dataset(server), tmp_path, overwrite=True)
  assert {f.sha256 for f in found} == {hashlib.sha256(_OTHER).hexdigest()}
  assert json.loads((tmp_path / fetch.RECORD).read_text())["g.bin"][
      "sha256"
  ] == (found[1].sha256)


def test_files_of_unknown_origin_are_recorded_as_they_are(server, tmp_path):
  (tmp_path / "g.bin").write_bytes(b"mine")
  (tmp_path / "f.bin").write_bytes(_BODY)
  f, g = fetch.fetch(_dataset(server, sha256=_SHA), tmp_path)
  assert (f.checked, g.checked) == (True, False)
  assert not server.seen and not (f.downloaded or g.downloaded)
  record = json.loads((tmp_path / fetch.RECORD).read_text())
  assert record["g.bin"]["sha256"] == hashlib.sha256(b"mine").hexdigest()
  assert record["g.bin"]["url"] is None


def test_existing_file_with_another_checksum(server, tmp_path):
  (tmp_path / "f.bin").write_bytes(b"old")
  with pytest.raises(AlignetError, match="f.bin is there with .*--overwrite"):
    fetch.fetch(_dataset(server, sha256=_SHA), tmp_path)
  assert (tmp_path / "f.bin").read_bytes() == b"old"
  found, _ = fetch.fetch(
      _dataset(server, sha256=_SHA), tmp_path, overwrite=True
  )
  assert found.downloaded and (tmp_path / "f.bin").read_bytes() == _BODY


def test_no_address(tmp_path):
  dataset = fetch.Dataset(name="d", files=(fetch.File(name="f", url=None),))
  with pytest.raises(AlignetError, match="no address of f is known"):
    fetch.fetch(dataset, tmp_path)


def test_bad_record(server, tmp_path):
  (tmp_path / fetch.RECORD).write_text("[]")
  with pytest.raises(AlignetError, match="expected a JSON object"):
    fetch.fetch(_dataset(server), tmp_path)


def test_find():
  dataset = fetch.find("things", url="https://mirror.org/d/")
  assert [f.url for f in dataset.files] == [
      f"https://mirror.org/d/{f.name}" for f in fetch.CATALOGUE["things"].files
  ]
  assert dataset.files[1].sha256 == fetch.CATALOGUE["things"].files[1].sha256
  dataset = fetch.find("things", sha256={"unique_id.txt": "A" * 64})
  assert dataset.files[1].sha256 == "a" * 64 and dataset.files[1].size is None
  (file,) = fetch.find(
      "my file.npy", url="http://a", sha256={"": "0" * 64}
  ).files
  assert (file.url, file.sha256) == ("http://a/my%20file.npy", "0" * 64)


@pytest.mark.parametrize(
    "name, more, message",
    [
        (
            "thing",
            {},
            "'thing'; expected .*things, vice, .*alignet, or .*--url",
        ),
        ("a/b", {"url": "http://a"}, "without folders, found 'a/b'"),
        ("..", {"url": "http://a"}, "without folders"),
        ("sha256.json", {"url": "http://a"}, "without folders"),
        ("f", {"url": "mirror"}, "http:// or https://, found 'mirror/f'"),
        ("things", {"sha256": {"": "0" * 64}}, "pass --sha256=FILE=HEX"),
        ("things", {"sha256": {"f": "0" * 64}}, "sha256 of f: things has"),
        ("vice", {"sha256": {"item_names.tsv": "12"}}, "64 hex.* found '12'"),
    ],
)
def test_cannot_be_found(name, more, message):
  with pytest.raises(AlignetError, match=message):
    fetch.find(name, **more)


def test_catalogue_is_sound():
  for name, dataset in fetch.CATALOGUE.items():
    assert fetch.find(name) == dataset
    assert dataset.licence and dataset.citation and dataset.homepage
    for file in dataset.files:
      assert file.url is None or file.url.startswith("https://")
      assert file.note
      assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_every_similarity_set_can_be_fetched():
  assert set(similarity_sets.SETS) <= set(fetch.CATALOGUE)
  for name in similarity_sets.SETS:
    assert all(f.url for f in fetch.find(name, url="https://a.org").files)


def test_checksum_of_the_concepts_is_that_of_the_real_list(test_data):
  concepts = things.read_concepts(test_data / "things" / "concepts.tsv")
  text = "".join(f"{name}\n" for name in concepts.unique_id)
  (file,) = (
      f for f in fetch.CATALOGUE["things"].files if f.name == "unique_id.txt"
  )
  assert hashlib.sha256(text.encode()).hexdigest() == file.sha256
  assert len(text.encode()) == file.size


def test_alignet_keeps_the_folders_of_the_release(server, tmp_path):
  dataset = fetch.find(
      "alignet", url=server.url, only=["*/val_within_class.npz"]
  )
  names = [file.name for file in dataset.files]
  assert names == [
      "uncertainty_distillation/val_within_class.npz",
      "untransformed/val_within_class.npz",
  ]
  found = fetch.fetch(dataset, tmp_path)
  assert [f.path for f in found] == [tmp_path / name for name in names]
  assert all(f.downloaded and not f.checked for f in found)
  record = json.loads((tmp_path / fetch.RECORD).read_text())
  assert record[names[0]]["sha256"] == _SHA
  again = fetch.fetch(dataset, tmp_path)
  assert all(f.checked and not f.downloaded for f in again)


def test_alignet_is_at_the_address_of_the_authors():
  dataset = fetch.find("alignet")
  base = "https://storage.googleapis.com/alignet/data/release_1.1"
  assert [f.url for f in dataset.files] == [
      f"{base}/{f.name}" for f in dataset.files
  ]
  names = {f.name for f in dataset.files}
  assert len(names) == len(dataset.files) == 18
  assert {"alignet_train.npz", "alignet_valid.npz"} <= names
  assert all(
      f.sha256 is None and "never tried" in f.note for f in dataset.files
  )


def test_no_file_fits():
  with pytest.raises(AlignetError, match="no file of things fits x\\*; its"):
    fetch.find("things", only=["x*"])
