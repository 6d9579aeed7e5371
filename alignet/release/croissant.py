"""croissant.json: the release in the vocabulary of MLCommons' Croissant 1.0.

Every file is listed with its sha256. Croissant's reader knows no npz, so the
records are those of CSV files: the images, and the first rows of the main set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from alignet.release.card import PAPER
from alignet.release.card import Card

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification; a shorter one draws a warning."""

_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".bib": "text/plain",
    ".npy": "application/octet-stream",
    ".npz": "application/zip",
    ".png": "image/png",
}
_TYPES = {"i": "sc:Integer", "f": "sc:Float", "s": "sc:Text"}


def metadata(
    card: Card,
    files: Mapping[str, tuple[int, str]],
    tables: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
  """The JSON-LD of a release.

  Args:
    card: what the releaser says.
    files: path in the release -> size in bytes and sha256.
    tables: mappings with `name`, `path` of a CSV file in `files`, `about`, and
      `columns`, name -> "i", "f" or "s".
  """
  ids = {path: path.replace("/", "__") for path in files}
  return {
      "@context": _CONTEXT,
      "@type": "sc:Dataset",
      "conformsTo": "http://mlcommons.org/croissant/1.0",
      "name": "".join(
          c if c.isalnum() or c in "-_" else "_" for c in card.name
      ),
      "description": card.about,
      "url": card.url,
      "version": card.version,
      "datePublished": card.date,
      "license": card.licence,
      "citeAs": " ".join(PAPER.split()),
      "creator": _organisation(card),
      "publisher": _organisation(card),
      "keywords": ["odd-one-out", "human similarity judgments", "triplets"],
      "isLiveDataset": False,
      "distribution": [
          {
              "@type": "cr:FileObject",
              "@id": ids[path],
              "name": ids[path],
              "contentUrl": path,
              "contentSize": f"{size} B",
              "encodingFormat": _FORMATS.get(
                  path[path.rfind(".") :], "application/octet-stream"
              ),
              "sha256": digest,
          }
          for path, (size, digest) in files.items()
      ],
      "recordSet": [_records(table, ids) for table in tables],
  }


def _organisation(card: Card) -> dict[str, str]:
  return {
      "@type": "sc:Organization",
      "name": card.provider,
      "url": card.provider_url,
  }


def _records(table, ids) -> dict[str, Any]:
  name = table["name"]
  return {
      "@type": "cr:RecordSet",
      "@id": name,
      "name": name,
      "description": table["about"],
      "field": [
          {
              "@type": "cr:Field",
              "@id": f"{name}/{column}",
              "name": column,
              "description": column,
              "dataType": _TYPES[kind],
              "source": {
                  "fileObject": {"@id": ids[table["path"]]},
                  "extract": {"column": column},
              },
          }
          for column, kind in table["columns"].items()
      ],
  }
