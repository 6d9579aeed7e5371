"""Self-contained HTML pages: text, tables and pictures in one file.

The page runs no script and loads nothing: pictures are PNG data, the style is
inline, and a content policy in its head forbids anything else.
"""

import base64
from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import template
from alignet.report import style
from matplotlib.figure import Figure

_CSS_PIXELS_PER_INCH = 100
_PNG = b"\x89PNG\r\n\x1a\n"

Picture = tuple[Figure | bytes, str, str]
"""A figure (or PNG bytes), its caption, and its text for those who see none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
  """A table.

  Attributes:
    header: one text a column.
    rows: texts; the first of a row names it.
    caption: what the table shows, with units.
    numeric: whether the cells are numbers, set flush right.
  """

  header: Sequence[str]
  rows: Sequence[Sequence[str]]
  caption: str = ""
  numeric: bool = True

  def __post_init__(self):
    for number, row in enumerate(self.rows):
      if len(row) != len(self.header):
        raise AlignetError(
            f"table {self.caption!r}: expected {len(self.header)} cells a row,"
            f" found {len(row)} in row {number}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
  """A part of a page.

  Attributes:
    title: heading.
    text: paragraphs, parted by empty lines; plain text.
    tables: shown after the text.
    figures: shown after the tables, side by side where they fit.
  """

  title: str
  text: str = ""
  tables: Sequence[Table] = ()
  figures: Sequence[Picture] = ()


def write(
    path: files.Path,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    *,
    note: str = "",
    overwrite: bool = False,
) -> pathlib.Path:
  """Writes a page; equal content gives equal bytes.

  Args:
    path: the html file.
    title: title of the page.
    subtitle: one sentence below it.
    sections: parts of the page, in order.
    note: a caveat that must not be overlooked, shown in a box on top.
    overwrite: replace an existing file.

  Returns:
    The path.

  Raises:
    OutputExistsError: the file exists.
  """
  path = files.check_output(path, overwrite=overwrite)
  text = render(title, subtitle, sections, note=note)
  with files.atomic_write(path, overwrite=overwrite) as f:
    f.write(text.encode())
  return path


def render(
    title: str, subtitle: str, sections: Sequence[Section], *, note: str = ""
) -> str:
  """The page's HTML; every text is escaped."""
  return template.fill(
      pathlib.Path(__file__).with_suffix(".html"),
      title=title,
      subtitle=subtitle,
      sections=sections,
      pictures=[[_image(*f) for f in s.figures] for s in sections],
      note=note,
  )


def _image(figure: Figure | bytes, caption: str, alt: str) -> dict[str, Any]:
  """What the template shows of a picture."""
  if isinstance(figure, Figure):
    data = style.png(figure)
    width, height = figure.get_size_inches() * _CSS_PIXELS_PER_INCH
  else:
    data = bytes(figure)
    if not data.startswith(_PNG):
      raise AlignetError(
          f"picture {caption!r}: expected a Figure or PNG bytes, found bytes"
          f" that begin with {data[:8]!r}"
      )
    # Width and height stand in the first chunk, after its length and name.
    width, height = (int.from_bytes(data[i : i + 4]) for i in (16, 20))
  return {
      "data": base64.b64encode(data).decode(),
      "width": round(width),
      "height": round(height),
      "caption": caption,
      "alt": alt,
  }
