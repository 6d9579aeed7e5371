import os
import shutil

from alignet.data import image_folder
from alignet.data import image_sources
from alignet.errors import AlignetError
from alignet.io import files
import cv2
import numpy as np
import pytest


def _write(path, value=0, h=6, w=6):
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), np.full((h, w, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
  root = tmp_path / "images"
  for value, name in enumerate(
      ("dog/b.png", "cat/x/a.png", "cat/a.PNG", "loose.png")
  ):
    _write(root / name.replace(".PNG", ".png"), 10 * value)
    if name.endswith("PNG"):
      os.rename(root / "cat/a.png", root / name)
  (root / "notes.txt").write_text("no image")
  _write(root / ".hidden" / "a.png")
  _write(root / "cat" / ".hidden.png")
  return root


def test_files_are_sorted_and_labelled_by_folder(folder):
  source = image_folder.FolderSource(folder)
  assert [source[i].filename for i in range(len(source))] == [
      *("cat/a.PNG", "cat/x/a.png", "dog/b.png", "loose.png"),
  ]
  assert source.levels["subordinate"].tolist() == ["cat", "dog"]
  assert [source[i].ids["subordinate"] for i in range(4)] == [0, 0, 1, -1]
  assert image_sources.pixels(source[2])[0, 0].tolist() == [0, 0, 0]


def test_a_flat_folder_has_no_labels(tmp_path):
  _write(tmp_path / "a.jpg")
  source = image_sources.open(f"folder:{tmp_path}")
  assert source.levels == {} and source[0].ids == {}
  store = image_sources.read(source)
  assert store.labels == {} and store.filenames.tolist() == ["a.jpg"]


def test_a_class_that_is_a_link_counts(folder):
  os.symlink(folder / "dog", folder / "hound")
  source = image_folder.FolderSource(folder)
  names = [source[i].filename for i in range(len(source))]
  dogs = [name for name in names if name.startswith("dog/")]
  assert dogs and [f"hound/{n[4:]}" for n in dogs] == [
      name for name in names if name.startswith("hound/")
  ]
  assert "hound" in source.levels["subordinate"]


def test_splits_are_no_classes(tmp_path):
  for split in ("train", "val"):
    _write(tmp_path / split / "cat" / "a.png")
  with pytest.raises(AlignetError, match="splits train, val .*folder:.*train"):
    image_folder.FolderSource(tmp_path)
  assert len(image_folder.FolderSource(tmp_path / "train")) == 1


def test_what_is_no_image_is_counted(folder):
  for name in ("a.gif", "b.gif", "notes.txt"):
    (folder / name).write_bytes(b"x")
  source = image_folder.FolderSource(folder)
  assert source.passed_over[".gif"] == 2 and source.passed_over[".txt"] >= 1


def test_links_are_followed_once(folder, tmp_path):
  _write(tmp_path / "elsewhere" / "c.png")
  os.symlink(tmp_path / "elsewhere", folder / "linked")
  os.symlink(folder, folder / "dog" / "round")
  source = image_folder.FolderSource(folder)
  names = [source[i].filename for i in range(len(source))]
  assert "linked/c.png" in names and len(names) == 5


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda p: None, "is no folder"),
        (lambda p: p.mkdir(), "holds no images: no file below it ends in .jpg"),
        (lambda p: p.write_text(""), "is no folder"),
    ],
)
def test_no_images(tmp_path, make, message):
  make(tmp_path / "x")
  with pytest.raises(AlignetError, match=message):
    image_folder.FolderSource(tmp_path / "x")


def test_names_must_be_utf8(tmp_path):
  path = os.fsencode(tmp_path) + b"/\xff.png"
  try:
    with open(path, "wb"):
      pass
  except OSError:
    pytest.skip("this file system takes no such name")
  with pytest.raises(AlignetError, match="no UTF-8"):
    image_folder.FolderSource(tmp_path)


def test_a_file_that_went_away(folder):
  source = image_folder.FolderSource(folder)
  (folder / "dog" / "b.png").unlink()
  with pytest.raises(AlignetError, match="image dog/b.png .* cannot be read"):
    source[2]


def test_contents_tell_one_state_from_another(folder, tmp_path, monkeypatch):
  """Not names and sizes; a copy elsewhere is the same."""
  monkeypatch.setenv("ALIGNET_CACHE", str(tmp_path / "cache"))
  digest = lambda path: image_folder.FolderSource(path).meta["files_sha256"]
  before = digest(folder)
  assert not (tmp_path / "cache").exists()  # The files are too young.
  monkeypatch.setattr(files, "_SETTLED", 0)
  assert digest(folder) == before
  assert list((tmp_path / "cache").rglob("*/*/*"))
  monkeypatch.setattr(files, "_SETTLED", 2 * 10**9)
  assert digest(folder) == before
  shutil.copytree(folder, tmp_path / "copy")
  assert digest(tmp_path / "copy") == before
  path = folder / "dog" / "b.png"
  content = bytearray(path.read_bytes())
  content[-20] ^= 1  # As many bytes as before.
  path.write_bytes(content)
  os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # The clock has ticked.
  assert digest(folder) != before
  monkeypatch.setenv("ALIGNET_CACHE", "/proc/nowhere")  # No cache, no matter.
  assert digest(tmp_path / "copy") == before
