"""Answers joined, refused and summed up, against numbers made by hand."""

import csv
import json

from alignet.collect import answers
from alignet.collect import page
from alignet.collect import tables
from alignet.collect.settings import Settings
from alignet.data import images
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.human import readers
import numpy as np
import pytest
from scipy import stats

_NAMES = np.array([f"{c}/{c}{i}.png" for c in "abc" for i in range(3)])
_HEADER = {
    3: "subject_id image1 image2 image3 choice rt_ms trial item repetition"
    " views name1 name2 name3 page answered_at",
    2: "subject_id image1 image2 rating rt_ms trial item repetition views name1"
    " name2 page answered_at",
}


@pytest.fixture
def world(tmp_path):
  """Folder with an image store."""
  pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), np.uint8)
  store = images.ImageStore(images=pixels, filenames=_NAMES, labels={}, meta={})
  images.write(tmp_path / "images", store)
  return tmp_path


def _page(world, kind, items, columns=None):
  """A page of items given by numbers of images."""
  size = 3 if kind == "triplets" else 2
  rows = [
      dict(zip(tables.IMAGES, _NAMES[list(item)].tolist())) for item in items
  ]
  for key, values in (columns or {}).items():
    for row, value in zip(rows, values, strict=True):
      row[key] = str(value)
  source = f"images:{world / 'images'}"
  page_id = page.write(world / "page", rows, source, Settings(kind=kind))
  names = (world / "page" / "names.txt").read_text().splitlines()

  def save(path, participant, given, **changes):
    """Writes what the page would; given: (item, repetition, shown, answer)."""
    lines = [_HEADER[size].split()]
    for trial, (item, repetition, shown, answer) in enumerate(given, start=1):
      called = _NAMES[list(shown)].tolist()
      row = [
          *(participant, *(names.index(name) + 1 for name in called), answer),
          *(f"{100.0 * trial:.1f}", trial, item, repetition, 1, *called),
          *(page_id, "2030-01-01T00:00:00.000Z"),
      ]
      row = dict(zip(lines[0], row, strict=True)) | changes
      lines.append([str(value) for value in row.values()])
    text = "".join("\t".join(line) + "\n" for line in lines)
    (world / path).write_text(text)
    return world / path

  return save


_ITEMS = ((0, 3, 6), (1, 4, 7), (2, 5, 8))


def test_joined_file_is_one_of_choices(world):
  save = _page(world, "triplets", _ITEMS)
  given = [(1, 0, (7, 1, 4), 2), (0, 0, (3, 0, 6), 3), (2, 0, (2, 5, 8), 1)]
  paths = [save("b.csv", "bob", given), save("a.csv", "anna", given[:2])]
  # The same person again, who had saved a copy before the end.
  paths.append(save("copy.csv", "bob", given[:1]))
  found = answers.read(world / "page", paths)
  answers.write(world / "choices.csv", found)
  with pytest.raises(OutputExistsError):
    answers.write(world / "choices.csv", found)
  concepts = _NAMES[::-1].copy()
  choices = readers.read_things_csv(
      world / "choices.csv", concepts, names=world / "page" / "names.txt"
  )
  assert choices.participant_ids.tolist() == ["anna", "bob"]
  shown = concepts[choices.triplets].tolist()
  expected = [
      _NAMES[list(t)].tolist() for t in ((7, 4, 1), (3, 0, 6), (5, 8, 2))
  ]
  assert shown == expected[:2] + expected
  assert choices.report.rows == 5 and choices.report.repeated == 0
  assert answers.read(world / "page", [world / "choices.csv"]) == found


@pytest.mark.parametrize("between", "\t;,")
def test_who_opened_a_copy_in_a_spreadsheet_is_one_person(world, between):
  save = _page(world, "triplets", _ITEMS)
  given = [(1, 0, (7, 1, 4), 2), (0, 0, (3, 0, 6), 3)]
  paths = [save("a.csv", "anna", given)]
  alone = answers.read(world / "page", paths)
  copy = save("b.csv", "anna", given, answered_at="01/01/30 00:00")
  text = copy.read_text()
  if between == ";":
    text = text.replace("100.0", "100").replace("200.0", '"200,0"')
  copy.write_text(text.replace("\t", between), encoding="utf-8-sig")
  for order in ([*paths, copy], [copy, *paths]):
    assert answers.read(world / "page", order) == alone
  other = save("c.csv", "anna", given, rt_ms="7.0", answered_at="x")
  with pytest.raises(AlignetError, match="two people used one ID"):
    answers.read(world / "page", [*paths, other])


def test_consistency_and_models(world):
  odd = {
      "odd_model": _NAMES[[0, 4, 8]],
      "odd_baseline": _NAMES[[3, 1, 8]],
  }
  save = _page(world, "triplets", _ITEMS, odd)
  anna = save(
      "a.csv",
      "anna",
      [
          (0, 0, (0, 3, 6), 1),
          (1, 0, (4, 1, 7), 2),
          (2, 0, (2, 5, 8), 3),
          (0, 1, (6, 0, 3), 2),
          (1, 1, (4, 1, 7), 1),
      ],
  )
  bob = save("b.csv", "bob", [(0, 0, (3, 0, 6), 2)])
  found = answers.summary(answers.read(world / "page", [anna, bob]))
  assert found["participants"] == {
      # Image 0 both times; image 1, then image 4.
      "anna": {
          "answers": 5,
          "median_rt_ms": 300.0,
          "repeated": 2,
          "consistency": 0.5,
      },
      "bob": {
          "answers": 1,
          "median_rt_ms": 100.0,
          "repeated": 0,
          "consistency": None,
      },
  }
  # First answers: images 0, 1, 8 and 0.
  assert found["models"] == {"model": 3 / 4, "baseline": 2 / 4}
  text = answers.table(found)
  assert "0.50 of 2" in text and "model 0.750, baseline 0.500" in text
  json.dumps(found, allow_nan=False)


