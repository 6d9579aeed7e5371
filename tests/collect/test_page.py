"""What a page consists of; how it behaves is seen in tests/browser."""

import base64
import hashlib
import html.parser
import json
import re
import zlib

from alignet.collect import page
from alignet.collect import stimuli
from alignet.collect.settings import Settings
from alignet.data import images
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
import cv2
import numpy as np
import pytest

_NAMES = [f"{c}/{c}_{i}.png" for c in ("ape", "bee", "cat") for i in (1, 2)]


@pytest.fixture
def folder(tmp_path):
  """Six PNG of random pixels."""
  rng = np.random.default_rng(0)
  for name in _NAMES:
    path = tmp_path / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 256, (12, 20, 3), np.uint8))
  return tmp_path


def _rows(*numbers):
  return [
      {f"image{k + 1}": _NAMES[i] for k, i in enumerate(row)} for row in numbers
  ]


_ITEMS = _rows((0, 2, 4), (1, 3, 5), (0, 3, 4))


def _write(folder, out="page", items=_ITEMS, kind="triplets", **options):
  settings = {
      key: options.pop(key)
      for key in list(options)
      if key in Settings.__dataclass_fields__
  }
  source = options.pop("source", f"folder:{folder / 'images'}")
  page.write(
      folder / out, items, source, Settings(kind=kind, **settings), **options
  )
  return folder / out


class _Parser(html.parser.HTMLParser):
  """Elements with attributes and text."""

  def __init__(self, text):
    super().__init__()
    self.found = [("", {}, [])]
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.found.append((tag, dict(attrs), []))

  def handle_endtag(self, tag):
    self.found.append(("", {}, []))  # What follows is none of its text.

  def handle_data(self, data):
    self.found[-1][2].append(data)

  def all(self, tag):
    return [(a, "".join(t)) for name, a, t in self.found if name == tag]


def _parsed(out):
  parser = _Parser((out / "index.html").read_text())
  scripts = parser.all("script")
  return parser, json.loads(scripts[0][1]), scripts[1][1]


def test_one_file_that_loads_nothing(folder):
  out = _write(folder)
  assert {p.name for p in out.iterdir()} == {
      "index.html",
      "names.txt",
      "items.csv",
      "meta.json",
  }
  parser, data, script = _parsed(out)
  (style,) = (text for _, text in parser.all("style"))
  policy = next(
      a["content"]
      for a, _ in parser.all("meta")
      if a.get("http-equiv") == "Content-Security-Policy"
  )
  assert policy.startswith("default-src 'none'; ") and "connect" not in policy
  for name, text in (("script-src", script), ("style-src", style)):
    digest = hashlib.sha256(text.encode()).digest()
    assert f"{name} 'sha256-{base64.b64encode(digest).decode()}'" in policy
  text = (out / "index.html").read_text()
  assert not re.search(r"https?:|//\w+\.|@import|url\(", text)
  for tag, attributes, _ in parser.found:
    assert not {"src", "href", "srcset", "style", "onclick"} & {
        *attributes
    }, tag
  for name, source in zip(data["names"], data["images"], strict=True):
    kind, encoded = source.split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(encoded) == (folder / "images" / name).read_bytes()
  assert [[data["names"][i] for i in row] for row in data["items"]] == [
      [*row.values()] for row in _ITEMS
  ]


def test_images_beside_tell_nothing(folder):
  out = _write(folder, embed=False)
  _, data, _ = _parsed(out)
  for name, source in zip(data["names"], data["images"], strict=True):
    content = (folder / "images" / name).read_bytes()
    assert (out / source).read_bytes() == content
    assert not set(re.split(r"\W|_", source)) & {"ape", "bee", "cat"}
  assert len(list((out / "images").iterdir())) == 6


def test_nobody_sees_a_name(folder):
  parser, _, script = _parsed(_write(folder))
  shown = [
      text
      for tag, attributes, parts in parser.found
      if tag not in ("script", "style")
      for text in (*parts, *(v or "" for v in attributes.values()))
  ]
  assert not re.search(r"\b(ape|bee|cat)(?![a-z])", " ".join(shown))
  assert "alt = `Image ${i + 1}`" in script


