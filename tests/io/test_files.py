import errno
import io
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
import zipfile

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.io import json_files
from alignet.io import npz_stream
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

_ARRAYS = {
    "numbers": np.arange(60, dtype=np.float32).reshape(20, 3),
    "names": np.array(["cat", "shoe"]),
    "scalar": np.float64(3),
}

_SAVERS = {
    "npy": lambda p, **kw: files.save_npy(p, _ARRAYS["numbers"], **kw),
    "npz": lambda p, **kw: files.save_npz(p, _ARRAYS, **kw),
    "compressed": lambda p, **kw: files.save_npz(
        p, _ARRAYS, compress=True, **kw
    ),
    "json": lambda p, **kw: json_files.write(p, {"a": 1}, **kw),
    "stream": lambda p, **kw: _stream(p, **kw),
}


def _stream(path, **kwargs):
  with npz_stream.writer(path, **kwargs) as write:
    for key, array in _ARRAYS.items():
      array = np.asarray(array)
      write(
          *(key, array.shape, array.dtype, files.row_blocks(array)),
          compress=array.dtype.kind == "U",
      )


@pytest.fixture(params=_SAVERS)
def save(request):
  return _SAVERS[request.param]


def _assert_one_sentence(error):
  assert isinstance(error, AlignetError)
  assert "\n" not in str(error) and len(str(error)) < 400


def test_existing_output_is_kept(tmp_path, save):
  path = tmp_path / "out"
  path.write_bytes(b"precious")
  with pytest.raises(OutputExistsError, match="--overwrite"):
    save(path)
  assert path.read_bytes() == b"precious"
  assert os.listdir(tmp_path) == ["out"]
  save(path, overwrite=True)
  assert path.read_bytes() != b"precious"
  assert os.listdir(tmp_path) == ["out"]


def test_equal_arrays_give_equal_bytes(tmp_path, save):
  save(tmp_path / "deep" / "er" / "a")
  save(tmp_path / "b")
  a, b = tmp_path / "deep" / "er" / "a", tmp_path / "b"
  assert a.read_bytes() == b.read_bytes()
  assert files.sha256(a) == files.sha256(b)


@pytest.mark.parametrize("old", [None, b"precious"])
def test_full_disk_leaves_nothing_behind(tmp_path, save, monkeypatch, old):
  """Writing goes to /dev/full, where the kernel says that the disk is full."""
  if not os.path.exists("/dev/full"):
    pytest.skip("needs /dev/full")
  if old:
    (tmp_path / "out").write_bytes(old)
  full = tmp_path / ".out.0.tmp"
  full.symlink_to("/dev/full")
  monkeypatch.setattr(files, "_temporary", lambda path: full)
  with pytest.raises(AlignetError, match="no space left.*out") as e:
    save(tmp_path / "out", overwrite=True)
  _assert_one_sentence(e.value)
  assert os.listdir(tmp_path) == (["out"] if old else [])
  if old:
    assert (tmp_path / "out").read_bytes() == old


def test_arrays_are_written_by_python(tmp_path):
  # np.save hands a real file to C code, whose "no space" has no error number.
  class Array(np.ndarray):

    def tofile(self, *_, **__):
      raise OSError("Not enough free space to write")

  with pytest.raises(OSError, match="free space"):
    np.save(tmp_path / "a.npy", np.zeros(4).view(Array))
  files.save_npy(tmp_path / "b.npy", np.zeros(4).view(Array))
  np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.zeros(4))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full_at_the_flush(tmp_path, save, monkeypatch, number):
  def fsync(_):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(os, "fsync", fsync)
  with pytest.raises(AlignetError, match="no space left"):
    save(tmp_path / "out")
  assert not os.listdir(tmp_path)


def test_other_errors_pass_and_leave_nothing(tmp_path):
  with pytest.raises(ZeroDivisionError):
    with files.atomic_write(tmp_path / "out") as f:
      f.write(b"half")
      raise ZeroDivisionError
  with pytest.raises(KeyboardInterrupt):
    with npz_stream.writer(tmp_path / "out") as write:
      write("a", (1,), np.float32, [np.zeros(1)])
      raise KeyboardInterrupt
  assert not os.listdir(tmp_path)


def _write_folder(path, text):
  with files.atomic_directory(path, overwrite=True) as folder:
    (folder / "a.txt").write_text(text)


def test_a_folder_is_replaced(tmp_path):
  path = tmp_path / "out"
  for text in ("old", "new"):
    _write_folder(path, text)
    assert (path / "a.txt").read_text() == text
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("at", [0, 1])
def test_a_folder_that_cannot_be_replaced_is_kept(tmp_path, monkeypatch, at):
  path = tmp_path / "out"
  _write_folder(path, "old")
  real, calls = os.replace, []

  def replace(*args):
    calls.append(args)
    if len(calls) == at + 1:
      raise KeyboardInterrupt
    real(*args)

  monkeypatch.setattr(os, "replace", replace)
  with pytest.raises(KeyboardInterrupt):
    _write_folder(path, "new")
  assert (path / "a.txt").read_text() == "old"
  assert os.listdir(tmp_path) == ["out"]


