"""Fills the templates of pages and cards, which stand beside who fills them."""

import pathlib
from typing import Any

from alignet.io import files
import jinja2


def fill(path: files.Path, **values: Any) -> str:
  """The text of a template; in one that ends in .html values are escaped.

  Args:
    path: of the template; others that it names lie in the same folder.
    **values: what it names; a name without a value is an error.
  """
  path = pathlib.Path(path)
  environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(path.parent),
      autoescape=path.suffix == ".html",
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
      keep_trailing_newline=True,
  )
  environment.filters["paragraphs"] = _paragraphs
  return environment.get_template(path.name).render(**values)


def _paragraphs(text: str) -> list[str]:
  """Paragraphs of a text, which are parted by empty lines."""
  return [part.strip() for part in text.split("\n\n") if part.strip()]
