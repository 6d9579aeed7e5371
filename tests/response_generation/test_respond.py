import json
import os
import pathlib
import subprocess
import sys
import textwrap

from alignet import files
from alignet import transforms
from alignet import triplet_io
from alignet import triplets as triplets_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.kernels import dots
from alignet.representations import store
import numpy as np
import pytest
from response_generation import respond
from response_generation import scratch
from response_generation import temperature

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def _formula(x, indices, kind="dot"):
  """{frozenset of two images: similarity} of each row, in float64."""
  x = x.astype(np.float64)
  if kind == "cosine":
    x = x / np.sqrt((x**2).sum(1, keepdims=True))
  return [
      {
          frozenset((a, b)): float(np.dot(x[a], x[b]))
          for a, b in ((i, j), (i, k), (j, k))
      }
      for i, j, k in indices.tolist()
  ]


def _check(path, expected, names, rtol=2e-5, atol=2e-5):
  """The npz says what `expected` says, in canonical order."""
  read = triplet_io.open(path)
  assert len(read) == len(expected)
  for row, s, files_, pairs in zip(
      read.indices.tolist(),
      read.similarities.astype(np.float64),
      read.filenames,
      expected,
  ):
    i, j, k = row
    wanted = [pairs[frozenset(p)] for p in ((i, j), (i, k), (j, k))]
    np.testing.assert_allclose(s, wanted, rtol=rtol, atol=atol)
    assert s[0] >= s[1] >= s[2]
    assert files_.tolist() == [names[i], names[j], names[k]]


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_aligned_equals_the_formula(world, tmp_path, similarity):
  out = tmp_path / "out" / "train.npz"
  meta = respond.respond(
      **world.inputs, transform=world.transform, similarity=similarity, out=out
  )
  t = world.teacher
  z = ((world.features.astype(np.float64) - 0.25) / 2) @ t.weights.astype(
      np.float64
  ) + t.bias
  _check(out, _formula(z, world.indices, similarity), world.names)
  assert [p.name for p in out.parent.iterdir()] == ["train.npz"]
  assert meta["temperature"] == 1.0
  assert meta["similarity"] == similarity


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_untransformed_equals_the_formula(world, tmp_path, similarity):
  out = tmp_path / "u.npz"
  respond.respond(**world.inputs, similarity=similarity, out=out)
  _check(out, _formula(world.features, world.indices, similarity), world.names)


@pytest.mark.parametrize("small", [0, 2**28])
def test_float16_representations_are_summed_in_float32(
    tmp_path, monkeypatch, small
):
  monkeypatch.setattr(scratch, "_SMALL", small)
  n, d = 6, 4000
  rng = np.random.default_rng(0)
  x = rng.uniform(0, 9, (n, d)).astype(np.float16)
  store.write(tmp_path / "r", x, [str(i) for i in range(n)], {}, {"model": "m"})
  indices = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
  files.save_npz(
      tmp_path / "t.npz", {"indices": indices, "meta": files.json_array({})}
  )
  respond.respond(
      representations=tmp_path / "r",
      triplets=tmp_path / "t.npz",
      out=tmp_path / "u.npz",
  )
  # The dot products exceed what float16 can hold.
  assert triplet_io.open(tmp_path / "u.npz").similarities.min() > 65504
  _check(
      tmp_path / "u.npz", _formula(x, indices), [str(i) for i in range(n)], 1e-6
  )


def test_meta_names_the_inputs(world, tmp_path):
  out = tmp_path / "x.npz"
  meta = respond.respond(**world.inputs, transform=world.transform, out=out)
  assert triplet_io.open(out).meta == meta
  assert meta["inputs"] == {
      "features": files.sha256(world.representations / "features.npy"),
      "filenames": files.sha256(world.representations / "filenames.npy"),
      "triplets": files.sha256(world.triplets),
      "transform": files.sha256(world.transform),
      "temperature_from": None,
  }
  assert meta["triplets"]["seed"] == 3
  assert meta["transform"] == {"seed": 11}
  assert meta["representations"]["layer"] == "pooled"
  assert str(tmp_path) not in json.dumps(meta)
  s = triplet_io.open(out).similarities.astype(np.float64)
  p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
  assert meta["mean_entropy"] == pytest.approx(-(p * np.log(p)).sum(1).mean())


