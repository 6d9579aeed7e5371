"""Changes after which a command finds the same, or refuses, and nothing else.

The relation is known without knowing what is right: images may lie in another
order, be called otherwise, carry an opaque alpha channel; similarities may be
written as distances; a run may be split.
"""

from collections.abc import Callable
import pathlib
import shutil
from typing import NamedTuple

from alignet.representations import store
from alignet.triplets import npz
import cv2
import numpy as np
from tests.faults import world

Rng = np.random.Generator


class Relation(NamedTuple):
  """Something that changes nothing.

  Attributes:
    name: for the report.
    change: changes the inputs in a folder.
    commands: those of `world.COMMANDS` that are tried, to what is run in their
      place; several commands with " && " between.
    refusal: whether a refusal is right, too.
  """

  name: str
  change: Callable[[pathlib.Path, Rng], None]
  commands: dict[str, str]
  refusal: bool = True


def permute(folder: pathlib.Path, rng: Rng) -> None:
  """Moves the images of representations; their names go with them."""
  for name in ("r", "base"):
    opened = store.open(folder / name)
    rows = rng.permutation(len(opened))
    _write(folder / name, opened, rows, opened.filenames[rows])


def rename(folder: pathlib.Path, rng: Rng) -> None:
  """Calls images otherwise, in the order in which they are sorted."""
  del rng
  for name in ("r", "base"):
    opened = store.open(folder / name)
    names = np.array([f"a/{name}" for name in opened.filenames])
    _write(folder / name, opened, np.arange(len(opened)), names)
  for name in ("trials.npz", "triplets.npz", "raw.npz"):
    path = folder / name
    with np.load(path) as arrays:
      if "indices" in arrays and "similarities" in arrays:
        rows, s = arrays["indices"], arrays["similarities"]
        npz.write(path, names, rows, s, overwrite=True)


def rename_one(folder: pathlib.Path, rng: Rng) -> None:
  """Calls the images of the representations otherwise, and of no other file."""
  opened = store.open(folder / "r")
  names = rng.permutation(opened.filenames)
  _write(folder / "r", opened, np.arange(len(opened)), names)


def _write(path, opened, rows, names) -> None:
  labels = {
      level: type(labels)(ids=labels.ids[rows], names=labels.names)
      for level, labels in opened.labels.items()
  }
  features = np.array(opened.features[rows])
  meta = {"model": path.name}
  store.write(path, features, names, labels, meta, overwrite=True)


def similarities(folder: pathlib.Path, rng: Rng) -> None:
  """Writes distances as similarities, with other names of the stimuli first."""
  lines = (folder / "rdm.csv").read_text().splitlines()
  distances = np.array([line.split(",") for line in lines[1:]], float)
  rows = rng.permutation(len(distances))
  names = np.array(lines[0].split(","))[rows].tolist()
  s = 1 - distances[rows][:, rows]
  text = [";".join(names), *(";".join(map(str, row)) for row in s)]
  (folder / "rdm.csv").write_text("\r\n".join(text), encoding="utf-8-sig")


def opaque(folder: pathlib.Path, rng: Rng) -> None:
  """Adds an alpha channel without transparency to images."""
  for path in sorted((folder / "images").rglob("*.png")):
    if rng.random() < 0.7:
      image = cv2.imread(str(path))
      cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_BGR2BGRA))


def odd_elsewhere(folder: pathlib.Path, rng: Rng) -> None:
  """Puts the odd one first, and counts from 1."""
  del rng
  for name in ("T.npy", "C.npy"):
    np.save(folder / name, np.load(folder / name)[:, (2, 0, 1)] + 1)


def _starting(*starts: str) -> dict[str, str]:
  return {
      c: c for c in world.COMMANDS if c.startswith(starts) and "=F.npy" not in c
  }


_JOINING = _starting(
    *("respond", "verify", "recover", "compare", "collect pairs"),
    *("evaluate representations", "teach"),
)
_MINE = next(c for c in world.COMMANDS if "rdm.csv" in c)
_EXTRACT = next(c for c in world.COMMANDS if c.startswith("extract"))
_TRIPLETS = next(c for c in world.COMMANDS if "--triplets=T.npy" in c)

RELATIONS = (
    Relation("permuted", permute, _JOINING),
    Relation("renamed alike", rename, _starting("evaluate representations")),
    Relation("renamed in one file", rename_one, _starting("respond", "verify")),
    Relation(
        "similarities for distances",
        similarities,
        {_MINE: _MINE.replace("=distance", "=similarity")},
        refusal=False,
    ),
    Relation("opaque alpha", opaque, _starting("cache"), refusal=False),
    Relation("opaque alpha", opaque, _starting("extract"), refusal=False),
    Relation(
        "split",
        lambda folder, rng: None,
        {
            _EXTRACT: " && ".join(
                f"{_EXTRACT} --shard_size=2 {part}"
                for part in ("--part=0/2", "--part=1/2", "--merge")
            )
        },
        refusal=False,
    ),
    Relation("odd one first, from 1", odd_elsewhere, {_TRIPLETS: _TRIPLETS}),
    Relation(
        "odd one first, from 1, said",
        odd_elsewhere,
        {_TRIPLETS: f"{_TRIPLETS} --odd=first --numbered_from=1"},
        refusal=False,
    ),
)


def copy(folder: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
  """A world of its own."""
  return shutil.copytree(folder, to)
