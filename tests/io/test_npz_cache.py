import errno
import fcntl
import os
import pathlib
import pickle
import subprocess
import sys

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import npz_stream
from alignet.triplets import npz
import numpy as np
import pytest

_N = 300

_ROOT = pathlib.Path(__file__).resolve().parents[2]

# Forked in a process of its own: this one has threads of other libraries.
_AT_ONCE = """
import os, pathlib, sys, time
sys.path.insert(0, {root!r})
from alignet.io import npz_stream
from alignet.triplets import npz

npz.MAPPED_ROWS = 1
real = npz_stream.read_blocks

def slow(*args, **kwargs):
  os.write(1, b"unpacked\\n")
  time.sleep(0.5)  # The others find no copy yet.
  yield from real(*args, **kwargs)

npz_stream.read_blocks = slow
children = []
for _ in range(4):
  pid = os.fork()
  if not pid:
    mapped = npz.open({path!r}).indices
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
      if "/indices-int32" in line:
        os.write(1, f"inode {{line.split()[4]}}\\n".encode())
    os._exit(0 if len(mapped) == {n} else 1)
  children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
"""


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch, tmp_path):
  monkeypatch.setattr(npz, "MAPPED_ROWS", 1)
  monkeypatch.setattr(npz, "_ROWS", 64)
  monkeypatch.setenv("ALIGNET_CACHE", str(tmp_path / "home"))


def _arrays(seed=0):
  rng = np.random.default_rng(seed)
  indices = np.stack([rng.permutation(9)[:3] for _ in range(_N)])
  s = -np.sort(-rng.standard_normal((_N, 3)).astype(np.float32), axis=1)
  names = np.array([f"{i}.jpg" for i in range(9)])
  return {"filenames": names[indices], "similarities": s, "indices": indices}


def _is_mapped(array):
  while array.base is not None:
    if isinstance(array, np.memmap) or not isinstance(array.base, np.ndarray):
      return True
    array = array.base
  return isinstance(array, np.memmap)


def _copies(folder):
  return list((folder / ".a.npz.cache").glob("*.npy"))


def test_ours_is_mapped_where_it_lies(tmp_path):
  arrays = _arrays()
  names = np.array([f"{i}.jpg" for i in range(9)])
  path = tmp_path / "a.npz"
  npz.write(path, names, arrays["indices"], arrays["similarities"])
  opened = npz.open(path)
  for key in ("indices", "similarities"):
    array = getattr(opened, key)
    assert _is_mapped(array) and not array.flags.writeable
    np.testing.assert_array_equal(array, np.load(path)[key])
    assert array.ctypes.data % 64 == 0
  assert os.listdir(tmp_path) == ["a.npz"]


def test_compressed_is_unpacked_once(tmp_path, monkeypatch):
  path, arrays = tmp_path / "a.npz", _arrays()
  np.savez_compressed(path, **arrays)
  opened = npz.open(path)
  np.testing.assert_array_equal(opened.indices, arrays["indices"])
  np.testing.assert_array_equal(opened.similarities, arrays["similarities"])
  assert opened.indices.dtype == np.int32 and _is_mapped(opened.indices)
  assert len(_copies(tmp_path)) == 2

  def never(*args, **kwargs):
    raise AssertionError("unpacked again")

  monkeypatch.setattr(npz_stream, "read_blocks", never)
  again = npz.open(path)
  np.testing.assert_array_equal(again.similarities, arrays["similarities"])


def test_a_changed_file_is_unpacked_again(tmp_path):
  path = tmp_path / "a.npz"
  for seed in (0, 1):
    np.savez_compressed(path, **_arrays(seed))
    os.utime(path, ns=(seed, seed))
    opened = npz.open(path)
    np.testing.assert_array_equal(opened.indices, _arrays(seed)["indices"])
  assert len(_copies(tmp_path)) == 1


def test_a_damaged_copy_is_made_anew(tmp_path):
  path, arrays = tmp_path / "a.npz", _arrays()
  np.savez_compressed(path, **arrays)
  _ = npz.open(path).indices
  (copy,) = _copies(tmp_path)
  copy.write_bytes(copy.read_bytes()[:100])
  np.testing.assert_array_equal(npz.open(path).indices, arrays["indices"])


def test_a_read_only_folder_and_no_place_at_all(tmp_path, monkeypatch):
  path, arrays = tmp_path / "a.npz", _arrays()
  np.savez_compressed(path, **arrays)
  real, refused = files.save_npy, [tmp_path]

  def save(copy, *args, **kwargs):
    if any(str(copy).startswith(str(folder)) for folder in refused):
      raise PermissionError(13, "Permission denied")
    return real(copy, *args, **kwargs)

  monkeypatch.setattr(files, "save_npy", save)
  refused[:] = [tmp_path / ".a.npz.cache"]
  found = npz.open(path).indices
  np.testing.assert_array_equal(found, arrays["indices"])
  assert list((tmp_path / "home").rglob("*.npy")) and _is_mapped(found)
  refused[:] = [tmp_path]
  found = npz.open(path).similarities
  np.testing.assert_array_equal(found, arrays["similarities"])
  assert not _is_mapped(found) and not found.flags.writeable


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")
def test_processes_that_open_at_once_share_one_copy(tmp_path):
  path = tmp_path / "a.npz"
  np.savez_compressed(path, **_arrays())
  script = _AT_ONCE.format(root=str(_ROOT), path=str(path), n=_N)
  done = subprocess.run(
      [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert lines.count("unpacked") == 1
  inodes = [line for line in lines if line.startswith("inode")]
  assert len(inodes) == 4 and len(set(inodes)) == 1


def test_without_locks_each_unpacks_its_own(tmp_path, monkeypatch):
  path, arrays = tmp_path / "a.npz", _arrays()
  np.savez_compressed(path, **arrays)

  def no_locks(*args):
    raise OSError(errno.ENOLCK, "No locks available")

  monkeypatch.setattr(fcntl, "flock", no_locks)
  found = npz.open(path).indices
  np.testing.assert_array_equal(found, arrays["indices"])
  assert _is_mapped(found)


def test_refused_numbers_leave_no_copy(tmp_path):
  arrays = _arrays()
  arrays["indices"][200, 1] = -1
  for name, save in (("a", np.savez_compressed), ("b", np.savez)):
    save(tmp_path / f"{name}.npz", **arrays)
    with pytest.raises(AlignetError, match="from 0 on"):
      _ = npz.open(tmp_path / f"{name}.npz").indices
  assert not list(tmp_path.rglob("*.npy"))


def test_pickled_it_is_a_path(tmp_path):
  path = tmp_path / "a.npz"
  np.savez(path, **_arrays())
  opened = npz.open(path)
  before = len(pickle.dumps(opened))
  _ = opened.indices, opened.similarities
  assert len(pickle.dumps(opened)) == before
  again = pickle.loads(pickle.dumps(opened))
  np.testing.assert_array_equal(again.indices, opened.indices)
