"""Lists of pairs and triplets, written, read and refused."""

from alignet.collect import tables
from alignet.errors import AlignetError
from alignet.triplets import npz
import numpy as np
import pytest


def test_there_and_back(tmp_path):
  columns = {
      "image1": ["a, b.png", 'say "x".png'],
      "image2": ["é.png", "c.png"],
      "z": [1 / 3, -2.0],
  }
  for delimiter in (",", "\t"):
    path = tmp_path / f"{ord(delimiter)}.csv"
    tables.write(path, columns, delimiter=delimiter)
    rows = tables.read_items(path, 2)
    assert [row["image1"] for row in rows] == columns["image1"]
    assert [row["image2"] for row in rows] == columns["image2"]
    assert [row["z"] for row in rows] == ["0.333333", "-2.000000"]


def test_an_npz_of_triplets(tmp_path):
  names = np.array([f"{i}.png" for i in range(5)])
  path = tmp_path / "t.npz"
  indices = np.array([[0, 1, 2], [4, 2, 1]])
  npz.write(path, names, indices, np.zeros((2, 3), np.float32))
  rows = tables.read_items(path, 3)
  found = [sorted(row[key] for key in tables.IMAGES) for row in rows]
  assert found == [sorted(names[i].tolist()) for i in indices]
  with pytest.raises(AlignetError, match="--triplets"):
    tables.read_items(path, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns image1, image2.*found none"),
        ("image1,b\nx,y\n", "lacks the column image2.*found image1, b"),
        ("image1,image2\n", "a header and no rows"),
        ("image1,image2\nx,y\nx\n", "row 1 has 1 fields; expected 2"),
        (
            "image1,image2\nx,y\nx,x\n",
            "row 1 is 'x', 'x'; expected 2 different",
        ),
        (f"image1,image2\nx,{'y' * 140_000}\n", "damaged.*field limit"),
        ("image1,image2\nx,\n", "row 0 has an empty file name"),
        ('image1,image2\nx,"a\tb"\n', r"row 0 is 'x', 'a\\tb'"),
    ],
)
def test_lists_that_cannot_be(tmp_path, text, message):
  (tmp_path / "a.csv").write_text(text)
  with pytest.raises(AlignetError, match=message):
    tables.read_items(tmp_path / "a.csv", 2)


def test_a_list_that_is_not_there(tmp_path):
  with pytest.raises(AlignetError, match="does not exist"):
    tables.read_items(tmp_path / "a.csv", 2)
