import pathlib
import subprocess
import sys

from alignet import files
from alignet import triplet_io
from alignet.kernels import dots
import numpy as np
import pytest
from response_generation import respond
from response_generation import scratch
from tests.response_generation import reference

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_KILL = """
import os, pathlib, shutil, signal, sys
sys.path.insert(0, {root!r})
from alignet import files
from response_generation import respond
from response_generation import scratch

scratch._SMALL = 0  # The transformed representations go to disk as well.
folder = pathlib.Path({folder!r})
arguments = dict(
    representations=folder / "r", triplets=folder / "t.npz",
    transform=folder / "w.npz", rows=80, workers=1)
respond.respond(**arguments, out=folder / "expected.npz")
expected = (folder / "expected.npz").read_bytes()
killed = 0
# fsync: a temporary file is written. replace: it has its name. rmtree: the end.
for module, name in ((os, "fsync"), (os, "replace"), (shutil, "rmtree")):
  real = getattr(module, name)
  for moment in range(20):
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
  # Fingerprint, transformed, three shards, joined, result: written, named; the
  # end.
  assert int(_run(_KILL, world)) == 7 + 8 + 1


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


@pytest.mark.parametrize("damage", ["truncated", "foreign", "short"])
def test_a_bad_shard_is_computed_again(world, tmp_path, monkeypatch, damage):
  whole = tmp_path / "whole.npz"
  respond.respond(**world.inputs, out=whole)

  def full(*args, **kwargs):
    raise OSError("stopped before the result was written")

  out = tmp_path / "x.npz"
  with monkeypatch.context() as m:
    m.setattr(triplet_io, "write", full)
    with pytest.raises(OSError, match="stopped"):
      respond.respond(**world.inputs, out=out, rows=50)
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
  with monkeypatch.context() as m:
    m.setattr(
        triplet_io, "write", lambda *a, **k: (_ for _ in ()).throw(OSError("x"))
    )
    with pytest.raises(OSError):
      respond.respond(**world.inputs, transform=world.transform, out=out)
  assert (tmp_path / "x.npz.shards").is_dir()
  respond.respond(**world.inputs, out=out)
  reference.check(
      out, reference.formula(world.features, world.indices), world.names
  )


# Forked in a process of its own: this one has threads of other libraries.
_PARTS = """
import os, pathlib, sys
sys.path.insert(0, {root!r})
from response_generation import respond
from response_generation import scratch

scratch._SMALL = 0
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


def test_parts_by_three_processes(world, tmp_path, monkeypatch):
  monkeypatch.setattr(scratch, "_SMALL", 0)
  arguments = {**world.inputs, "transform": world.transform, "rows": 30}
  whole, out = tmp_path / "whole.npz", tmp_path / "x.npz"
  respond.respond(**arguments, out=whole)
  _run(_PARTS, world)
  assert len(list((tmp_path / "x.npz.shards").glob("0*.npz"))) == 8
  monkeypatch.setattr(dots, "of_triplets", None)  # Nothing is left to compute.
  respond.respond(**arguments, out=out)
  assert out.read_bytes() == whole.read_bytes()