_KILLED = """
import os, pathlib, signal
from alignet.io import files
from alignet.io import json_files

path = pathlib.Path({path!r})
real, calls = os.replace, []

def replace(*args):
  if calls:
    os.kill(os.getpid(), signal.SIGKILL)
  calls.append(args)
  real(*args)

os.replace = replace
with files.atomic_directory(path, overwrite=True) as folder:
  (folder / "a.txt").write_text("new")
"""


def test_killed_between_both_folders_are_there(tmp_path):
  path = tmp_path / "out"
  _write_folder(path, "old")
  script = _KILLED.format(path=str(path))
  assert subprocess.run([sys.executable, "-c", script]).returncode == -9
  found = {
      folder.suffix: (folder / "a.txt").read_text()
      for folder in tmp_path.iterdir()
  }
  assert found == {".old": "old", ".tmp": "new"}


@given(
    hnp.arrays(
        st.sampled_from(["<f4", "<f2", "<i4", "|u1", "<U5", ">f8", "|b1"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    ),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_npy_is_what_numpy_writes(tmp_path, array, fortran):
  files.save_npy(
      tmp_path / "a.npy",
      np.asarray(array, order="F" if fortran else "C"),
      overwrite=True,
  )
  expected = io.BytesIO()
  np.save(expected, array)
  assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()


def test_object_arrays_are_refused(tmp_path):
  with pytest.raises(AlignetError, match="found dtype object"):
    files.save_npy(tmp_path / "a.npy", np.array([{}]))
  assert not os.listdir(tmp_path)


def test_row_blocks_join_to_the_array():
  array = np.arange(30).reshape(10, 3)
  blocks = list(files.row_blocks(array, size=100))
  assert [len(b) for b in blocks] == [4, 4, 2]
  np.testing.assert_array_equal(np.concatenate(blocks), array)


def test_stream_does_not_depend_on_blocks(tmp_path):
  names = np.array([f"n{i % 977:08d}.jpg" for i in range(60_000)]).reshape(
      -1, 3
  )
  for rows in (1234, 20_000):
    with npz_stream.writer(tmp_path / str(rows)) as write:
      blocks = (names[i : i + rows] for i in range(0, len(names), rows))
      write("names", names.shape, names.dtype, blocks)
  assert (tmp_path / "1234").read_bytes() == (tmp_path / "20000").read_bytes()
  np.testing.assert_array_equal(np.load(tmp_path / "1234")["names"], names)


def test_stream_counts_its_rows(tmp_path):
  with pytest.raises(ValueError, match="16 bytes"):
    with npz_stream.writer(tmp_path / "a.npz") as write:
      write("a", (5,), np.float32, [np.zeros(4)])
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_stream_reads_what_numpy_writes(tmp_path, save, order):
  array = np.asarray(_ARRAYS["numbers"], order=order)
  save(tmp_path / "a.npz", a=array)
  with files.open_npz(tmp_path / "a.npz", required=("a",)) as archive:
    assert npz_stream.header(archive, "a", "a.npz") == ((20, 3), np.float32)
    blocks = list(npz_stream.read_blocks(archive, "a", "a.npz", rows=7))
  assert [len(b) for b in blocks] == [7, 7, 6]
  np.testing.assert_array_equal(np.concatenate(blocks), array)


def test_stream_compares_checksums(tmp_path):
  np.savez(tmp_path / "a.npz", a=_ARRAYS["numbers"])
  data = bytearray((tmp_path / "a.npz").read_bytes())
  at = data.index(_ARRAYS["numbers"][5].tobytes())
  data[at] ^= 1
  (tmp_path / "a.npz").write_bytes(data)
  with files.open_npz(tmp_path / "a.npz", required=("a",)) as archive:
    with pytest.raises(AlignetError, match="a in .*a.npz cannot be read"):
      list(npz_stream.read_blocks(archive, "a", tmp_path / "a.npz"))


@pytest.mark.parametrize("keep", [0, 10, 100, -1, -30])
def test_truncated_files(tmp_path, keep):
  for name in ("npy", "npz", "compressed"):
    path = tmp_path / name
    _SAVERS[name](path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(AlignetError, match="truncated") as e:
      if name == "npy":
        files.load_npy(path)
      else:
        files.load_npz(path, required=("numbers",))
    _assert_one_sentence(e.value)
    assert str(path) in str(e.value)


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory):
  folder = tmp_path_factory.mktemp("good")
  found = {}
  for name in ("npy", "npz", "compressed"):
    _SAVERS[name](folder / name)
    found[name] = (folder / name).read_bytes()
  return found


@pytest.mark.filterwarnings("ignore::UserWarning")  # NumPy's, on headers.
@given(st.data())
@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_bytes_are_read_or_refused_never_else(
    tmp_path, good_bytes, data
):
  name = data.draw(st.sampled_from(sorted(good_bytes)))
  damaged = bytearray(good_bytes[name])
  for _ in range(data.draw(st.integers(1, 3))):
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
  path = tmp_path / "damaged"
  path.write_bytes(damaged)
  try:
    if name == "npy":
      files.load_npy(path)
    else:
      files.load_npz(path, required=("numbers",))
  except AlignetError:
    pass


def test_pickles_are_never_loaded(tmp_path):
  class Bomb:

    def __reduce__(self):
      return (os.mkdir, (str(tmp_path / "exploded"),))

  np.save(tmp_path / "a.npy", np.array([Bomb()]), allow_pickle=True)
  np.savez(tmp_path / "a.npz", a=np.array([Bomb()]))
  (tmp_path / "p.npy").write_bytes(pickle.dumps(Bomb()))
  for load in (
      lambda: files.load_npy(tmp_path / "a.npy"),
      lambda: files.load_npy(tmp_path / "p.npy"),
      lambda: files.load_npz(tmp_path / "a.npz", required=("a",)),
      lambda: files.load_npz(tmp_path / "p.npy", required=("a",)),
  ):
    with pytest.raises(AlignetError) as e:
      load()
    _assert_one_sentence(e.value)
  with files.open_npz(tmp_path / "a.npz", required=("a",)) as archive:
    with pytest.raises(AlignetError, match="pickled"):
      list(npz_stream.read_blocks(archive, "a", "a.npz"))
  assert not (tmp_path / "exploded").exists()


def test_wrong_key_lists_those_found(tmp_path):
  np.savez(tmp_path / "a.npz", a=1, b=2)
  with pytest.raises(AlignetError, match="lacks the keys c, d; found a, b"):
    files.load_npz(tmp_path / "a.npz", required=("a", "c", "d"))


def test_one_format_for_the_other(tmp_path):
  np.savez(tmp_path / "a.npz", a=1)
  np.save(tmp_path / "a.npy", np.zeros(1))
  with pytest.raises(AlignetError, match="is an .npz archive"):
    files.load_npy(tmp_path / "a.npz")
  with pytest.raises(AlignetError, match="holds a single array"):
    files.load_npz(tmp_path / "a.npy", required=("a",))
  with zipfile.ZipFile(tmp_path / "z.npz", "w") as z:
    z.writestr("a.npy", "some text")
  with pytest.raises(AlignetError, match="a in .* cannot be read"):
    files.load_npz(tmp_path / "z.npz", required=("a",))


@pytest.mark.parametrize(
    "load",
    [
        files.load_npy,
        json_files.read,
        lambda p: files.load_npz(p, required=()),
    ],
)
def test_missing_file(tmp_path, load):
  path = tmp_path / "nowhere"
  with pytest.raises(AlignetError, match=f"{re.escape(str(path))} does not"):
    load(path)


def test_shape_and_kind_are_checked(tmp_path):
  path = tmp_path / "a.npy"
  np.save(path, np.zeros((4, 3), np.float32))
  files.load_npy(path, shape=(None, 3), kinds="f")
  with pytest.raises(AlignetError, match=r"shape \(any, 2\), found \(4, 3\)"):
    files.load_npy(path, shape=(None, 2))
  with pytest.raises(AlignetError, match="integers or unsigned.*float32"):
    files.load_npy(path, kinds="iu")
  assert isinstance(files.load_npy(path, mmap=True), np.memmap)


def test_check_finite_names_the_row():
  array = np.zeros((10, 2))
  files.check_finite(array, "x", rows=3)
  array[7, 1] = np.nan
  with pytest.raises(AlignetError, match="x: row 7 "):
    files.check_finite(array, "x", rows=3)


def test_json(tmp_path):
  path = tmp_path / "a.json"
  json_files.write(path, {"b": [1.5], "a": "x"})
  assert path.read_text().index('"a"') < path.read_text().index('"b"')
  assert json_files.read(path) == {"b": [1.5], "a": "x"}
  path.write_text('{"a": ')
  with pytest.raises(AlignetError, match="not valid JSON"):
    json_files.read(path)
  with pytest.raises(ValueError):
    json_files.write(tmp_path / "nan.json", float("nan"))
  assert os.listdir(tmp_path) == ["a.json"]


def test_json_in_an_array():
  value = {"b": 1, "a": ["ü"]}
  assert json_files.parse_array(json_files.array(value), "meta") == value
  for bad in (np.array("{"), np.array("[1]"), np.array(3), np.array(["{}"])):
    with pytest.raises(AlignetError, match="meta"):
      json_files.parse_array(bad, "meta")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("load", ["npz", "npy"])
def test_a_damaged_archive_is_closed(tmp_path, load):
  path = tmp_path / "a.npz"
  files.save_npz(path, _ARRAYS)
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(AlignetError) as error:
    if load == "npz":
      files.load_npz(path, required=())
    else:
      files.load_npy(path)
  # The error's frames live on here: what they hold is not collected.
  held = [
      os.readlink(f"/proc/self/fd/{fd}")
      for fd in os.listdir("/proc/self/fd")
      if os.path.exists(f"/proc/self/fd/{fd}")
  ]
  assert str(path) not in held, error


def test_no_home(monkeypatch):
  monkeypatch.delenv("HOME", raising=False)
  monkeypatch.delenv("ALIGNET_CACHE", raising=False)

  def unknown(uid):
    raise KeyError(uid)

  monkeypatch.setattr("pwd.getpwuid", unknown)
  with pytest.raises(
      AlignetError, match="no home directory; set ALIGNET_CACHE"
  ):
    files.cache_dir()


def test_an_empty_path_is_called_so():
  with pytest.raises(AlignetError, match="a field of the config, or a flag"):
    files.load_npy("", what="images")


def _name_of_a_dead_process(path):
  """As `_temporary` names files, of a process that has ended."""
  process = subprocess.Popen([sys.executable, "-c", ""])
  process.wait()
  mine = files._temporary(path).name
  return mine.replace(f"-{os.getpid()}-", f"-{process.pid}-")


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_dead_process_left_goes(tmp_path, folder):
  path = tmp_path / "out"
  dead = tmp_path / _name_of_a_dead_process(path)
  other = tmp_path / f".out.ffffffff-1-{'0' * 8}.tmp"  # Of another machine.
  alive = files._temporary(path)
  for left in (dead, other, alive):
    if folder:
      left.mkdir()
      left = left / "half"
    left.write_text("half")
  json_files.write(path, 1)
  assert not dead.exists() and other.exists() and alive.exists()


def test_who_comes_second_replaces_nothing(tmp_path):
  with pytest.raises(OutputExistsError):
    with files.atomic_write(tmp_path / "f") as f:
      f.write(b"second")
      json_files.write(tmp_path / "f", "first")
  assert json_files.read(tmp_path / "f", str) == "first"
  with pytest.raises(OutputExistsError):
    with files.atomic_directory(tmp_path / "d") as d:
      (d / "second").touch()
      with files.atomic_directory(tmp_path / "d") as first:
        (first / "first").touch()
  assert [p.name for p in (tmp_path / "d").iterdir()] == ["first"]
  assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "f"]


def _member(path, shape, dtype, size, **options):
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
      header, {"descr": dtype, "fortran_order": False, "shape": shape}
  )
  with zipfile.ZipFile(path, "w", **options) as archive:
    with archive.open("x.npy", "w", force_zip64=True) as f:
      f.write(header.getvalue())
      for _ in range(size >> 20):
        f.write(bytes(2**20))
      f.write(bytes(size % 2**20))


@pytest.mark.parametrize(
    "shape, dtype, size",
    [
        ((10**18,), "<f4", 64),
        ((), "<U400000000", 64),
        ((2**31,), "<f8", 2**20),
        ((3,), "<f8", 8),
        ((3,), "<f8", 32),
    ],
)
def test_a_member_that_claims_more_than_it_has(tmp_path, shape, dtype, size):
  _member(tmp_path / "x.npz", shape, dtype, size)
  tracemalloc.start()
  with pytest.raises(AlignetError, match="x in .*x.npz cannot be read"):
    files.load_npz(tmp_path / "x.npz", required=("x",))
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 2**24


def test_a_member_that_grows_without_end(tmp_path):
  size = 2**28
  _member(
      *(tmp_path / "x.npz", (size,), "|u1", size),
      compression=zipfile.ZIP_DEFLATED,
  )
  with pytest.raises(AlignetError, match="it would grow from"):
    files.load_npz(tmp_path / "x.npz", required=("x",))


def test_only_what_is_needed_is_read(tmp_path):
  np.savez(tmp_path / "x.npz", a=np.ones(3), b=np.ones(2), c=np.array(["z"]))
  read = lambda **kwargs: sorted(files.load_npz(tmp_path / "x.npz", **kwargs))
  assert read(required=("a",)) == ["a", "b", "c"]
  assert read(required=("a",), optional=()) == ["a"]
  assert read(required=("a",), optional=("c", "d")) == ["a", "c"]
