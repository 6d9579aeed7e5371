"""Self-contained HTML pages: text, tables and pictures in one file.

The page runs no script and loads nothing: pictures are PNG data, the style is
inline, and a content policy in its head forbids anything else.
"""

import base64
from collections.abc import Sequence
import dataclasses
import html
import pathlib

from alignet.errors import AlignetError
from alignet.io import files
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
  contents = "\n".join(
      f'<li><a href="#section-{i}">{_escape(s.title)}</a></li>'
      for i, s in enumerate(sections, 1)
  )
  parts = [_section(i, s) for i, s in enumerate(sections, 1)]
  note = f'<aside class="note">{_paragraphs(note)}</aside>' if note else ""
  return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
img-src data:; style-src 'unsafe-inline'">
<title>{_escape(title)}</title>
<style>{_CSS}</style>
</head>
<body>
<header>
<h1>{_escape(title)}</h1>
<p class="subtitle">{_escape(subtitle)}</p>
{note}
</header>
<nav aria-label="Contents">
<ol>
{contents}
</ol>
</nav>
<main>
{"".join(parts)}</main>
</body>
</html>
"""


def _section(number: int, section: Section) -> str:
  tables = "".join(
      _table(t, f"table-{number}-{i}") for i, t in enumerate(section.tables, 1)
  )
  figures = "".join(_figure(*f) for f in section.figures)
  if figures:
    figures = f'<div class="figures">\n{figures}</div>\n'
  return (
      f'<section id="section-{number}" aria-labelledby="heading-{number}">\n'
      f'<h2 id="heading-{number}">{_escape(section.title)}</h2>\n'
      f"{_paragraphs(section.text)}\n{tables}{figures}</section>\n"
  )


def _table(table: Table, name: str) -> str:
  head = "".join(f'<th scope="col">{_escape(c)}</th>' for c in table.header)
  rows = "\n".join(
      "<tr>"
      + "".join(
          f'<th scope="row">{_escape(cell)}</th>'
          if column == 0
          else f"<td>{_escape(cell)}</td>"
          for column, cell in enumerate(row)
      )
      + "</tr>"
      for row in table.rows
  )
  # The caption stands outside the box that scrolls, to be read on a phone.
  caption = f'<p class="caption" id="{name}">{_escape(table.caption)}</p>\n'
  kind = ' class="numeric"' if table.numeric else ""
  label = 'aria-label="table"'
  if table.caption:
    label = f'aria-labelledby="{name}"'
  return (
      f"{caption if table.caption else ''}"
      f'<div class="scroll" tabindex="0" role="region" {label}>\n'
      f"<table{kind} {label}>\n"
      f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n"
      "</table>\n</div>\n"
  )


def _figure(figure: Figure | bytes, caption: str, alt: str) -> str:
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
  encoded = base64.b64encode(data).decode()
  kind = "scroll wide" if width > 620 else "scroll"
  focus = f' tabindex="0" role="region" aria-label="{_escape(caption)}"'
  return (
      f'<figure>\n<div class="{kind}"{focus if width > 620 else ""}>'
      f'<img src="data:image/png;base64,{encoded}" alt="{_escape(alt)}"'
      f' width="{round(width)}" height="{round(height)}"></div>\n'
      + (f"<figcaption>{_escape(caption)}</figcaption>\n" if caption else "")
      + "</figure>\n"
  )


def _paragraphs(text: str) -> str:
  parts = [p.strip() for p in text.split("\n\n")]
  return "\n".join(f"<p>{_escape(p)}</p>" for p in parts if p)


def _escape(text: object) -> str:
  return html.escape(str(text))


_CSS = """
:root {
  --text: #1b1f24; --muted: #57606a; --back: #ffffff; --line: #d0d7de;
  --link: #0059a8; --note: #fff4d6; --note-line: #b27b00; --stripe: #f6f8fa;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6e8eb; --muted: #a4adb8; --back: #14171b; --line: #3a424c;
    --link: #7ab8ff; --note: #362b10; --note-line: #d9a441; --stripe: #1c2127;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem;
  color: var(--text); background: var(--back); font: 1rem/1.55 system-ui,
  -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word;
}
h1 { margin: 0 0 .3rem; font-size: 1.9rem; line-height: 1.2; }
h2 {
  margin: 3rem 0 .6rem; padding-top: .8rem; font-size: 1.35rem;
  line-height: 1.3; border-top: 1px solid var(--line);
}
p { max-width: 46rem; margin: .6rem 0; }
a { color: var(--link); }
.subtitle { margin-top: 0; color: var(--muted); font-size: 1.1rem; }
.note {
  margin: 1.2rem 0; padding: .3rem 1rem; max-width: 46rem;
  background: var(--note); border-left: 4px solid var(--note-line);
}
nav ol { columns: 16rem; padding-left: 1.4rem; }
.scroll { max-width: 100%; overflow-x: auto; }
table { margin: 0 0 1rem; border-collapse: collapse; font-size: .95rem; }
.caption { margin: 1.4rem 0 .3rem; color: var(--muted); font-size: .9rem; }
th, td {
  padding: .4rem .8rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
thead th { border-bottom: 2px solid var(--muted); white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--stripe); }
:not(.numeric) > tbody td { overflow-wrap: anywhere; min-width: 12rem; }
.numeric td {
  white-space: nowrap; font-variant-numeric: tabular-nums;
}
.numeric td, .numeric thead th:not(:first-child) { text-align: right; }
.figures {
  display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: flex-start;
}
figure { margin: .8rem 0 0; max-width: 100%; min-width: 0; }
figure .scroll { background: #ffffff; border: 1px solid var(--line); }
img { display: block; max-width: 100%; height: auto; }
figcaption {
  width: 0; min-width: 100%; margin-top: .4rem; color: var(--muted);
  font-size: .9rem;
}
@media (max-width: 44rem) {
  h1 { font-size: 1.5rem; }
  .wide img { max-width: none; width: 42rem; }
}
@media print { nav { display: none; } figure { break-inside: avoid; } }
"""
