"""Tests of alignet.human.readers.images."""

from alignet.errors import AlignetError
from alignet.human import readers
import pytest

_CONCEPTS = ["ape", "bee", "cat", "dog", "elk"]


def _images(folder, *paths):
  for path in paths:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(b"image")
  return folder


def test_reference_images(tmp_path):
  folder = _images(
      tmp_path,
      *("ape.jpg", "bee/bee_02s.jpg", "bee/bee_01b.JPG", "cat/anything.png"),
      *("README.txt", ".hidden.jpg", ".cache/x.jpg", "empty/notes.txt"),
      *("dog.PNG", "elk.jpeg"),
  )
  found = readers.find_reference_images(folder, _CONCEPTS)
  shown = [p.relative_to(folder).as_posix() for p in found.paths]
  assert shown == [
      *("ape.jpg", "bee/bee_01b.JPG", "cat/anything.png"),
      *("dog.PNG", "elk.jpeg"),
  ]
  assert found.unknown == found.missing == ()


def test_unknown_and_missing_images(tmp_path):
  folder = _images(tmp_path, "ape.jpg", "yak.jpg", "zebra/zebra.jpg", "elk.jpg")
  with pytest.raises(AlignetError, match="images of yak, zebra, none of the 5"):
    readers.find_reference_images(folder, _CONCEPTS)
  with pytest.raises(AlignetError, match="no image of bee, cat, dog of the 5"):
    readers.find_reference_images(folder, _CONCEPTS, on_unknown="drop")
  found = readers.find_reference_images(
      folder, _CONCEPTS, on_unknown="drop", on_missing="drop"
  )
  assert [p and p.name for p in found.paths] == [
      *("ape.jpg", None, None, None, "elk.jpg")
  ]
  assert found.unknown == ("yak", "zebra")
  assert found.missing == ("bee", "cat", "dog")


@pytest.mark.parametrize(
    "paths, message",
    [
        (["ape.jpg", "ape.png"], "both ape.jpg and ape.png for 'ape'"),
        (["ape.jpg", "ape/1.jpg"], "for 'ape'"),
        (["ape/1.jpg", "ape/2.jpg"], "holds 2 images; expected one"),
        (["ape/a_01b.jpg", "ape/b_01b.jpg"], "holds 2 images"),
    ],
)
def test_two_images_of_a_concept(tmp_path, paths, message):
  with pytest.raises(AlignetError, match=message):
    readers.find_reference_images(_images(tmp_path, *paths), ["ape"])


def test_no_folder_of_images(tmp_path):
  with pytest.raises(AlignetError, match="no folder"):
    readers.find_reference_images(tmp_path / "none", _CONCEPTS)
