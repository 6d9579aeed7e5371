"""The runner: fingerprints, resume, sharing, one clear error."""

import fcntl
import json
import os
import pathlib
import shutil

from alignet.cli import main
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.pipeline import runner
import ml_collections
import pytest

_calls = []


@runner.stage(version=1)
def number(out: pathlib.Path, *, value: int) -> None:
  _calls.append("number")
  json_files.write(out / "number.json", value)


@runner.stage(version=1)
def total(out: pathlib.Path, *, of: dict, plus: int = 0) -> None:
  _calls.append("total")
  value = sum(json_files.read(path, int) for path in of.values()) + plus
  json_files.write(out / "total.json", value)


@runner.stage(version=1, resumable=True)
def stubborn(out: pathlib.Path, *, value: int) -> None:
  """Fails the first time, and finds its own traces the second."""
  _calls.append("stubborn")
  half = out / "half.json"
  if not half.exists():
    json_files.write(half, value)
    raise AlignetError("stopped half-way")


@runner.stage(version=1)
def forgetful(out: pathlib.Path, *, value: int) -> None:
  """As `stubborn`, but without the right to its own traces."""
  assert not list(out.iterdir())
  json_files.write(out / "half.json", value)
  if value and not _calls:
    _calls.append("forgetful")
    raise AlignetError("stopped half-way")


def _name(function):
  return f"{__name__}.{function.__name__}"


@pytest.fixture(autouse=True)
def _no_calls():
  _calls.clear()


def _config(a=1, b=2, plus=0):
  config = ml_collections.ConfigDict()
  config.stages = dict(
      sum=dict(
          run=_name(total),
          inputs=dict(of=dict(a="a/number.json", b="b/number.json")),
          params=dict(plus=plus),
      ),
      a=dict(run=_name(number), params=dict(value=a)),
      b=dict(run=_name(number), params=dict(value=b)),
  )
  config.publish = ("sum/total.json",)
  return config


def _quiet(line):
  del line


@pytest.mark.parametrize(
    "params, message",
    [
        ({}, "missing .*'value'.*takes value: int; found none$"),
        (dict(value=1, size=2), "got an .*'size'.*found size, value$"),
    ],
)
def test_a_call_that_cannot_be_is_refused_before_anything_runs(
    tmp_path, params, message
):
  config = _config()
  config.stages.last = dict(run=_name(number), params=params)
  with pytest.raises(AlignetError, match=f"stage last: {message}"):
    runner.run(config, tmp_path, say=_quiet)
  assert not _calls


def test_stages_run_in_order_and_are_published(tmp_path):
  runner.run(_config(), tmp_path, say=_quiet)
  assert json.loads((tmp_path / "total.json").read_text()) == 3
  assert _calls == ["number", "number", "total"]


def test_published_under_another_name(tmp_path):
  config = _config()
  config.publish = (("sum/total.json", "sum.json"), "a/number.json")
  runner.run(config, tmp_path, say=_quiet)
  assert json.loads((tmp_path / "sum.json").read_text()) == 3
  assert (tmp_path / "number.json").exists()
  assert not (tmp_path / "total.json").exists()


def test_nothing_is_done_twice_and_only_what_changed_again(tmp_path):
  runner.run(_config(), tmp_path, say=_quiet)
  _calls.clear()
  runner.run(_config(), tmp_path, say=_quiet)
  assert _calls == []
  runner.run(_config(b=5), tmp_path, say=_quiet)
  assert _calls == ["number", "total"]
  assert json_files.read(tmp_path / "total.json", int) == 6
  _calls.clear()
  # Back again: all of it is still there.
  runner.run(_config(), tmp_path, say=_quiet)
  assert _calls == []
  assert json_files.read(tmp_path / "total.json", int) == 3


def test_fingerprint_depends_on_params_inputs_and_version(monkeypatch):
  plain = runner.plan(_config())
  same = runner.plan(_config())
  assert {k: v["fingerprint"] for k, v in plain.items()} == {
      k: v["fingerprint"] for k, v in same.items()
  }
  assert runner.plan(_config(plus=1))["sum"] != plain["sum"]
  changed = runner.plan(_config(a=9))
  assert changed["sum"]["fingerprint"] != plain["sum"]["fingerprint"]
  assert changed["b"]["fingerprint"] == plain["b"]["fingerprint"]
  monkeypatch.setattr(number, "stage_version", 2)
  newer = runner.plan(_config())
  for name in plain:
    assert newer[name]["fingerprint"] != plain[name]["fingerprint"]


def test_fingerprint_depends_on_files_content(tmp_path):
  outside = tmp_path / "value.json"
  config = ml_collections.ConfigDict()
  config.stages = dict(
      sum=dict(run=_name(total), files=dict(of=dict(a=str(outside))))
  )
  prints = []
  for value in (1, 2):
    json_files.write(outside, value, overwrite=True)
    runner.run(config, tmp_path / "out", say=_quiet)
    prints.append(runner.plan(config)["sum"]["fingerprint"])
  assert prints[0] != prints[1]
  assert _calls == ["total", "total"]


@pytest.mark.parametrize("function", [stubborn, forgetful])
def test_an_interrupted_stage_is_taken_up_again(tmp_path, function):
  config = ml_collections.ConfigDict()
  config.stages = dict(it=dict(run=_name(function), params=dict(value=1)))
  with pytest.raises(AlignetError, match="half-way"):
    runner.run(config, tmp_path, say=_quiet)
  (partial,) = (tmp_path / "stages").iterdir()
  assert partial.name.endswith(".partial")
  runner.run(config, tmp_path, say=_quiet)
  (folder,) = (tmp_path / "stages").iterdir()
  assert not folder.name.endswith(".partial")
  assert json_files.read(folder / "half.json", int) == 1


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
  with open(tmp_path / ".lock", "w") as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    with pytest.raises(AlignetError, match="another process works in"):
      runner.run(_config(), tmp_path, say=_quiet)
  runner.run(_config(), tmp_path, say=_quiet)


