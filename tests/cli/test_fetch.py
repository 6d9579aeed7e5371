"""`alignet fetch`: what it prints, and what it refuses."""

import hashlib
import json
import os
import pickle
import re
import zipfile

from alignet.cli import main
from alignet.human import fetch
from alignet.human import levels as levels_lib
import pytest
from tests.human import simulated_levels
from tests.io import file_server

server = file_server.server


@pytest.fixture
def vice(server, monkeypatch):
  """The catalogue's VICE, at the server of the tests."""
  server.body = b"embedding"
  monkeypatch.setattr(
      fetch,
      "CATALOGUE",
      {"vice": fetch.find("vice", url=server.url)},
  )
  return hashlib.sha256(b"embedding").hexdigest()


def test_says_licence_citation_and_checksum(vice, server, tmp_path, capsys):
  assert main.main(["fetch", "vice", f"--out={tmp_path}"]) == 0
  out = capsys.readouterr().out
  first, licence, cite, *_ = lines = out.splitlines()
  assert first == "vice: https://github.com/LukasMut/VICE"
  assert licence.startswith("licence: GPL-3.0")
  assert cite.startswith("please cite: Muttenthaler")
  assert lines[-1] == (
      f"{tmp_path}/things_concepts.tsv: downloaded, sha256 {vice}, not known"
      " before, written to sha256.json"
  )
  record = json.loads((tmp_path / "sha256.json").read_text())
  assert set(record) == {f.name for f in fetch.CATALOGUE["vice"].files}
  assert {entry["sha256"] for entry in record.values()} == {vice}

  assert main.main(["fetch", "vice", f"--out={tmp_path}"]) == 0
  out = capsys.readouterr().out
  assert f"already there, sha256 {vice}, as expected" in out
  assert len(server.seen) == 3


def test_licence_is_said_before_the_download(vice, server, tmp_path, capsys):
  server.codes = [404]
  assert main.main(["fetch", "vice", f"--out={tmp_path}"]) == 2
  out, err = capsys.readouterr()
  assert "licence: GPL-3.0" in out and "please cite" in out
  assert err.startswith("alignet fetch: error: http://127.0.0.1")
  assert "404" in err and err.count("\n") == 1


def test_any_file_with_its_checksum(server, tmp_path, capsys):
  sha256 = hashlib.sha256(server.body).hexdigest()
  args = ["fetch", "x.bin", f"--out={tmp_path}", f"--url={server.url}/d/"]
  assert main.main([*args, f"--sha256={'0' * 64}"]) == 2
  assert "expected the sha256 0000" in capsys.readouterr().err
  assert main.main([*args, f"--sha256=x.bin={sha256}", "--quiet"]) == 0
  assert capsys.readouterr().out == ""
  assert (tmp_path / "x.bin").read_bytes() == server.body
  assert server.seen[-1][0] == "/d/x.bin"


def test_sets_without_a_known_address(server, tmp_path, capsys):
  args = ["fetch", "hebart2020", f"--out={tmp_path}"]
  assert main.main(args) == 2
  out, err = capsys.readouterr()
  assert "please cite: Hebart" in out and "osf.io/z2784" in out
  assert "RDM48_triplet.mat: no address is known (named in" in out
  assert "see https://osf.io/z2784/ and pass --url=BASE" in err
  url = f"--url={server.url}/d"
  assert main.main([*args, "--only=RDM48_triplet.mat", url]) == 0
  assert (tmp_path / "RDM48_triplet.mat").read_bytes() == server.body
  assert [path for path, *_ in server.seen] == ["/d/RDM48_triplet.mat"]


def test_an_archive_with_a_path_outside(server, tmp_path, capsys):
  """The file is kept, nothing of it lies anywhere."""
  with zipfile.ZipFile(tmp_path / "x", "w") as z:
    z.writestr("good.txt", "1")
    z.writestr("../../evil.txt", "2")
  server.body = (tmp_path / "x").read_bytes()
  out = tmp_path / "a" / "b"
  args = ["fetch", "d.zip", f"--out={out}", f"--url={server.url}", "--unpack"]
  assert main.main(args) == 2
  err = capsys.readouterr().err
  assert "'../../evil.txt' has a path that leads out of the folder" in err
  assert {p.name for p in tmp_path.rglob("*")} == {
      *("x", "a", "b", "d.zip", "sha256.json"),
  }
  assert not list(tmp_path.parent.glob("evil*"))


