"""Download published human judgments, or the published AligNet triplets.

Examples:
  alignet fetch things --out=things
  alignet fetch levels --out=levels --url=http://127.0.0.1:8000
"""

import argparse
import pathlib

from alignet.cli import flags
from alignet.human.catalogue import CATALOGUE
from alignet.human.catalogue import Dataset

_SHA256 = "sha256.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `alignet fetch`."""
  parser.add_argument(
      "name",
      metavar="NAME",
      help=(
          " ".join(map(_says, CATALOGUE.values()))
          + " A checksum that is not known before is printed and written to"
          f" {_SHA256}, to be compared later. With --url: the name of any file"
          " there"
      ),
  )
  flags.add_output(parser, "DIR", "folder of the files")
  parser.add_argument(
      "--url",
      metavar="BASE",
      help="take the files from BASE/FILE, such as a mirror",
  )
  parser.add_argument(
      "--sha256",
      action="append",
      default=[],
      metavar="[FILE=]HEX",
      help="checksum to expect, of FILE where there are several; repeatable",
  )
  parser.add_argument(
      "--only",
      action="append",
      default=[],
      metavar="PATTERN",
      help="only files that fit, such as '*/val_*'; repeatable",
  )
  parser.add_argument(
      "--unpack",
      action="store_true",
      help="unpack zip and tar files beside themselves",
  )


def _says(dataset: Dataset) -> str:
  address = any(file.url for file in dataset.files)
  unknown = "" if address else ", whose address is unknown: --url alone"
  return f"{dataset.name}: {dataset.about}{unknown}."


def run(args: argparse.Namespace) -> None:
  """Says whose data they are, downloads, and says what is there."""
  from alignet.human import fetch
  from alignet.io import unpack

  sha256 = {}
  for given in args.sha256:
    name, _, value = given.rpartition("=")
    sha256[name] = value
  dataset = fetch.find(args.name, url=args.url, sha256=sha256, only=args.only)

  def say(text):
    if not args.quiet:
      print(text, flush=True)

  say(f"{dataset.name}: {dataset.homepage}")
  say(f"licence: {dataset.licence}")
  say(f"please cite: {dataset.citation}")
  for file in dataset.files:
    note = f" ({file.note})" if file.note and not args.url else ""
    say(f"{file.name}: {file.url or 'no address is known'}{note}")
  for file in fetch.fetch(dataset, args.out, overwrite=args.overwrite):
    state = "downloaded" if file.downloaded else "already there"
    checked = (
        "as expected"
        if file.checked
        else f"not known before, written to {_SHA256}"
    )
    say(f"{file.path}: {state}, sha256 {file.sha256}, {checked}")
    folder = _unpacked(file.path, unpack.ARCHIVES) if args.unpack else None
    if folder and (args.overwrite or not folder.exists()):
      unpack.unpack(file.path, folder, overwrite=args.overwrite)
      say(f"{folder}: unpacked")
  if args.name == "levels":
    _convert_levels(pathlib.Path(args.out), args.overwrite, say)


def _convert_levels(folder: pathlib.Path, overwrite: bool, say) -> None:
  """Makes levels.npz of the pickle, once."""
  from alignet.human import levels

  out = folder / "levels.npz"
  if out.exists() and not overwrite:
    say(f"{out}: already there")
    return
  counts = levels.convert(
      folder / "pruned_dataset.pkl", out, overwrite=overwrite
  )
  said = ", ".join(f"{n:,} {name}" for name, n in counts.items())
  say(f"{out}: {said}")


def _unpacked(path: pathlib.Path, suffixes) -> pathlib.Path | None:
  """Folder of an archive's content; None for what is no archive."""
  for suffix in suffixes:
    if path.name.endswith(suffix) and path.name != suffix:
      return path.with_name(path.name.removesuffix(suffix))
  return None
