import errno
import fcntl
import os
import pathlib
import shutil

from alignet.data import cache
from alignet.data import image_folder
from alignet.data import image_sources
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
import cv2
import numpy as np
import pytest

_N = 11


@pytest.fixture
def source(tmp_path):
  rng = np.random.default_rng(0)
  for i in range(_N):
    path = tmp_path / "images" / f"class{i % 2}" / f"{i:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (9 + i, 7, 3)
    cv2.imwrite(str(path), rng.integers(0, 256, shape, np.uint8))
  return image_folder.FolderSource(tmp_path / "images")


def _build(source, out, **options):
  return cache.build(source, out, **{"size": 6, "block": 4, **options})


def _bytes(folder):
  return {p.name: p.read_bytes() for p in sorted(folder.rglob("*"))}


class _Dies:
  """A source whose reading ends the program at one image."""

  def __init__(self, source, at):
    self._source, self._at = source, at
    self.meta, self.levels = source.meta, source.levels
    self.read = []

  def __len__(self):
    return len(self._source)

  def __getitem__(self, i):
    if i == self._at:
      raise KeyboardInterrupt
    self.read.append(i)
    return self._source[i]


def test_the_store_holds_what_the_source_holds(source, tmp_path):
  assert _build(source, tmp_path / "s") == _N
  found = images_lib.open_store(tmp_path / "s")
  expected = image_sources.read(source, size=6)
  assert isinstance(found.images, np.memmap)
  np.testing.assert_array_equal(found.images, expected.images)
  np.testing.assert_array_equal(found.filenames, expected.filenames)
  for level, labels in expected.labels.items():
    np.testing.assert_array_equal(found.labels[level].ids, labels.ids)
    np.testing.assert_array_equal(found.labels[level].names, labels.names)
  assert {p.name for p in (tmp_path / "s").iterdir()} == {
      *("images.npy", "filenames.npy", "labels.npz", "meta.json"),
      cache.CHECKSUMS,
  }
  assert not (tmp_path / "s.partial").exists()
  assert cache.verify(tmp_path / "s") == _N
  # A source of its own, as any image store.
  again = image_sources.open(f"images:{tmp_path / 's'}")
  np.testing.assert_array_equal(again[3].image, expected.images[3])


def test_bytes_do_not_depend_on_workers(source, tmp_path):
  for workers in (1, 3):
    _build(source, tmp_path / str(workers), workers=workers)
  assert _bytes(tmp_path / "1") == _bytes(tmp_path / "3")


@pytest.mark.parametrize("at", [0, 3, 4, 9])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(source, tmp_path, at):
  _build(source, tmp_path / "whole")
  with pytest.raises(KeyboardInterrupt):
    _build(_Dies(source, at), tmp_path / "s", workers=1)
  assert not (tmp_path / "s").exists()
  # Killed while it wrote the next block, too.
  with open(tmp_path / "s.partial" / "images.npy", "ab") as f:
    f.write(b"half a block")
  rest = _Dies(source, None)
  assert _build(rest, tmp_path / "s", workers=1) == _N - at // 4 * 4
  assert min(rest.read) == at // 4 * 4
  assert _bytes(tmp_path / "s") == _bytes(tmp_path / "whole")


def test_a_run_that_was_killed_while_it_finished(source, tmp_path, monkeypatch):
  _build(source, tmp_path / "whole")
  replace = os.replace

  def dies(*args, **_):
    if isinstance(args[1], pathlib.Path) and args[1].parent != tmp_path:
      return replace(*args)  # Of a file inside.
    raise KeyboardInterrupt

  for module, name in (
      (cache.image_sources, "distinct"),
      (cache.os, "replace"),
  ):
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
      m.setattr(module, name, dies)
      _build(source, tmp_path / "s")
    assert not (tmp_path / "s").exists()
  # All pixels are there.
  assert _build(_Dies(source, 0), tmp_path / "s") == 0
  assert _bytes(tmp_path / "s") == _bytes(tmp_path / "whole")