def test_ratings_and_models(world):
  rng = np.random.default_rng(0)
  items = [(i, j) for i in range(4) for j in range(4, 9)]
  z = {f"z_{m}": rng.normal(size=len(items)) for m in answers.MODELS}
  save = _page(world, "pairs", items, z)
  ratings = rng.integers(1, 8, (3, len(items)))
  paths = [
      save(
          f"{who}.csv",
          f"p{who}",
          [(i, 0, items[i][::-1], r) for i, r in enumerate(given)]
          + [(5, 1, items[5], 3), (6, 1, items[6], 3)] * (who == 0),
      )
      for who, given in enumerate(ratings)
  ]
  found = answers.summary(answers.read(world / "page", paths))
  for model in answers.MODELS:
    expected = stats.spearmanr(ratings.mean(axis=0), z[f"z_{model}"]).statistic
    assert found["models"][model] == pytest.approx(expected, abs=1e-10)
  assert found["participants"]["p0"]["consistency"] == pytest.approx(
      np.abs(ratings[0, 5:7] - 3).mean()
  )
  one = answers.summary(
      answers.read(world / "page", [save("c.csv", "c", [(0, 0, items[0], 4)])])
  )
  assert one["models"] == {"model": None, "baseline": None}
  assert "model undefined" in answers.table(one)


def test_items_that_no_model_has_a_say_in(world):
  save = _page(world, "triplets", _ITEMS)
  path = save("a.csv", "anna", [(0, 0, (0, 3, 6), 1)])
  found = answers.summary(answers.read(world / "page", [path]))
  assert found["models"] is None and "model" not in answers.table(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"page": "0123"}, "row 0 is of the page '0123'"),
        ({"item": "3"}, "item is '3'; expected a number from 0 to 2"),
        ({"item": "-1"}, "item is '-1'"),
        ({"repetition": "2"}, "from 0 to 1"),
        ({"trial": "0"}, "from 1 to 6"),
        ({"choice": "4"}, "choice is '4'; expected a number from 1 to 3"),
        ({"choice": ""}, "choice is ''"),
        ({"rt_ms": "nan"}, "rt_ms is 'nan'; expected milliseconds"),
        ({"rt_ms": "fast"}, "rt_ms is 'fast'"),
        ({"name2": "b/b1.png"}, "shows .*; item 0 of the page is"),
        ({"image2": "7"}, "image2 is '7'.*number 4"),
    ],
)
def test_files_that_the_page_cannot_have_written(world, changes, message):
  save = _page(world, "triplets", _ITEMS)
  path = save("a.csv", "anna", [(0, 0, (0, 3, 6), 1)], **changes)
  with pytest.raises(AlignetError, match=message):
    answers.read(world / "page", [path])


def test_two_people_with_one_id(world):
  save = _page(world, "triplets", _ITEMS)
  paths = [save(f"{i}.csv", "anna", [(0, 0, (0, 3, 6), i)]) for i in (1, 2)]
  with pytest.raises(AlignetError, match="2.csv: row 0 .* of anna to trial 1"):
    answers.read(world / "page", paths)


def test_an_item_more_often_than_the_page_asks(world):
  save = _page(world, "triplets", _ITEMS)
  again = save("2.csv", "anna", [(0, 0, (0, 3, 6), i) for i in (1, 2)])
  with pytest.raises(AlignetError, match="anna answered item 0 2 times"):
    answers.read(world / "page", [again])
  late = save("l.csv", "anna", [(0, 0, (0, 3, 6), 1), (1, 1, (1, 4, 7), 1)])
  with pytest.raises(AlignetError, match="item 1 again, and never before"):
    answers.read(world / "page", [late])


def test_columns_that_somebody_added(world):
  save = _page(world, "triplets", _ITEMS)
  plain, noted = (
      save(f"{who}.csv", who, [(0, 0, (0, 3, 6), 1)]) for who in "ab"
  )
  header, row = noted.read_text().splitlines()
  noted.write_text(f"{header}\tnote\n{row}\thi\n")
  found = answers.read(world / "page", [plain, noted])
  assert {*found.rows[1]} == {*_HEADER[3].split()}
  answers.write(world / "all.csv", found)
  assert answers.read(world / "page", [world / "all.csv"]) == found


def test_a_folder_that_is_no_page(world):
  (world / "meta.json").write_text("{}")
  with pytest.raises(
      AlignetError, match="settings.*folder that .alignet collect page"
  ):
    answers.read(world, [])


def test_the_reader_knows_the_pages_own_columns():
  """What the script writes is what these tests write."""
  import pathlib

  script = (pathlib.Path(page.__file__).parent / "page.js").read_text()
  for columns in _HEADER.values():
    for name in next(csv.reader([columns], delimiter=" ")):
      assert f'"{name}"' in script
