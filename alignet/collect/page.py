"""Writes the page on which people choose the odd one out or rate pairs.

    index.html   the page; loads nothing but images/, and sends nothing
    images/      the images, unless they are inside the page
    names.txt    what the numbers of its answers mean: number i is line i
    items.csv    what it shows, with all columns that were given
    meta.json    the page's id, its settings, library versions

Participants get the first two; no name of an image is to be seen on the page.
"""

import base64
from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import json
import pathlib
from typing import Any, get_args

from alignet import errors
from alignet.collect import stimuli
from alignet.collect import tables
from alignet.collect.settings import NameBy
from alignet.collect.settings import Settings
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import folders
from alignet.io import json_files
from alignet.io import template

INDEX = "index.html"
NAMES = "names.txt"
ITEMS = "items.csv"
META = "meta.json"

_OTHERS = (INDEX, NAMES, ITEMS, f"images/{'?' * 20}.???")

MAX_EMBEDDED = 100 * 2**20
"""Bytes of images that a page carries inside; more are slow to open."""

_HERE = pathlib.Path(__file__).parent


def write(
    out: files.Path,
    items: Sequence[tables.Row],
    source: str,
    settings: Settings,
    *,
    size: int | None = None,
    data_dir: str | None = None,
    embed: bool = True,
    overwrite: bool = False,
) -> str:
  """Writes the folder of a page; equal input gives equal bytes.

  Args:
    out: the folder.
    items: what to show, of `tables.read_items`.
    source: of the images, see `stimuli.read`.
    settings: how to ask.
    size: longest side of the images in pixels; larger ones are shrunk.
    data_dir: where TFDS keeps its datasets.
    embed: images inside the page, which is then one file; or in images/.
    overwrite: replace an existing folder.

  Returns:
    The page's id, which its answers carry.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: it exists and is no page, or holds other files; an image that
      is not there, two images of one name in a row, more trials than items,
      images that are too large to be inside.
  """
  folders.check(out, META, '"page": ', _OTHERS, overwrite=overwrite)
  columns = tables.IMAGES[: settings.size]
  shown = [[row[column] for column in columns] for row in items]
  if (settings.trials or 0) > len(items):
    raise AlignetError(
        f"trials: expected at most the {len(items)} {settings.kind} there are,"
        f" found {settings.trials}"
    )
  images = sorted({name for row in shown for name in row})
  called = [image_name(name, settings.name_by) for name in images]
  names = {name: i for i, name in enumerate(sorted(set(called)))}
  _check_names(shown, dict(zip(images, called)), settings.name_by)
  read = stimuli.read(source, images, size=size, data_dir=data_dir)
  total = sum(len(one.content) for one in read)
  if embed and total > MAX_EMBEDDED:
    raise AlignetError(
        f"{len(read)} images of {total / 2**20:.0f} MiB are too large to be"
        " inside the page; pass --beside to leave them in a folder beside it,"
        " or --size to shrink them"
    )
  number = {name: i for i, name in enumerate(images)}
  content = {
      **{key: settings.text(key) for key in ("title", "question")},
      "kind": settings.kind,
      "ends": ["not at all similar", "very similar"],
      "repeats": settings.repeats,
      "trials": settings.trials or len(items),
      "break_every": settings.break_every,
      "items": [[number[name] for name in row] for row in shown],
      "names": images,
      "numbers": [names[name] for name in called],
      "images": [_path(one) for one in read],
  }
  texts = {
      key: settings.text(key) for key in ("instructions", "consent", "thanks")
  }
  # With the script, on which the order of the trials depends.
  script = (_HERE / "page.js").read_text()
  page_id = hashlib.sha256(
      json.dumps([content, texts, called, script], sort_keys=True).encode()
  ).hexdigest()[:12]
  content["id"] = page_id
  if embed:
    content["images"] = [_data_uri(one) for one in read]
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    _write_text(folder / INDEX, _render(content, texts))
    if not embed:
      (folder / "images").mkdir()
      for path, one in {_path(one): one for one in read}.items():
        with files.atomic_write(folder / path) as f:
          f.write(one.content)
    _write_text(folder / NAMES, "".join(f"{name}\n" for name in names))
    tables.write(
        folder / ITEMS, {key: [row[key] for row in items] for key in items[0]}
    )
    json_files.write(
        folder / META,
        {
            "page": page_id,
            "settings": dataclasses.asdict(settings),
            "items": len(items),
            "images": len(images),
            "source": source,
            "size": size,
            "versions": files.versions(),
        },
    )
  return page_id


def image_name(path: str, name_by: NameBy) -> str:
  """What an image is called, see `Settings`."""
  errors.check_choice("name_by", name_by, get_args(NameBy))
  folder, _, base = path.rpartition("/")
  if name_by == "path":
    return path
  if name_by == "stem":
    return base.rpartition(".")[0] or base
  if not folder:
    raise AlignetError(
        f"name_by: the image {path!r} lies in no folder; name it by its path or"
        " stem"
    )
  return folder.rpartition("/")[2]


def _check_names(shown, called: Mapping[str, str], name_by: str) -> None:
  if name_by == "stem" and len(set(called.values())) < len(called):
    seen: dict[str, str] = {}
    for path, name in called.items():
      if name in seen:
        raise AlignetError(
            f"name_by: both {seen[name]} and {path} are {name!r} by their stem;"
            " name images by their path"
        )
      seen[name] = path
  for path, name in called.items():
    if not name or name != name.strip():
      raise AlignetError(
          f"name_by: the image {path!r} would be called {name!r}; expected a"
          " name without blanks around it: rename it, or name images otherwise"
      )
  for i, row in enumerate(shown):
    names = [called[path] for path in row]
    if len(set(names)) < len(names):
      raise AlignetError(
          f"row {i} shows {', '.join(row)}, which are called"
          f" {', '.join(names)}; expected different names: leave the row out,"
          " or name images by their path"
      )


def _path(one: stimuli.Stimulus) -> str:
  """Where an image lies beside the page; says nothing of what it shows."""
  digest = hashlib.sha256(one.content).hexdigest()[:20]
  return f"images/{digest}{one.suffix}"


def _data_uri(one: stimuli.Stimulus) -> str:
  return (
      f"data:{one.media_type};base64,{base64.b64encode(one.content).decode()}"
  )


def _render(content: Mapping[str, Any], texts: Mapping[str, str]) -> str:
  style, script = (
      (_HERE / name).read_text() for name in ("page.css", "page.js")
  )
  policy = (
      f"default-src 'none'; script-src {_hash(script)}; style-src"
      f" {_hash(style)}; img-src data: 'self'; base-uri 'none';"
      " form-action 'none'"
  )
  return template.fill(
      _HERE / "page.html",
      **texts,
      policy=policy,
      style=style,
      script=script,
      title=content["title"],
      question=content["question"],
      # No text of the data may end the element it stands in.
      data=json.dumps(content).replace("<", "\\u003c"),
  )


def _hash(text: str) -> str:
  digest = hashlib.sha256(text.encode()).digest()
  return f"'sha256-{base64.b64encode(digest).decode()}'"


def _write_text(path: pathlib.Path, text: str) -> None:
  with files.atomic_write(path) as f:
    f.write(text.encode())