def test_matched_has_the_entropy_of_aligned(world, tmp_path):
  aligned, matched = tmp_path / "a.npz", tmp_path / "m.npz"
  respond.respond(**world.inputs, transform=world.transform, out=aligned)
  meta = respond.respond(**world.inputs, temperature_from=aligned, out=matched)

  def entropy(path):
    s = triplet_io.open(path).similarities.astype(np.float64)
    log_p = s - np.log(np.exp(s).sum(1, keepdims=True))
    return -(np.exp(log_p) * log_p).sum(1).mean()

  assert entropy(matched) == pytest.approx(entropy(aligned), abs=1e-6)
  assert meta["target_entropy"] == pytest.approx(entropy(aligned), abs=1e-9)
  assert meta["inputs"]["temperature_from"] == files.sha256(aligned)
  t = meta["temperature"]
  assert t > 1
  scaled = [
      {pair: s / t for pair, s in row.items()}
      for row in _formula(world.features, world.indices)
  ]
  _check(matched, scaled, world.names)


def test_the_target_is_walked_once_or_known(world, tmp_path, monkeypatch):
  real, walks = temperature.target_entropy, []

  def target_entropy(path):
    walks.append(path)
    return real(path)

  monkeypatch.setattr(temperature, "target_entropy", target_entropy)
  aligned, matched = tmp_path / "a.npz", tmp_path / "m.npz"
  responses = [
      respond.Response(out=aligned, transform=world.transform),
      respond.Response(out=matched, temperature_from=aligned),
  ]
  _, together = respond.respond_all(**world.inputs, responses=responses)
  assert not walks
  assert together["target_entropy"] == real(aligned)
  alone = respond.respond(
      **world.inputs, temperature_from=aligned, out=tmp_path / "again.npz"
  )
  assert walks == [aligned]
  assert alone == together


def test_sampled_triplets_are_checked_once(world, tmp_path, monkeypatch):
  real, checked = triplets_lib.check, []

  def check(*args, what, **kwargs):
    checked.append(what)
    return real(*args, what=what, **kwargs)

  monkeypatch.setattr(triplets_lib, "check", check)
  respond.respond(**world.inputs, out=tmp_path / "x.npz")
  assert checked.count(f"indices in {world.triplets}") == 1


def test_bytes_depend_on_neither_blocks_nor_threads_nor_scratch(
    world, tmp_path, monkeypatch
):
  aligned = tmp_path / "aligned.npz"
  respond.respond(**world.inputs, transform=world.transform, out=aligned)
  expected = aligned.read_bytes()
  for i, (rows, workers, small) in enumerate(
      [(1, 1, 2**28), (7, 3, 0), (64, 2, 0), (211, 1, 0), (10**6, 3, 2**28)]
  ):
    monkeypatch.setattr(scratch, "_SMALL", small)
    out = tmp_path / f"{i}.npz"
    respond.respond(
        **world.inputs,
        transform=world.transform,
        out=out,
        rows=rows,
        workers=workers,
    )
    assert out.read_bytes() == expected
  assert not list(tmp_path.glob("*.shards"))


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


