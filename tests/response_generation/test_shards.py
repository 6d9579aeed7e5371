import pathlib
import subprocess
import sys

from alignet.errors import AlignetError
from alignet.io import files
from alignet.representations import blocks
from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import dots
from response_generation import respond
from response_generation import transformed_store
from response_generation.shards import Shards
from tests.response_generation import reference

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_KILL = """
import os, pathlib, shutil, signal, sys
sys.path.insert(0, {root!r})
from alignet.io import files
from response_generation import respond
from response_generation import transformed_store

# The transformed representations go to disk as well.
transformed_store._SMALL = 0
folder = pathlib.Path({folder!r})
arguments = dict(
    representations=folder / "r", triplets=folder / "t.npz",
    transform=folder / "w.npz", rows=80, workers=1)
respond.respond(**arguments, out=folder / "expected.npz")
expected = (folder / "expected.npz").read_bytes()
killed = 0
# fsync: a temporary file, or its folder, is on disk. replace, link: it has its
# name. rmtree: the end.
names = ("fsync", "replace", "link")
for module, name in (*((os, n) for n in names), (shutil, "rmtree")):
  real = getattr(module, name)
  for moment in range(40):
    out = folder / f"{{name}}{{moment}}" / "x.npz"
    pid = os.fork()
    if not pid:
      calls = 0
      def dying(*args, **kwargs):
        global calls
        if name == "replace":
          real(*args, **kwargs)
        if calls == moment:
          os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        if name != "replace":
          real(*args, **kwargs)
      setattr(module, name, dying)
      respond.respond(**arguments, out=out)
      os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
      assert moment, name
      break
    killed += 1
    respond.respond(**arguments, out=out)
    assert out.read_bytes() == expected, (name, moment)
    assert os.listdir(out.parent) == ["x.npz"], os.listdir(out.parent)
print(killed)
"""


def _run(script, world) -> str:
  """What a script prints, in a process that has loaded nothing else."""
  script = script.format(root=str(_ROOT), folder=str(world.folder))
  done = subprocess.run(
      [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_kill_9_at_every_write_then_the_same_command(world):
  # Fingerprint, transformed, three shards, joined, result: written, named, and
  # the name on disk; the end.
  assert int(_run(_KILL, world)) == 23


def test_complete_shards_are_not_computed_again(world, tmp_path, monkeypatch):
  whole = tmp_path / "whole.npz"
  respond.respond(**world.inputs, out=whole, rows=50, workers=1)
  real = dots.of_triplets
  lengths = []

  def dying(store, triplets, out):
    if len(lengths) == 3:
      raise KeyboardInterrupt
    lengths.append(len(triplets))
    return real(store, triplets, out)

  out = tmp_path / "x.npz"
  monkeypatch.setattr(dots, "of_triplets", dying)
  with pytest.raises(KeyboardInterrupt):
    respond.respond(**world.inputs, out=out, rows=50, workers=1)
  assert not out.exists()
  lengths.clear()
  respond.respond(**world.inputs, out=out, rows=50, workers=1)
  assert lengths == [50, 11]
  assert out.read_bytes() == whole.read_bytes()


def _stopped_before_the_end(monkeypatch, **arguments) -> None:
  """Leaves all shards and no result."""

  def full(*args, **kwargs):
    raise OSError("stopped before the result was written")

  with monkeypatch.context() as m:
    m.setattr(npz, "write", full)
    with pytest.raises(OSError, match="stopped"):
      respond.respond(**arguments)


def test_finished_shards_are_not_loaded_to_see_them(
    world, tmp_path, monkeypatch
):
  out = tmp_path / "x.npz"
  _stopped_before_the_end(monkeypatch, **world.inputs, out=out, rows=50)
  real, loaded = files.read_member, []

  def read_member(archive, key, path):
    loaded.append((key, path.name))
    return real(archive, key, path)

  monkeypatch.setattr(files, "read_member", read_member)
  respond.respond(**world.inputs, out=out, rows=50, part=(0, 1))
  shards = [f"{start:012d}.npz" for start in range(0, 211, 50)]
  assert [x for x in loaded if x[1] in shards] == [
      ("fingerprint", name) for name in shards
  ]


def test_a_shard_found_damaged_when_joined_is_no_longer_there(tmp_path):
  s = np.random.default_rng(0).random((5000, 3), np.float32)
  shards = Shards(folder=tmp_path, n=5000, rows=3000, fingerprint="x")
  for number in range(shards.count):
    shards.save(number, s[shards.where(number)])
  path = tmp_path / f"{3000:012d}.npz"
  content = bytearray(path.read_bytes())
  content[-5000] ^= 1  # Far from what is read of the head.
  path.write_bytes(content)
  with pytest.raises(AlignetError, match="damaged; run the same command again"):
    shards.join()
  assert [shards.has(number) for number in range(2)] == [True, False]
  shards.save(1, s[3000:])
  np.testing.assert_array_equal(shards.join(), s)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "short"])