def test_equal_input_equal_bytes_and_id(folder):
  pages = [_write(folder, f"p{i}") for i in range(2)]
  for name in ("index.html", "names.txt", "items.csv", "meta.json"):
    assert len({(p / name).read_bytes() for p in pages}) == 1
  ids = {_parsed(pages[0])[1]["id"]}
  for i, change in enumerate(
      (
          {"repeats": 0.1},
          {"title": "x"},
          {"consent": "y"},
          {"items": _ITEMS[:2]},
          {"size": 6},
          {"name_by": "stem"},
      )
  ):
    out = _write(folder, f"q{i}", **change)
    ids.add(_parsed(out)[1]["id"])
    meta = json.loads((out / "meta.json").read_text())
    assert meta["page"] == _parsed(out)[1]["id"]
  assert len(ids) == 7


@pytest.mark.parametrize(
    ("name_by", "names"),
    [
        ("path", _NAMES),
        ("stem", ["ape_1", "ape_2", "bee_1", "bee_2", "cat_1", "cat_2"]),
        ("folder", ["ape", "bee", "cat"]),
    ],
)
def test_numbers_mean_lines_of_the_names(folder, name_by, names):
  out = _write(folder, name_by=name_by)
  assert (out / "names.txt").read_text().splitlines() == names
  _, data, _ = _parsed(out)
  for name, number in zip(data["names"], data["numbers"]):
    assert names[number] in (name, name[4:-4], name[:3])


def test_texts_are_escaped(folder):
  evil = "</script><b onclick=x>&"
  out = _write(
      folder,
      title=evil,
      question=evil,
      instructions=f"{evil}\n\ntwo",
      consent=evil,
      thanks=evil,
  )
  parser, data, _ = _parsed(out)
  assert data["question"] == evil and not parser.all("b")
  assert (({}, evil)) in parser.all("p")
  strange = 'a"</script>{data}.png'
  (folder / "images" / strange.replace("/", "_")).write_bytes(
      (folder / "images" / _NAMES[0]).read_bytes()
  )
  items = [{**_ITEMS[0], "image1": strange.replace("/", "_")}]
  _, data, _ = _parsed(_write(folder, "strange", items=items))
  assert strange.replace("/", "_") in data["names"]


def test_images_that_browsers_do_not_show_become_png(folder):
  rng = np.random.default_rng(1)
  pixels = rng.integers(0, 256, (30, 60, 3), np.uint8)
  for name in ("a.tif", "b.jpg", "c.png"):
    cv2.imwrite(str(folder / "images" / name), pixels)
  source = f"folder:{folder / 'images'}"
  tif, jpg = stimuli.read(source, ["a.tif", "b.jpg"])
  assert (tif.media_type, jpg.media_type) == ("image/png", "image/jpeg")
  decoded = cv2.imdecode(np.frombuffer(tif.content, np.uint8), 1)
  np.testing.assert_array_equal(decoded, pixels)
  assert jpg.content == (folder / "images" / "b.jpg").read_bytes()
  for small in stimuli.read(source, ["b.jpg", "c.png"], size=20):
    shape = cv2.imdecode(np.frombuffer(small.content, np.uint8), 1).shape
    assert shape == (10, 20, 3)
  (same,) = stimuli.read(source, ["c.png"], size=60)
  assert same.content == (folder / "images" / "c.png").read_bytes()


def _turned(content, turn=6):
  """The same JPEG or PNG with a note that the camera was turned."""
  tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"
  tiff += bytes([turn, 0, 0, 0, 0, 0, 0, 0])
  if content.startswith(b"\xff\xd8"):
    tiff = b"Exif\0\0" + tiff
    note = b"\xff\xe1" + (len(tiff) + 2).to_bytes(2, "big") + tiff
    return content[:2] + note + content[2:]
  chunk = b"eXIf" + tiff
  note = len(tiff).to_bytes(4, "big") + chunk
  note += zlib.crc32(chunk).to_bytes(4, "big")
  return content[:33] + note + content[33:]


def test_a_turned_camera_counts_for_nothing(folder):
  pixels = np.random.default_rng(1).integers(0, 256, (30, 60, 3), np.uint8)
  source = f"folder:{folder / 'images'}"
  for name in ("b.jpg", "c.png"):
    path = folder / "images" / name
    cv2.imwrite(str(path), pixels)
    plain = path.read_bytes()
    path.write_bytes(_turned(plain))
    # Not vacuous: OpenCV, unless told otherwise, turns it.
    assert cv2.imread(str(path)).shape == (60, 30, 3)
    (found,) = stimuli.read(source, [name])
    assert found.content == plain


