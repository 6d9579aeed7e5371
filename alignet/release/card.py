"""What a release says of itself: README.md, LICENSE.md, CITATION.bib."""

from collections.abc import Mapping, Sequence
import dataclasses
import datetime
import pathlib
import re
from typing import Any

from alignet.errors import AlignetError
from alignet.io import template

_HERE = pathlib.Path(__file__).parent

PAPER = (_HERE / "paper.bib").read_text()

_CITED = (
    "Muttenthaler L, Greff K, Born F, Spitzer B, Kornblith S, Mozer MC, Müller"
    " KR, Unterthiner T, Lampinen AK (2025). Aligning machine and human visual"
    " representations across abstraction levels. Nature 647, 349-355"
)

_LAWS = {
    "groups": "groups uniform, then images in them",
    "images": "images uniform",
}

_REQUIRED = {
    "name": "name of the dataset",
    "provider": "who releases it",
    "provider_url": "address of a page about who releases it",
    "url": "address of the dataset's page",
    "date": "day of the release, YYYY-MM-DD",
    "licence": "address of the licence of the triplets",
    "images": "name of the image dataset",
    "images_licence": "on what terms the images may be had",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
  """What only the one who releases can say.

  Attributes:
    name: of the dataset.
    provider: who releases it; of schema.org's Organization.
    provider_url: a page about them.
    url: the dataset's page.
    date: of the release, YYYY-MM-DD.
    licence: address of the licence of the triplets.
    images: name of the image dataset.
    images_licence: on what terms the images may be had; none are in a release,
      but for those in a gallery.png that was asked for.
    version: three numbers.
    description: one paragraph.
    human_data: whose judgments the teacher learned from, and their licence.
    citation: BibTeX of the release itself, beside that of the paper.
  """

  name: str
  provider: str
  provider_url: str
  url: str
  date: str
  licence: str
  images: str
  images_licence: str
  version: str = "1.0.0"
  description: str = ""
  human_data: str = ""
  citation: str = ""

  @property
  def about(self) -> str:
    """The description, or one for all."""
    return self.description or (
        f"Triplets of images of {self.images} with similarities as a"
        " human-aligned teacher gives them, and the odd one out."
    )


def check(fields: Mapping[str, Any]) -> Card:
  """The card of a config's fields.

  Raises:
    AlignetError: a field that is needed is empty, or what it cannot be.
  """
  missing = [key for key in _REQUIRED if not fields.get(key)]
  if missing:
    raise AlignetError(
        f"the release's card lacks {missing[0]}, the {_REQUIRED[missing[0]]};"
        f" pass {' '.join(f'--cfg.card.{key}=…' for key in missing)}"
    )
  card = Card(**fields)
  try:
    datetime.date.fromisoformat(card.date)
  except ValueError as e:
    raise AlignetError(
        f"card.date: expected YYYY-MM-DD, found {card.date!r}"
    ) from e
  if not re.fullmatch(r"\d+\.\d+\.\d+", card.version):
    raise AlignetError(
        f"card.version: expected three numbers, found {card.version!r}"
    )
  for key in ("provider_url", "url", "licence"):
    if not re.match("https?://", getattr(card, key)):
      raise AlignetError(
          f"card.{key}: expected an address with https://, found"
          f" {getattr(card, key)!r}"
      )
  return card


def readme(
    card: Card,
    files: Sequence[Mapping[str, Any]],
    sources: Mapping[str, Mapping[str, Any]],
    pictures: bool,
) -> str:
  """The data card in Markdown, with schema.org's table for search engines.

  Args:
    card: what the releaser says.
    files: a mapping an AligNet npz: path, rows, entropy, bytes.
    sources: name -> model, layer, images, excluded, dimensions, clusters, law,
      store, transforms.
    pictures: there is a gallery.png.
  """
  metadata = {
      "name": card.name,
      "url": card.url,
      "sameAs": card.url,
      "description": card.about,
      "version": card.version,
      "datePublished": card.date,
      "license": card.licence,
      "citation": _CITED,
  }
  return template.fill(
      _HERE / "card.md",
      card=card,
      files=files,
      sources=sources,
      pictures=pictures,
      laws={
          key: _LAWS.get(key) for key in [s["law"] for s in sources.values()]
      },
      most_transforms=max(len(s["transforms"]) for s in sources.values()),
      metadata=metadata,
  )


def licence(
    card: Card, sources: Mapping[str, Mapping[str, Any]], pictures: bool
) -> str:
  """LICENSE.md: what is under which terms; arguments as those of `readme`."""
  models = ", ".join(dict.fromkeys(str(s["model"]) for s in sources.values()))
  return template.fill(
      _HERE / "licence.md", card=card, models=models, pictures=pictures
  )


def citation(card: Card) -> str:
  """CITATION.bib: the paper, then the release."""
  return PAPER + (f"\n{card.citation.strip()}\n" if card.citation else "")