@pytest.mark.parametrize(
    "stages, message",
    [
        ({}, "no stages"),
        (dict(a=dict(run="nonsense")), "'nonsense' is not a stage"),
        (dict(a=dict(run="pathlib.Path")), "is not a stage: mark it"),
        (dict(a=dict(run=_name(total), inputs=dict(of="b"))), "no such stage"),
        (
            dict(
                a=dict(run=_name(total), inputs=dict(of="b")),
                b=dict(run=_name(total), inputs=dict(of="a")),
            ),
            "in a circle",
        ),
        (
            dict(a=dict(run=_name(total), files=dict(of=dict(x="")))),
            "needs the path 'of.x'",
        ),
        (
            dict(a=dict(run=_name(total), files=dict(of=dict(x="/nowhere")))),
            "/nowhere does not exist",
        ),
    ],
)
def test_a_config_that_cannot_run_is_one_error(stages, message):
  config = ml_collections.ConfigDict(dict(stages=stages))
  with pytest.raises(AlignetError, match=message):
    runner.plan(config)


def test_a_folder_of_the_same_sizes_and_other_content(tmp_path):
  """meta.json of what alignet writes holds the sha256 of its large files."""
  hashes = []
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "features.npy").write_bytes(name.encode())
    json_files.write(tmp_path / name / "meta.json", {"sha256": name})
    hashes.append(files.digest(tmp_path / name))
  assert hashes[0] != hashes[1]


def test_a_folder_that_no_run_has_made_is_left_alone(tmp_path):
  plan = runner.plan(_config())["a"]
  folder = runner.folder_of(plan, tmp_path)
  folder.mkdir(parents=True)
  (folder / "thesis.txt").touch()
  with pytest.raises(AlignetError, match="no run has ended in it"):
    runner.run(_config(), tmp_path, say=_quiet)
  assert (folder / "thesis.txt").exists()


def _truncate(path):
  path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
  content = bytearray(path.read_bytes())
  content[0] ^= 1
  path.write_bytes(content)


def _flip_unseen(path):
  times = path.stat()
  _flip(path)
  os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("stage", ["a", "b", "sum"])
@pytest.mark.parametrize(
    "spoil, check",
    [
        (_truncate, False),
        (pathlib.Path.unlink, False),
        (lambda path: path.write_bytes(b"7777"), False),
        (_flip, False),
        (_flip_unseen, True),
    ],
)
def test_what_is_damaged_is_made_again_and_nothing_else(
    tmp_path, stage, spoil, check
):
  runner.run(_config(), tmp_path, say=_quiet)
  before = {p: p.read_bytes() for p in tmp_path.rglob("*.json")}
  (folder,) = (tmp_path / "stages").glob(f"{stage}-*")
  (output,) = (p for p in folder.iterdir() if p.stem in ("number", "total"))
  spoil(output)
  assert runner.damaged(tmp_path) == (3, [str(output)])
  _calls.clear()
  said = []
  runner.run(_config(), tmp_path, check=check, say=said.append)
  assert _calls == ["total" if stage == "sum" else "number"]
  (line,) = (x for x in said if "not as it was written" in x)
  assert output.name in line and f"] {stage}:" in line
  after = {p: p.read_bytes() for p in tmp_path.rglob("*.json")}
  times = {p for p in before if p.name == "outputs.json"}
  assert before.keys() == after.keys()
  assert all(before[p] == after[p] for p in before.keys() - times)
  assert runner.damaged(tmp_path) == (3, [])


def test_a_flip_that_keeps_the_time_is_seen_before_it_is_used(tmp_path):
  runner.run(_config(), tmp_path, say=_quiet)
  (folder,) = (tmp_path / "stages").glob("a-*")
  _flip_unseen(folder / "number.json")
  _calls.clear()
  runner.run(_config(), tmp_path, say=_quiet)
  assert _calls == []  # Nothing is computed from it.
  runner.run(_config(plus=4), tmp_path, say=_quiet)
  assert _calls == ["number", "total"]
  assert json_files.read(tmp_path / "total.json", int) == 7


def test_a_copy_of_a_run_is_as_good(tmp_path):
  runner.run(_config(), tmp_path / "one", say=_quiet)
  shutil.copytree(tmp_path / "one", tmp_path / "two")
  _calls.clear()
  runner.run(_config(), tmp_path / "two", say=_quiet)
  assert _calls == []


def test_verify_of_a_run(tmp_path, capsys):
  runner.run(_config(), tmp_path, say=_quiet)
  assert main.main(["verify", str(tmp_path)]) == 0
  assert capsys.readouterr().out == "3 stages, 0 damaged\n"
  (folder,) = (tmp_path / "stages").glob("a-*")
  _flip_unseen(folder / "number.json")
  assert main.main(["verify", str(tmp_path)]) == 1
  assert "number.json is not as it was written" in capsys.readouterr().out


def test_killed_while_a_damaged_stage_is_removed(tmp_path):
  runner.run(_config(), tmp_path, say=_quiet)
  (folder,) = (tmp_path / "stages").glob("a-*")
  (folder / "stage.json").unlink()
  _calls.clear()
  runner.run(_config(), tmp_path, say=_quiet)
  assert _calls == ["number"] and (folder / "number.json").exists()