def test_a_finished_store_is_left_as_it_is(source, tmp_path):
  _build(source, tmp_path / "s")
  before = (tmp_path / "s" / "images.npy").stat().st_mtime_ns
  assert _build(_Dies(source, 0), tmp_path / "s") == 0
  assert (tmp_path / "s" / "images.npy").stat().st_mtime_ns == before
  with pytest.raises(OutputExistsError, match="other settings"):
    _build(source, tmp_path / "s", size=5)
  assert _build(source, tmp_path / "s", size=5, overwrite=True) == _N
  assert images_lib.open_store(tmp_path / "s").images.shape[1] == 5


def test_the_beginning_of_another_store(source, tmp_path):
  with pytest.raises(KeyboardInterrupt):
    _build(_Dies(source, 9), tmp_path / "s", workers=1)
  with pytest.raises(AlignetError, match=r"another store \(other resize\)"):
    _build(source, tmp_path / "s", size=5)
  assert _build(source, tmp_path / "s", size=5, overwrite=True) == _N


def test_two_runs_do_not_write_one_store(source, tmp_path):
  (tmp_path / "s.partial").mkdir()
  with open(tmp_path / "s.partial" / "lock", "wb") as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    with pytest.raises(AlignetError, match="another process"):
      _build(source, tmp_path / "s")
  assert _build(source, tmp_path / "s") == _N


def test_a_disk_that_is_too_small(source, tmp_path, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=_N * 108 - 1)
  with monkeypatch.context() as m:
    m.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(AlignetError, match="needs .* GB more"):
      _build(source, tmp_path / "s")
  assert _build(source, tmp_path / "s") == _N


def test_a_disk_that_fills_up(source, tmp_path, monkeypatch):
  _build(source, tmp_path / "whole")
  count = 0

  def fsync(_):
    nonlocal count
    count += 1
    if count == 7:  # Of each block: pixels, the rest, the folder.
      raise OSError(errno.ENOSPC, "No space left on device")

  with monkeypatch.context() as m:
    m.setattr(cache.os, "fsync", fsync)
    with pytest.raises(AlignetError, match="no space left") as error:
      _build(source, tmp_path / "s", workers=1)
  assert "\n" not in str(error.value)
  assert _build(source, tmp_path / "s") < _N
  assert _bytes(tmp_path / "s") == _bytes(tmp_path / "whole")


def test_an_image_that_cannot_be_decoded(source, tmp_path):
  (tmp_path / "images" / "class0" / "04.png").write_bytes(b"no image")
  with pytest.raises(AlignetError, match="04.png .*decoded"):
    _build(source, tmp_path / "s")


def test_damage_is_found(source, tmp_path):
  _build(source, tmp_path / "s")
  path = tmp_path / "s" / "images.npy"
  data = bytearray(path.read_bytes())
  data[-4 * 108] ^= 1  # Image 7.
  path.write_bytes(data)
  with pytest.raises(AlignetError, match="images 4 to 7 are not"):
    cache.verify(tmp_path / "s")


@pytest.mark.parametrize("bad", [{"size": 0}, {"block": 0}])
def test_bad_settings(source, tmp_path, bad):
  with pytest.raises(AlignetError, match="at least"):
    _build(source, tmp_path / "s", **bad)


def test_imagenet(test_data, tmp_path):
  data = str(test_data / "tfds")
  source = image_sources.open("tfds:imagenet2012:train[:30]", data_dir=data)
  cache.build(source, tmp_path / "s", size=48, block=16)
  from alignet.data import tfds_images  # pylint: disable=g-import-not-at-top

  lazy = tfds_images.TfdsImages(
      name="imagenet2012", split="train", size=48, data_dir=data
  )
  rows = np.array([[0, 17, 29], [5, 5, 1]])
  found = images_lib.open_store(tmp_path / "s")
  np.testing.assert_array_equal(found[rows], lazy[rows])


def test_a_folder_that_is_no_store_is_left_alone(source, tmp_path):
  (tmp_path / "s").mkdir()
  (tmp_path / "s" / "thesis.txt").touch()
  with pytest.raises(AlignetError, match="is no folder with meta.json of ours"):
    _build(source, tmp_path / "s", overwrite=True)
  _build(source, tmp_path / "t")
  (tmp_path / "t" / "thesis.txt").touch()
  with pytest.raises(AlignetError, match="holds thesis.txt"):
    _build(source, tmp_path / "t", size=5, overwrite=True)
  assert len(list(tmp_path.glob("*/thesis.txt"))) == 2