def test_kill_9_at_every_write_then_the_same_command(world):
  script = textwrap.dedent(_KILL).format(
      root=str(_ROOT), folder=str(world.folder)
  )
  done = subprocess.run(
      [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  # Fingerprint, transformed, three shards, joined, result: written, named; the
  # end.
  assert int(done.stdout) == 7 + 8 + 1


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
  _check(out, _formula(world.features, world.indices), world.names)


def test_existing_output(world, tmp_path):
  out = tmp_path / "x.npz"
  respond.respond(**world.inputs, out=out)
  with pytest.raises(OutputExistsError, match="already exists"):
    respond.respond(**world.inputs, out=out)
  # A work folder that says nothing about the output changes nothing.
  (tmp_path / "x.npz.shards").mkdir()
  with pytest.raises(OutputExistsError, match="already exists"):
    respond.respond(**world.inputs, transform=world.transform, out=out)
  before = out.read_bytes()
  respond.respond(
      **world.inputs, transform=world.transform, out=out, overwrite=True
  )
  assert out.read_bytes() != before


def test_existing_output_that_waits_for_another(world, tmp_path):
  aligned, matched = tmp_path / "a.npz", tmp_path / "m.npz"
  responses = [
      respond.Response(out=aligned, transform=world.transform),
      respond.Response(out=matched, temperature_from=aligned),
  ]
  respond.respond(**world.inputs, out=matched)
  (tmp_path / "a.npz.shards").mkdir()
  before = matched.read_bytes()
  with pytest.raises(OutputExistsError, match="m.npz already exists"):
    respond.respond_all(**world.inputs, responses=responses)
  assert matched.read_bytes() == before
  assert not aligned.exists()


def _nan_features(world):
  path = world.representations / "features.npy"
  x = world.features.copy()
  x[5, 1] = np.nan
  files.save_npy(path, x, overwrite=True)


def _other_width(world):
  transforms.save(world.transform, transforms.identity(9), overwrite=True)


def _fewer_images(world):
  store.write(
      world.representations,
      world.features[:50],
      world.names[:50],
      {"basic": labels_lib.from_strings(["a"] * 50)},
      {},
      overwrite=True,
  )


def _outside(world):
  arrays = {
      "indices": np.array([[0, 1, 60]], np.int32),
      "meta": files.json_array({}),
  }
  files.save_npz(world.triplets, arrays, overwrite=True)


def _outside_a_strange_number(world):
  """`n_images` that a reader cannot go by."""
  arrays = {
      "indices": np.array([[0, 1, 60]], np.int32),
      "meta": files.json_array({"n_images": 60.0}),
  }
  files.save_npz(world.triplets, arrays, overwrite=True)


def _none(world):
  arrays = {
      "indices": np.zeros((0, 3), np.int32),
      "meta": files.json_array({}),
  }
  files.save_npz(world.triplets, arrays, overwrite=True)


def _overflow(world):
  store.write(
      world.representations,
      np.full((60, 6), 1e30, np.float32),
      world.names,
      {},
      {},
      overwrite=True,
  )


@pytest.mark.parametrize(
    "spoil, message",
    [
        (_nan_features, "is not the file that was written"),
        (_other_width, r"expected shape \(any, 9\)"),
        (_fewer_images, "sampled over 60 images"),
        (_outside, "expected numbers from 0 to 59"),
        (_outside_a_strange_number, "expected numbers from 0 to 59"),
        (_none, "at least one triplet"),
        (lambda w: w.triplets.unlink(), "does not exist"),
        (lambda w: w.transform.write_bytes(b"PK"), "truncated"),
    ],
)
def test_bad_inputs(world, tmp_path, spoil, message):
  spoil(world)
  out = tmp_path / "x.npz"
  with pytest.raises(AlignetError, match=message):
    respond.respond(**world.inputs, transform=world.transform, out=out)
  assert not list(tmp_path.glob("x.npz*"))


def test_overflowing_similarity(world, tmp_path):
  _overflow(world)
  with (
      np.errstate(over="ignore"),
      pytest.raises(AlignetError, match="triplet 0 .* overflows"),
  ):
    respond.respond(**world.inputs, out=tmp_path / "x.npz", workers=1)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("store", ["float16", "bfloat16"])
def test_16_bit_stores_and_their_error(
    world, tmp_path, monkeypatch, store, similarity
):
  monkeypatch.setattr(scratch, "_SMALL", 0)
  exact, short = tmp_path / "a.npz", tmp_path / "b.npz"
  arguments = {**world.inputs, "transform": world.transform}
  arguments["similarity"] = similarity
  respond.respond(**arguments, out=exact)
  meta = respond.respond(**arguments, out=short, store=store)
  bound = 2.0 ** {"float16": -10, "bfloat16": -7}[store]
  t = world.teacher
  z = ((world.features - 0.25) / 2) @ t.weights + t.bias
  largest = (
      1 if similarity == "cosine" else np.linalg.norm(z, axis=1).max() ** 2
  )
  expected = _formula(z, world.indices, similarity)
  _check(short, expected, world.names, rtol=0, atol=1.1 * bound * largest)
  found = triplet_io.open(short).similarities.astype(np.float64)
  differences = [
      # Canonical order is that of the rounded similarities.
      np.array([pairs[frozenset(p)] for p in ((i, j), (i, k), (j, k))]) - s
      for (i, j, k), s, pairs in zip(
          triplet_io.open(short).indices.tolist(), found, expected
      )
  ]
  error = meta["store_error"]
  assert error["n"] == len(expected)
  assert error["max"] == pytest.approx(np.abs(differences).max(), rel=1e-2)
  rms = np.sqrt(np.mean(np.square(differences)))
  assert error["rms"] == pytest.approx(rms, rel=1e-2)
  assert error["rms"] > 0


def test_float16_overflow_names_the_way_out(world, tmp_path):
  transforms.save(
      world.transform,
      transforms.Transform(
          weights=1e6 * np.eye(6, dtype=np.float32), bias=np.zeros(6, "f")
      ),
      overwrite=True,
  )
  arguments = {**world.inputs, "transform": world.transform}
  with pytest.raises(AlignetError, match="choose bfloat16"):
    respond.respond(**arguments, out=tmp_path / "x.npz", store="float16")
  respond.respond(**arguments, out=tmp_path / "x.npz", store="bfloat16")


def test_cluster_order_does_not_show(world, tmp_path):
  files.save_npz(
      tmp_path / "c.npz", {"assignments": np.arange(60, dtype=np.int32) % 7}
  )
  a, b = tmp_path / "a.npz", tmp_path / "b.npz"
  respond.respond(**world.inputs, out=a)
  respond.respond(**world.inputs, out=b, clusters=tmp_path / "c.npz")
  assert a.read_bytes() == b.read_bytes()


def test_several_responses_in_one_pass(world, tmp_path, monkeypatch):
  monkeypatch.setattr(scratch, "_SMALL", 0)
  names = ("aligned", "untransformed", "matched")

  def responses(folder):
    aligned, raw, matched = (folder / f"{name}.npz" for name in names)
    return [
        respond.Response(out=aligned, transform=world.transform),
        respond.Response(out=raw),
        respond.Response(out=matched, temperature_from=aligned),
    ]

  metas = respond.respond_all(
      **world.inputs, responses=responses(tmp_path / "all"), rows=50
  )
  for response, meta in zip(responses(tmp_path / "one"), metas):
    alone = respond.respond(
        **world.inputs,
        out=response.out,
        transform=response.transform,
        temperature_from=response.temperature_from,
    )
    assert alone == meta
    together = tmp_path / "all" / response.out.name
    assert together.read_bytes() == response.out.read_bytes()
  assert len(list((tmp_path / "all").iterdir())) == 3

  # Stopped when the first was there: the same call goes on.
  real, calls = triplet_io.write, []

  def dying(*args, **kwargs):
    if calls:
      raise KeyboardInterrupt
    calls.append(1)
    real(*args, **kwargs)

  with monkeypatch.context() as m:
    m.setattr(triplet_io, "write", dying)
    with pytest.raises(KeyboardInterrupt):
      respond.respond_all(
          **world.inputs, responses=responses(tmp_path / "two"), rows=50
      )
  again = respond.respond_all(
      **world.inputs, responses=responses(tmp_path / "two"), rows=50
  )
  assert again == metas
  for path in (tmp_path / "two").iterdir():
    assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()


def test_parts_by_three_processes(world, tmp_path, monkeypatch):
  monkeypatch.setattr(scratch, "_SMALL", 0)
  arguments = {**world.inputs, "transform": world.transform, "rows": 30}
  whole, out = tmp_path / "whole.npz", tmp_path / "x.npz"
  respond.respond(**arguments, out=whole)
  children = []
  for i in range(3):
    pid = os.fork()
    if not pid:
      done = respond.respond(**arguments, out=out, part=(i, 3), workers=1)
      os._exit(0 if done == {} else 1)
    children.append(pid)
  assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
  assert len(list((tmp_path / "x.npz.shards").glob("0*.npz"))) == 8
  monkeypatch.setattr(dots, "of_triplets", None)  # Nothing is left to compute.
  respond.respond(**arguments, out=out)
  assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("store", ["float32", "float16", "bfloat16"])
def test_jax_gives_the_same(world, tmp_path, store):
  a, b = tmp_path / "a.npz", tmp_path / "b.npz"
  arguments = {**world.inputs, "transform": world.transform, "store": store}
  respond.respond(**arguments, out=a)
  meta = respond.respond(**arguments, out=b, device="jax")
  assert meta["device"] == "jax"
  a, b = triplet_io.open(a), triplet_io.open(b)
  np.testing.assert_array_equal(a.indices, b.indices)
  np.testing.assert_allclose(
      a.similarities, b.similarities, rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"similarity": "euclidean"}, "dot, cosine"),
        ({"store": "int8"}, "float32, float16, bfloat16"),
        ({"device": "abacus"}, "cpu, jax"),
        ({"part": (3, 3)}, "i of n"),
        ({"rows": 0}, "rows"),
        ({"workers": 0}, "workers"),
        ({"temperature_from": "nothing.npz"}, "does not exist"),
    ],
)
def test_bad_arguments(world, tmp_path, arguments, message):
  with pytest.raises(AlignetError, match=message):
    respond.respond(**world.inputs, out=tmp_path / "x.npz", **arguments)
  assert not list(tmp_path.glob("x.npz*"))