def test_a_bad_shard_is_computed_again(world, tmp_path, monkeypatch, damage):
  whole = tmp_path / "whole.npz"
  respond.respond(**world.inputs, out=whole)

  out = tmp_path / "x.npz"
  _stopped_before_the_end(monkeypatch, **world.inputs, out=out, rows=50)
  folder = tmp_path / "x.npz.shards"
  shard = folder / f"{50:012d}.npz"
  arrays = files.load_npz(shard, required=())
  if damage == "truncated":
    shard.write_bytes(shard.read_bytes()[:100])
  else:
    arrays["similarities"] = arrays["similarities"] * 0
    if damage == "foreign":
      arrays["fingerprint"] = np.array("another")
    else:
      arrays["similarities"] = arrays["similarities"][:9]
    files.save_npz(shard, arrays, overwrite=True)
  respond.respond(**world.inputs, out=out, rows=50)
  assert out.read_bytes() == whole.read_bytes()


def test_shards_of_other_inputs_are_dropped(world, tmp_path, monkeypatch):
  out = tmp_path / "x.npz"
  _stopped_before_the_end(
      monkeypatch, **world.inputs, transform=world.transform, out=out
  )
  assert (tmp_path / "x.npz.shards").is_dir()
  respond.respond(**world.inputs, out=out)
  reference.check(
      out, reference.formula(world.features, world.indices), world.names
  )


_KILL_PARTS = """
import os, pathlib, signal, sys
sys.path.insert(0, {root!r})
from response_generation import respond

folder = pathlib.Path({folder!r})
arguments = dict(
    representations=folder / "r", triplets=folder / "t.npz",
    transform=folder / "w.npz", rows=40, workers=1)
respond.respond(**arguments, out=folder / "expected.npz")
expected = (folder / "expected.npz").read_bytes()

def start(moment, name, **more):
  pid = os.fork()
  if pid:
    return pid
  real, calls = getattr(os, name), []
  def dying(*args):
    if len(calls) == moment:
      os.kill(os.getpid(), signal.SIGKILL)
    calls.append(args)
    real(*args)
  setattr(os, name, dying)
  respond.respond(**arguments, **more)
  os._exit(0)

killed = 0
for name in ("fsync", "replace"):
  for moment in range(40):
    out = folder / f"{{name}}{{moment}}" / "x.npz"
    # Two parts at a time, each killed at that moment; then both again.
    pids = [start(moment, name, out=out, part=(i, 2)) for i in range(2)]
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    assert set(codes) <= {{0, signal.SIGKILL}}, codes
    killed += sum(code != 0 for code in codes)
    pids = [start(None, name, out=out, part=(i, 2)) for i in range(2)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]
    # The last call, which joins, is killed as well.
    os.waitpid(start(moment, name, out=out), 0)
    respond.respond(**arguments, out=out, overwrite=True)
    assert out.read_bytes() == expected, (name, moment)
    assert os.listdir(out.parent) == ["x.npz"], os.listdir(out.parent)
    if not any(codes):
      break
print(killed)
"""


def test_kill_9_of_parts_at_every_write(world):
  # Fingerprint and transformed by the first, three shards each; the second
  # may be killed earlier, when the first has made what both need, or not.
  assert int(_run(_KILL_PARTS, world)) >= 2 * (4 + 4)


# Forked in a process of its own: this one has threads of other libraries.
_PARTS = """
import os, pathlib, sys
sys.path.insert(0, {root!r})
from response_generation import respond
from response_generation import transformed_store

transformed_store._SMALL = 0
folder = pathlib.Path({folder!r})
children = []
for i in range(3):
  pid = os.fork()
  if not pid:
    done = respond.respond(
        representations=folder / "r", triplets=folder / "t.npz",
        transform=folder / "w.npz", out=folder / "x.npz", rows=30,
        part=(i, 3), workers=1)
    os._exit(0 if done == {{}} else 1)
  children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
"""


def test_parts_multiply_the_rows_that_the_first_has_made(
    world, tmp_path, monkeypatch
):
  """However small: another processor might round its sums differently."""
  arguments = {**world.inputs, "transform": world.transform, "rows": 30}
  whole, out = tmp_path / "whole.npz", tmp_path / "x.npz"
  respond.respond(**arguments, out=whole)
  respond.respond(**arguments, out=out, part=(0, 3))
  # None of the others may transform: they take what is there.
  monkeypatch.setattr(blocks, "transformed", None)
  for i in (1, 2):
    respond.respond(**arguments, out=out, part=(i, 3))
  (tmp_path / "x.npz.shards" / f"{60:012d}.npz").unlink()
  respond.respond(**arguments, out=out)
  assert out.read_bytes() == whole.read_bytes()


def test_parts_by_three_processes(world, tmp_path, monkeypatch):
  monkeypatch.setattr(transformed_store, "_SMALL", 0)
  arguments = {**world.inputs, "transform": world.transform, "rows": 30}
  whole, out = tmp_path / "whole.npz", tmp_path / "x.npz"
  respond.respond(**arguments, out=whole)
  _run(_PARTS, world)
  assert len(list((tmp_path / "x.npz.shards").glob("0*.npz"))) == 8
  monkeypatch.setattr(dots, "of_triplets", None)  # Nothing is left to compute.
  respond.respond(**arguments, out=out)
  assert out.read_bytes() == whole.read_bytes()
