"""Plain data come out as they went in; anything else is refused unrun."""

import collections
import os
import pickle
import subprocess
import sys

from alignet.errors import AlignetError
from alignet.io import plain_pickle
import numpy as np
import pytest


def _write(tmp_path, content):
  path = tmp_path / "p.pkl"
  path.write_bytes(content)
  return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data(tmp_path, protocol):
  value = {
      "a": [1, -2.5, None, True, (1, 2), {3}, frozenset({4}), "é", 2**80, 1j],
      7: {"x": collections.OrderedDict(y=1), "b": bytearray(b"zz")},
      "n": [np.float32(1.5), np.int64(-3), np.bool_(True), np.uint8(200)],
  }
  path = _write(tmp_path, pickle.dumps(value, protocol))
  found = plain_pickle.load(path)
  assert found == value
  assert [type(v) for v in found["n"]] == [type(v) for v in value["n"]]


def test_old_numpy_and_other_byte_order(tmp_path):
  # As numpy 1 names its module.
  content = pickle.dumps(np.float64(2.25), 2)
  assert b"numpy._core.multiarray" in content
  old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
  assert plain_pickle.load(_write(tmp_path, old)) == 2.25
  big = np.array([1.25], ">f8")[0]
  other = pickle.dumps(np.dtype(">f8").type(big), 2)
  assert plain_pickle.load(_write(tmp_path, other)) == 1.25


class _Runs:

  def __init__(self, function, *args):
    self._call = function, args

  def __reduce__(self):
    return self._call


def _hostile():
  marker = "touch HOSTILE"
  return {
      "os.system": _Runs(os.system, marker),
      "subprocess": _Runs(subprocess.check_output, marker, 0),
      "eval": _Runs(eval, "__import__('os').system('touch HOSTILE')"),
      "getattr": _Runs(getattr, [], "append"),
      "open": _Runs(open, "HOSTILE", "w"),
      "array": np.zeros(3),
      "objects": np.array([{}], object),
      "structured": np.zeros(1, "f4,f4")[0],
      "class": _Runs(type, "x", (), {}),
  }


@pytest.mark.parametrize("name", _hostile())
def test_hostile_pickles_are_refused_and_not_run(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  path = _write(tmp_path, pickle.dumps({"trials": [_hostile()[name]]}))
  with pytest.raises(AlignetError, match="not loaded"):
    plain_pickle.load(path)
  assert not (tmp_path / "HOSTILE").exists()


def _doubled(times):
  """x = str((x, x)), again and again: a text of 2^times letters and more."""
  str_of = b"c__builtin__\nstr\n"
  step = b"q\x010h\x00h\x01h\x01\x86\x85R"
  return (
      b"\x80\x02" + str_of + b"q\x000X\x01\x00\x00\x00x" + step * times + b"."
  )


def _repeated(name, argument, times):
  """The same call on the same argument, so many times."""
  call = f"c__builtin__\n{name}\n".encode() + b"q\x010" + argument + b"q\x000"
  return b"\x80\x02" + call + b"(" + b"h\x01h\x00\x85R" * times + b"l."


@pytest.mark.parametrize(
    "content, message",
    [
        (_doubled(16), "asks for __builtin__.str"),
        (_repeated("bytes", b"J\x00\x00\x00\x40", 1), "bytes make more than"),
        (
            _repeated("bytearray", b"J\x00\x00\x00\x40", 1),
            "bytearray make more",
        ),
        (
            _repeated("set", b"(" + b"K\x01" * 100 + b"l", 9),
            "set make more than it holds",
        ),
    ],
)
def test_bombs_of_few_bytes(tmp_path, content, message):
  assert len(content) < 400
  with pytest.raises(AlignetError, match=message + ".*not loaded"):
    plain_pickle.load(_write(tmp_path, content))


def test_names_with_dots_do_not_lead_further(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  # Protocol 4 may ask for an attribute of an attribute.
  content = (
      pickle.PROTO
      + b"\x04"
      + b"\x8c\x05numpy"
      + b"\x8c\x0edtype.__class__"[:2]
      + b"dtype.__init__"
      + b"\x93."
  )
  with pytest.raises(AlignetError, match="numpy.dtype.__init__.*not loaded"):
    plain_pickle.load(_write(tmp_path, content))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x05", b"not a pickle", pickle.dumps([1, 2])[:-3]]
)
def test_damaged(tmp_path, content):
  with pytest.raises(AlignetError, match="cannot be read as a pickle"):
    plain_pickle.load(_write(tmp_path, content))


def test_missing_and_large(tmp_path):
  with pytest.raises(AlignetError, match="does not exist"):
    plain_pickle.load(tmp_path / "no.pkl")
  with pytest.raises(AlignetError, match="larger than the 3 bytes"):
    plain_pickle.load(_write(tmp_path, pickle.dumps([1])), max_bytes=3)


def test_references_to_elsewhere(tmp_path):
  with pytest.raises(AlignetError, match="outside it"):
    plain_pickle.load(_write(tmp_path, b"Pabc\n."))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\x00\x00\x00\x08.",  # A place in the memo: GBs of room.
        b"\x80\x04\x8d\xff\xff\xff\xff\x00\x00\x00\x00.",  # A string as long.
        b"\x80\x03B\xff\xff\xff\x7f.",
    ],
)
def test_a_few_bytes_get_no_room(tmp_path, content):
  (tmp_path / "p.pkl").write_bytes(content)
  code = (
      "import resource, sys\n"
      "from alignet.io import plain_pickle\n"
      "from alignet.errors import AlignetError\n"
      "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
      "try:\n"
      "  plain_pickle.load(sys.argv[1])\n"
      "except AlignetError as e:\n"
      "  after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
      "  sys.exit(0 if after - before < 100_000 else 3)\n"
      "sys.exit(4)"
  )
  command = [sys.executable, "-c", code, str(tmp_path / "p.pkl")]
  assert subprocess.run(command, check=False).returncode == 0