def test_an_image_store_with_a_name_twice(folder):
  pixels = np.random.default_rng(2).integers(0, 256, (3, 8, 8, 3), np.uint8)
  store = images.ImageStore(
      images=pixels, filenames=np.array(["x", "y", "x"]), labels={}, meta={}
  )
  images.write(folder / "store", store)
  found = stimuli.read(f"images:{folder / 'store'}", ["x#0000002", "y", "x"])
  for one, expected in zip(found, pixels[[2, 1, 0]]):
    decoded = cv2.imdecode(np.frombuffer(one.content, np.uint8), 1)
    np.testing.assert_array_equal(decoded[..., ::-1], expected)
  with pytest.raises(AlignetError, match="no image 'z'"):
    stimuli.read(f"images:{folder / 'store'}", ["x", "z"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "quads"}, "expected one of triplets, pairs, found 'quads'"),
        ({"repeats": 0.6}, "from 0 to 0.5, found 0.6"),
        ({"trials": 0}, "at least 1, found 0"),
        ({"trials": 4}, "at most the 3 triplets there are, found 4"),
        ({"break_every": -1}, "break_every: expected at least 0, found -1"),
        ({"name_by": "folder", "items": _rows((0, 1, 2))}, "row 0.*ape, ape"),
        ({"name_by": "colour"}, "path, stem, folder, found 'colour'"),
        ({"source": "folder:/nowhere"}, "cannot be read"),
        ({"source": "nonsense"}, "expected tfds"),
    ],
)
def test_pages_that_cannot_be(folder, options, message):
  with pytest.raises(AlignetError, match=message):
    _write(folder, **options)
  assert not (folder / "page").exists()


def test_names_that_cannot_be(folder):
  for name, message in (
      ("../secret.png", "below the folder"),
      ("/etc/x.png", "below the folder"),
      ("ape/none.png", "ape/none.png.*cannot be read"),
  ):
    with pytest.raises(AlignetError, match=message):
      _write(folder, items=[{**_ITEMS[0], "image3": name}])
  for name in ("top.png", "dog/ape_1.png", "ape/broken.png"):
    (folder / "images" / name).parent.mkdir(exist_ok=True)
    content = (folder / "images" / _NAMES[0]).read_bytes()
    (folder / "images" / name).write_bytes(
        content[: None if "b" != name[4] else 9]
    )
  with pytest.raises(AlignetError, match="'top.png' lies in no folder"):
    _write(folder, items=[{**_ITEMS[0], "image3": "top.png"}], name_by="folder")
  with pytest.raises(
      AlignetError, match="both ape/ape_1.png and dog/ape_1.png"
  ):
    _write(
        folder, items=[{**_ITEMS[0], "image3": "dog/ape_1.png"}], name_by="stem"
    )
  with pytest.raises(AlignetError, match="broken.png .*cannot be decoded"):
    _write(folder, items=[{**_ITEMS[0], "image3": "ape/broken.png"}])


@pytest.mark.parametrize(
    "path, name_by",
    [("a .png", "stem"), (" d.png", "path"), ("a//b.png", "folder")],
)
def test_names_that_a_list_of_names_cannot_hold(folder, path, name_by):
  """Found before people answer: readers strip the lines of names.txt."""
  (folder / "images" / "a").mkdir()
  (folder / "images" / path).write_bytes(
      (folder / "images" / _NAMES[0]).read_bytes()
  )
  with pytest.raises(AlignetError, match="name without blanks around it"):
    _write(folder, items=[{**_ITEMS[0], "image3": path}], name_by=name_by)


@pytest.mark.parametrize("name", ["consent", "thanks", "title"])
def test_texts_that_are_left_empty(name):
  found = Settings(kind="pairs", **{name: ""}).text(name)
  assert bool(found) == (name == "title")


def test_nothing_is_overwritten_and_nothing_too_large(folder, monkeypatch):
  before = (_write(folder) / "index.html").read_bytes()
  with pytest.raises(OutputExistsError):
    _write(folder, title="x")
  assert (folder / "page" / "index.html").read_bytes() == before
  monkeypatch.setattr(page, "MAX_EMBEDDED", 1000)
  with pytest.raises(AlignetError, match="6 images .*--beside"):
    _write(folder, "large")
  _write(folder, "large", embed=False)
