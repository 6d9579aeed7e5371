"""Faults of files: damage, lies in headers, other types, values and names."""

from collections.abc import Callable
import io
import json
import pathlib
import zipfile

import numpy as np

Rng = np.random.Generator


def damage(path: pathlib.Path, rng: Rng) -> None:
  """Bytes as a disk, a transfer or another program leaves them."""
  content = bytearray(path.read_bytes())
  kind = rng.integers(7)
  at = int(rng.integers(max(len(content), 1)))
  if kind == 0:
    content = content[:at]
  elif kind == 1:
    content[at] ^= 1 << int(rng.integers(8))
  elif kind == 2:
    for i in rng.integers(len(content), size=20):
      content[i] = int(rng.integers(256))
  elif kind == 3:
    content = content[:at] + bytes(int(rng.integers(1, 99))) + content[at:]
  elif kind == 4:
    content = bytearray()
  elif kind == 5:
    content = bytearray(rng.bytes(int(rng.integers(1, 999))))
  else:
    content = bytearray(b"<html>moved</html>\n")
  path.write_bytes(content)


def lie(path: pathlib.Path, rng: Rng) -> None:
  """An array's header that claims more than there is."""
  shape = [(10**18,), (2**31, 2**31), (-1,), (48, 10**9), ()][rng.integers(5)]
  dtype = ["<f4", "<U400000000", "|O", "<i8", "<f8", "|V9"][rng.integers(6)]
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
      header, {"descr": dtype, "fortran_order": False, "shape": shape}
  )
  member = header.getvalue() + bytes(64)
  if path.suffix == ".npz":
    _with_member(path, rng, member)
  else:
    path.write_bytes(member)


def _with_member(path, rng, content) -> None:
  with zipfile.ZipFile(path) as archive:
    members = {n: archive.read(n) for n in archive.namelist()}
  members[list(members)[rng.integers(len(members))]] = content
  with zipfile.ZipFile(path, "w") as archive:
    for name, member in members.items():
      archive.writestr(name, member)


def change(path: pathlib.Path, rng: Rng) -> None:
  """Another dtype, shape, order or value of an array; a key that is gone."""
  if path.suffix == ".npz":
    arrays = dict(np.load(path, allow_pickle=False))
    key = list(arrays)[rng.integers(len(arrays))]
    if rng.random() < 0.2:
      del arrays[key]
    else:
      arrays[key] = _changed(arrays[key], rng)
    np.savez(path, **arrays)
  elif path.suffix == ".npy":
    np.save(path, _changed(np.load(path), rng))
  elif path.suffix == ".json":
    path.write_text(_changed_json(path.read_text(), rng))
  else:
    text = path.read_bytes()
    path.write_bytes(_CHANGED_TEXT[rng.integers(len(_CHANGED_TEXT))](text))


def _changed(x: np.ndarray, rng: Rng) -> np.ndarray:
  changes: list[Callable[[np.ndarray], np.ndarray]] = [
      lambda x: x[:-1] if x.ndim else x.reshape(1),
      lambda x: np.concatenate([x, x[:1]]) if x.ndim else x,
      lambda x: x.T if x.ndim else x,
      lambda x: x.reshape(-1) if x.ndim else x,
      lambda x: x[None],
      lambda x: x[:0] if x.ndim else x,
      lambda x: np.zeros_like(x),
      lambda x: x.astype("U9"),
      lambda x: x.astype(bool) if x.dtype.kind != "U" else x,
      lambda x: np.array(["x" * 5000, "\x1b[31m", ""] * 4),
  ]
  if x.dtype.kind == "f":
    changes += [
        lambda x: x * np.float32(1e30),
        lambda x: _put(x, rng, np.nan),
        lambda x: _put(x, rng, np.inf),
        lambda x: x.astype(np.complex64),
        lambda x: x.astype(np.int64),
    ]
  if x.dtype.kind in "iu":
    changes += [
        lambda x: _put(x, rng, -5),
        lambda x: _put(x, rng, 2**30),
        lambda x: x.astype(np.float64),
        lambda x: x + 1,
    ]
  if x.dtype.kind == "U" and x.ndim:
    changes += [lambda x: _put(x, rng, x.flat[0]), lambda x: _put(x, rng, "\n")]
  return changes[rng.integers(len(changes))](x)


def _put(x, rng, value) -> np.ndarray:
  x = x.copy()
  if x.size:
    x.flat[rng.integers(x.size)] = value
  return x


def _changed_json(text: str, rng: Rng) -> str:
  if rng.random() < 0.3:
    return ["[]", "null", "{}", "[" * 100_000, '{"a": NaN}', '"x"'][
        rng.integers(6)
    ]
  value = json.loads(text)
  node, parents = value, []
  while isinstance(node, dict) and node:
    parents.append((node, list(node)[rng.integers(len(node))]))
    node = node[parents[-1][1]]
  holder, key = parents[rng.integers(len(parents))]
  holder[key] = [None, -1, "x", [], {}, 1e308, True][rng.integers(7)]
  return json.dumps(value)


_CHANGED_TEXT = (
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: text.replace(b",", b"\t"),
    lambda text: text.decode("latin-1").encode("utf-16"),
    lambda text: text + text,
    lambda text: text.replace(b"0", b"nan"),
    lambda text: text.replace(b"1", b"9" * 400),
    lambda text: b"\x00" * 50 + text,
    lambda text: text[: len(text) // 2],
    lambda text: b"\n" + text,
)
