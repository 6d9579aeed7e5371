"""What a release says of itself: README.md, LICENSE.md, CITATION.bib."""

from collections.abc import Mapping, Sequence
import dataclasses
import datetime
import html
import re
from typing import Any

from alignet.errors import AlignetError

PAPER = """@article{muttenthaler2025aligning,
  title={Aligning Machine and Human Visual Representations across Abstraction
         Levels},
  author={Muttenthaler, Lukas and Greff, Klaus and Born, Frieda and Spitzer,
          Bernhard and Kornblith, Simon and Mozer, Michael C. and M{\\"u}ller,
          Klaus-Robert and Unterthiner, Thomas and Lampinen, Andrew K.},
  journal={Nature},
  volume={647},
  pages={349--355},
  year={2025}
}
"""

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
  table = "\n".join(
      f"| `{f['path']}` | {f['rows']:,} | {f['entropy']:.3f} |"
      f" {f['bytes'] / 2**20:.1f} |"
      for f in files
  )
  first, several = next(iter(sources)), len(sources) > 1
  origin = "\n".join(
      "- "
      + (f"**{name}**: " if several else "")
      + f"{s['model']}, layer {s['layer']}, {s['images']:,} images"
      + (f" ({s['excluded']:,} held out)" if s["excluded"] else "")
      + f", {s['dimensions']} dimensions"
      + (f", {s['clusters']} clusters" if s["clusters"] else "")
      + f"; {_LAWS.get(s['law'], 'the law of the sampling not recorded')};"
      f" transforms {', '.join(s['transforms']) or 'none'}; rows multiplied in"
      f" {s['store']}"
      for name, s in sources.items()
  )
  at = "*/" if several else ""
  folders = (
      f"\nEach network's layer has a folder of its name: {', '.join(sources)}."
      " Numbers of images are those of its own `images.csv`; the main set is"
      f" of {first}.\n"
      if several
      else ""
  )
  gallery = (
      "\n![Triplets of each sampling with the probabilities of the teacher]"
      "(gallery.png)\n"
      if pictures
      else ""
  )
  most = max(len(s["transforms"]) for s in sources.values())
  which = " of one transform, see the table" if most > 1 else ""
  judgments = card.human_data or "see the transforms' meta"
  return f"""# {card.name}

{card.about}

Version {card.version}, {card.date}, released by [{card.provider}]\
({card.provider_url}).
{gallery}
## Files

| file | triplets | mean target entropy (nats) | MiB |
|---|---|---|---|
{table}
{folders}
Each is an `.npz` of three arrays, a row a triplet, readable with
`np.load(path, allow_pickle=False)`:

- `filenames` (n, 3) str: image files of {card.images}; the last one is the odd
  one out.
- `similarities` (n, 3) float32: `[s01, s02, s12]`, the dot products of the
  transformed representations; their softmax is the probability that a pair is
  judged the most similar. Rows satisfy `s01 >= s02 >= s12`.
- `indices` (n, 3) int32: rows of `{at}images.csv` and of
  `{at}representations/`. The order of a TFDS dataset depends on its version:
  join by file name.

`untransformed` are answers of the representations without a transform,
`untransformed-matched` those divided by one temperature, so that their mean
entropy is that of the aligned ones{which}; `alignet_train.npz` and
`alignet_valid.npz` are the main set. Also here:
`{at}transforms/*/transform.npz` (`weights`, `bias`, `mean`, `std`),
`{at}representations/`, `{at}clusters.npz`, `{at}images.csv` (number, file name
and cluster), `records/*.csv` (the first rows of the main set, for readers that
know no npz), `croissant.json`, `release.json`, and `SHA256SUMS`.

## How it came about

{origin}

Human judgments: {judgments}. The similarities are a model's
prediction of human judgments, not judgments; images are not included\
{", but for those in `gallery.png`" if pictures else ""}.

## Check and load

```sh
sha256sum -c SHA256SUMS
alignet verify .
```

```python
import tensorflow_datasets as tfds
import alignet.release.tfds_builder  # Registers the builder.
ds = tfds.load("alignet_triplets", builder_kwargs=dict(release="."))
```

## Licence and citation

Triplets and transforms: {card.licence}. Images: {card.images_licence}
See `LICENSE.md` and `CITATION.bib`.

## Dataset metadata

{_schema(card)}
"""


def licence(
    card: Card, sources: Mapping[str, Mapping[str, Any]], pictures: bool
) -> str:
  """LICENSE.md: what is under which terms; arguments as those of `readme`."""
  models = ", ".join(dict.fromkeys(str(s["model"]) for s in sources.values()))
  return f"""# Licences

- Triplets, similarities, cluster assignments and transforms, as far as
  {card.provider} holds rights in them: {card.licence}
- Images of {card.images} are not part of this release\
{", but for those in `gallery.png`" if pictures else ""}. {card.images_licence}
- File names and class labels are those of {card.images}.
- Representations were computed with {models}: the terms of
  its weights apply.
- Human judgments: {card.human_data or "see the transforms' meta"}
"""


def citation(card: Card) -> str:
  """CITATION.bib: the paper, then the release."""
  return PAPER + (f"\n{card.citation.strip()}\n" if card.citation else "")


def _schema(card: Card) -> str:
  """The table of schema.org/Dataset that dataset search engines read."""

  def row(name: str, value: str) -> str:
    return (
        f'  <tr><td>{name}</td><td><code itemprop="{name}">'
        f"{html.escape(value)}</code></td></tr>"
    )

  rows = [
      row("name", card.name),
      row("url", card.url),
      row("sameAs", card.url),
      row("description", card.about),
      row("version", card.version),
      row("datePublished", card.date),
      row("license", card.licence),
      row("citation", _CITED),
  ]
  provider = (
      "  <tr><td>provider</td><td><div itemscope"
      ' itemtype="http://schema.org/Organization" itemprop="provider"><table>\n'
      + row("name", card.provider)
      + "\n"
      + row("sameAs", card.provider_url)
      + "\n  </table></div></td></tr>"
  )
  return "\n".join(
      [
          '<div itemscope itemtype="http://schema.org/Dataset">',
          "<table>",
          "  <tr><th>property</th><th>value</th></tr>",
          *rows,
          provider,
          "</table>",
          "</div>",
      ]
  )
