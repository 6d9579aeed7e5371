"""The page: well formed, self-contained, escaped, deterministic."""

import base64
import html.parser

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.report import page
from alignet.report import style
import pytest

_VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(html.parser.HTMLParser):
  """Collects elements and checks that each one opened is closed."""

  def __init__(self, text: str):
    super().__init__(convert_charrefs=True)
    self.open, self.elements, self.text = [], [], []
    self.feed(text)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attrs):
    assert len(dict(attrs)) == len(attrs), "an attribute is given twice"
    self.elements.append((tag, dict(attrs)))
    if tag not in _VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if not self.open or self.open[-1] != "style":
      self.text.append(data)

  def all(self, tag):
    return [attrs for name, attrs in self.elements if name == tag]


def check_self_contained(text: str) -> Reader:
  reader = Reader(text)
  ids = [a["id"] for _, a in reader.elements if "id" in a]
  assert len(ids) == len(set(ids))
  for tag, attrs in reader.elements:
    assert tag not in ("script", "link", "iframe", "object")
    assert not [name for name in attrs if name.startswith("on")]
    if "src" in attrs:
      assert attrs["src"].startswith("data:image/png;base64,")
    if "href" in attrs:
      assert attrs["href"][0] == "#" and attrs["href"][1:] in ids
    for name in ("aria-labelledby", "aria-describedby"):
      assert name not in attrs or attrs[name] in ids
  for image in reader.all("img"):
    assert image["alt"].strip()
    assert base64.b64decode(image["src"].partition(",")[2]).startswith(
        b"\x89PNG"
    )
  assert "http" not in text.replace("http-equiv", "")
  assert "url(" not in text and "@import" not in text
  assert len(reader.all("h1")) == 1
  return reader


_HOSTILE = "<script>alert(1)</script> & \"quotes\" 'too' </style>"


def _sections():
  png = style.png(style.figure(1, 1))
  return [
      page.Section(
          title=f"one {_HOSTILE}",
          text=f"a {_HOSTILE}\n\nb",
          tables=(
              page.Table(
                  header=("model", _HOSTILE),
                  rows=((_HOSTILE, "1"), ("x", _HOSTILE)),
                  caption=_HOSTILE,
              ),
              page.Table(header=("k",), rows=(), numeric=False),
          ),
          figures=(
              (png, _HOSTILE, _HOSTILE),
              (style.figure(9, 2), "wide", "a wide one"),
          ),
      ),
      page.Section(title="two"),
  ]


def _render(**kwargs):
  return page.render(_HOSTILE, _HOSTILE, _sections(), **kwargs)


def test_page_is_well_formed_and_escaped():
  reader = check_self_contained(_render(note=_HOSTILE))
  joined = "".join(reader.text)
  # Title, heading, subtitle, note, contents; heading and text of the section;
  # caption, header and two cells of the table; caption of the picture.
  assert joined.count(_HOSTILE) == 12
  assert [a["alt"] for a in reader.all("img")] == [_HOSTILE, "a wide one"]
  assert len(reader.all("section")) == 2
  assert len(reader.all("aside")) == 1
  assert len(reader.all("a")) == 2


def test_page_without_note_has_no_empty_box():
  assert "<aside" not in _render()


def test_images_keep_their_size():
  first, second = Reader(_render()).all("img")
  assert (first["width"], first["height"]) == (str(style.DPI),) * 2
  assert (second["width"], second["height"]) == ("900", "200")


def test_write_is_deterministic_and_refuses_to_overwrite(tmp_path):
  a, b = tmp_path / "a.html", tmp_path / "deep" / "b.html"
  for path in (a, b):
    assert page.write(path, "t", "s", _sections()) == path
  assert a.read_bytes() == b.read_bytes()
  with pytest.raises(OutputExistsError):
    page.write(a, "other", "s", [])
  assert a.read_bytes() == b.read_bytes()
  page.write(a, "other", "s", [], overwrite=True)
  assert a.read_bytes() != b.read_bytes()
  assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.html"]


def test_refusals():
  with pytest.raises(AlignetError, match="2 cells a row, found 1"):
    page.Table(header=("a", "b"), rows=(("x",),), caption="c")
  section = page.Section(title="t", figures=((b"GIF89a", "c", "alt"),))
  with pytest.raises(AlignetError, match="PNG"):
    page.render("t", "s", [section])