def test_unpack(server, tmp_path, capsys):
  with zipfile.ZipFile(tmp_path / "x", "w") as z:
    z.writestr("a.txt", "a")
  server.body = (tmp_path / "x").read_bytes()
  args = ["fetch", "d.zip", f"--out={tmp_path}", f"--url={server.url}"]
  assert main.main([*args, "--unpack"]) == 0
  assert f"{tmp_path}/d: unpacked" in capsys.readouterr().out
  assert (tmp_path / "d" / "a.txt").read_text() == "a"
  # Once is enough, until it is to be done again.
  (tmp_path / "d" / "a.txt").write_text("mine")
  assert main.main([*args, "--unpack"]) == 0
  assert (tmp_path / "d" / "a.txt").read_text() == "mine"
  assert main.main([*args, "--unpack", "--overwrite"]) == 0
  assert (tmp_path / "d" / "a.txt").read_text() == "a"


def test_unknown_dataset(tmp_path, capsys):
  assert main.main(["fetch", "level", f"--out={tmp_path / 'out'}"]) == 2
  assert "expected things, vice, levels" in capsys.readouterr().err
  assert not (tmp_path / "out").exists()


def test_help_names_the_datasets_and_those_without_address(capsys):
  with pytest.raises(SystemExit):
    main.main(["fetch", "--help"])
  text = " ".join(capsys.readouterr().out.split())
  for name, dataset in fetch.CATALOGUE.items():
    assert dataset.about
    (part,) = re.findall(rf"{name}: {re.escape(dataset.about)}[^.]*\.", text)
    unknown = all(file.url is None for file in dataset.files)
    assert ("--url alone" in part) == unknown
  assert fetch.RECORD in text


@pytest.fixture
def levels(server, monkeypatch):
  """The catalogue's Levels, simulated, at the server of the tests."""
  server.body = pickle.dumps(simulated_levels.participants(2, 3))
  dataset = fetch.find("levels", url=server.url)
  monkeypatch.setattr(fetch, "CATALOGUE", {"levels": dataset})
  return server


def test_levels_become_an_npz(levels, tmp_path, capsys):
  # The connection breaks twice and goes on.
  levels.cuts = [1000, 2000]
  assert main.main(["fetch", "levels", f"--out={tmp_path}"]) == 0
  out = capsys.readouterr().out
  assert "levels.npz: 20 answers, 2 participants" in out
  assert [asked for _, asked, _ in levels.seen] == [
      None,
      "bytes=1000-",
      "bytes=3000-",
  ]
  assert len(levels_lib.read(tmp_path / "levels.npz")) == 20
  assert main.main(["fetch", "levels", f"--out={tmp_path}"]) == 0
  assert "levels.npz: already there" in capsys.readouterr().out
  assert len(levels.seen) == 3


def test_levels_from_another_address(levels, tmp_path, capsys):
  url = f"--url={levels.url}/redirect/d"
  assert main.main(["fetch", "levels", f"--out={tmp_path}", url]) == 0
  assert [path for path, *_ in levels.seen] == [
      "/redirect/d/pruned_dataset.pkl",
      "/d/pruned_dataset.pkl",
  ]
  assert "20 answers" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["checksum", "missing"])
def test_levels_that_are_not_as_expected(levels, tmp_path, capsys, wrong):
  args = ["fetch", "levels", f"--out={tmp_path}"]
  if wrong == "missing":
    levels.codes = [404]
    message = "answers 404"
  else:
    args.append(f"--sha256={'0' * 64}")
    message = "expected the sha256 0000"
  assert main.main(args) == 2
  assert message in capsys.readouterr().err
  assert not list(tmp_path.glob("*.npz")) + list(tmp_path.glob("*.pkl"))


def test_hostile_levels_are_refused(levels, tmp_path, capsys, monkeypatch):
  monkeypatch.chdir(tmp_path)

  class Hostile:

    def __reduce__(self):
      return os.system, ("touch HOSTILE",)

  levels.body = pickle.dumps({"person": [Hostile()]})
  assert main.main(["fetch", "levels", f"--out={tmp_path}"]) == 2
  assert "system, which plain data do not need" in capsys.readouterr().err
  assert not (tmp_path / "HOSTILE").exists()
  assert not (tmp_path / "levels.npz").exists()
