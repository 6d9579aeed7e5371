"""On a disk that is full nothing is half there, and work goes on later."""

import contextlib
import dataclasses
import os
import re
import subprocess

from alignet import transforms
from alignet.cli import main
from alignet.errors import DiskFullError
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import sampling
import numpy as np
import pytest
from response_generation import respond
from response_generation import transformed_store

_N, _D, _TRIPLETS, _ROWS = 400, 48, 3000, 1000


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  """Representations, triplets, a transform and labels, on another disk."""
  folder = tmp_path_factory.mktemp("inputs")
  rng = np.random.default_rng(0)
  features = rng.standard_normal((_N, _D)).astype(np.float32)
  names = [f"{i}.jpg" for i in range(_N)]
  store.write(folder / "r", features, names, {}, {"model": "m"})
  np.save(folder / "labels.npy", np.arange(_N) % 20)
  sampling.write(
      *(folder / "t.npz", np.arange(_N) % 20, "border", _TRIPLETS),
      seed=0,
      rows=identities.of_names(names),
  )
  known = {"columns": {"model": "m"}}
  transforms.save(
      folder / "w.npz", dataclasses.replace(transforms.identity(_D), meta=known)
  )
  return folder


@pytest.fixture
def disk(tmp_path):
  """A function that makes a small disk of so many KiB, or resizes it."""
  folder = tmp_path / "disk"
  folder.mkdir()

  def mount(kib, *options):
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", *options]
    try:
      subprocess.run(
          [*command, "tmpfs", str(folder)], check=True, capture_output=True
      )
    except (OSError, subprocess.CalledProcessError) as e:
      pytest.skip(f"a tmpfs cannot be mounted, which takes root ({e})")

  mounted = contextlib.ExitStack()

  def disk(kib):
    mounted.close()
    mount(kib)
    # Lazily: maps of files on it may be open yet.
    mounted.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
    disk.resize = lambda kib: mount(kib, "-o", "remount")
    return folder

  with mounted:
    yield disk


def _tree(folder):
  return {
      os.path.relpath(os.path.join(root, name), folder)
      for root, _, names in os.walk(folder)
      for name in names
  }


def test_respond(inputs, disk, monkeypatch):
  monkeypatch.setattr(transformed_store, "_SMALL", 0)

  def run(folder):
    aligned = folder / "aligned.npz"
    respond.respond_all(
        representations=inputs / "r",
        triplets=inputs / "t.npz",
        responses=[
            respond.Response(out=aligned, transform=inputs / "w.npz"),
            respond.Response(
                out=folder / "matched.npz", temperature_from=aligned
            ),
        ],
        rows=_ROWS,
        workers=1,
    )
    assert _tree(folder) == {"aligned.npz", "matched.npz"}
    return [(folder / name).read_bytes() for name in sorted(_tree(folder))]

  expected = run(inputs.parent / "expected")
  struck = set()
  kib = 8
  while True:
    folder = disk(kib)
    try:
      assert run(folder) == expected
      break
    except DiskFullError as e:
      message = str(e)
    path = re.search(r"no space left while writing (\S+);", message)[1]
    name = os.path.basename(path)
    struck.add(re.sub(r"\d{3,}\.|-.*", "", name))
    tree = _tree(folder)
    assert not [name for name in tree if name.endswith(".tmp")]
    assert os.path.relpath(path, folder) not in tree
    for name, content in zip(("aligned.npz", "matched.npz"), expected):
      if name in tree:  # The first was done before.
        assert (folder / name).read_bytes() == content
    # What it says to be kept is there, and is not computed again.
    scratch_kept = [n for n in tree if "transformed-" in n]
    assert ("the transformed images" in message) == bool(scratch_kept)
    shards = [name for name in tree if re.search(r"/\d+\.npz$", name)]
    said = sum(map(int, re.findall(r"(\d) of 3 shards", message)))
    assert said == len(shards)
    kept = {n: (folder / n).stat().st_ino for n in [*shards, *scratch_kept]}
    disk.resize(4096)
    with monkeypatch.context() as m:
      m.setattr(respond.shutil, "rmtree", lambda *_, **__: None)
      with contextlib.suppress(AssertionError):  # The folders stay.
        run(folder)
    assert {n: (folder / n).stat().st_ino for n in kept} == kept
    kib += 24
  assert {"transformed", "npz", "joined", "result.npz"} <= struck, struck


def test_sample(inputs, disk, capsys):
  folder = disk(16)
  command = [
      *("sample", f"--labels={inputs / 'labels.npy'}", "--strategy=border"),
      *(f"--n={_TRIPLETS}", f"--out={folder / 't.npz'}", "--quiet"),
  ]
  assert main.main(command) == 2
  said = capsys.readouterr().err
  assert f"no space left while writing {folder / 't.npz'}" in said
  assert "nothing of it was kept" in said
  assert not _tree(folder)
  disk.resize(4096)
  assert main.main(command) == 0
  found, expected = (sampling.read(f / "t.npz")[0] for f in (folder, inputs))
  np.testing.assert_array_equal(found, expected)
