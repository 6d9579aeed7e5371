"""Small files of every kind, and the commands that read them."""

import pathlib

from alignet.cli import main
from alignet.data.labels import Labels
from alignet.human import levels as levels_lib
from alignet.io import json_files
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import similarity
import cv2
import numpy as np
from tests.human import simulated_levels


def make(folder: pathlib.Path) -> None:
  """Writes all inputs of `COMMANDS` into a folder."""
  rng = np.random.default_rng(0)
  names = np.array(simulated_levels.images())
  concepts = Labels(
      ids=np.repeat(np.arange(8), 6).astype(np.int32),
      names=np.array([f"c{i}" for i in range(8)]),
  )
  x = simulated_levels.features().astype(np.float32)
  for name, noise in (("r", 0.1), ("base", 1.0)):
    z = (x + noise * rng.normal(size=x.shape)).astype(np.float32)
    labels = {"concept": concepts, "subordinate": concepts}
    store.write(folder / name, z, names, labels, {"model": name})
  features = store.open(folder / "r").features
  rows = np.stack([rng.permutation(48)[:3] for _ in range(300)])
  s = similarity.of_triplets(features, rows)
  npz.write(folder / "trials.npz", names, rows, s)
  embedding = np.abs(rng.normal(size=(8, 5))).astype(np.float32)
  np.save(folder / "V.npy", embedding)
  np.save(folder / "F.npy", features)
  odd = np.array([2, 1, 0])[s.argmax(axis=1)]
  last = [[*np.delete(r, o), r[o]] for r, o in zip(rows, odd)]
  np.save(folder / "T.npy", np.array(last))
  choices = np.stack([rng.permutation(8)[:3] for _ in range(60)])
  gram = embedding @ embedding.T
  order = [(0, 1, 2), (0, 2, 1), (1, 2, 0)]
  met = [max(order, key=lambda o, r=r: gram[r[o[0]], r[o[1]]]) for r in choices]
  np.save(folder / "C.npy", np.array([r[[*o]] for r, o in zip(choices, met)]))
  (folder / "concepts.txt").write_text("".join(f"c{i}\n" for i in range(8)))
  distances = 1 - np.corrcoef(features)
  lines = [",".join(names), *(",".join(map(str, d)) for d in distances)]
  (folder / "rdm.csv").write_text("\n".join(lines) + "\n")
  np.save(folder / "R.npy", distances)
  levels, _ = levels_lib.from_trials(simulated_levels.participants(4, 4))
  levels_lib.write(folder / "levels.npz", levels, {})
  for i in range(6):
    path = folder / "images" / f"k{i % 2}" / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (8, 8, 3), np.uint8))
  for argv in _MADE:
    assert main.main([a.replace("DIR", str(folder)) for a in argv.split()]) == 0


_MADE = (
    "cluster --representations=DIR/r --k=4 --quiet --out=DIR/clusters.npz",
    "sample --clusters=DIR/clusters.npz --strategy=cluster_border_4 --n=200"
    " --quiet --out=DIR/triplets.npz",
    "respond --representations=DIR/r --triplets=DIR/triplets.npz --quiet"
    " --out=DIR/raw.npz",
    "recover --file=DIR/raw.npz --representations=DIR/r --width=16 --quiet"
    " --input_map=none --out=DIR/transform.npz",
    "evaluate representations --representations=DIR/r --levels=DIR/levels.npz"
    " --resamples=0 --quiet --out=DIR/scores.json",
)

COMMANDS = {
    "cluster --representations=r --transform=transform.npz --k=3": (
        *("r/features.npy", "r/filenames.npy", "r/labels.npz", "r/meta.json"),
        "transform.npz",
    ),
    "sample --clusters=clusters.npz --strategy=cluster_border_4 --n=50": (
        "clusters.npz",
    ),
    "sample --representations=r --level=concept --strategy=within --n=50": (
        *("r/labels.npz", "r/filenames.npy", "r/meta.json", "r/features.npy"),
    ),
    "respond --representations=r --triplets=triplets.npz"
    " --transform=transform.npz": (
        *("r/features.npy", "r/filenames.npy", "r/meta.json"),
        *("triplets.npz", "transform.npz"),
    ),
    "verify raw.npz --representations=r --json": (
        *("raw.npz", "r/filenames.npy"),
    ),
    "evaluate representations --representations=r --baseline=base"
    " --trials=human=trials.npz --resamples=20": (
        *("trials.npz", "r/features.npy", "base/filenames.npy"),
        *("r/labels.npz", "base/features.npy"),
    ),
    "evaluate representations --representations=r --levels=levels.npz"
    " --resamples=0": ("levels.npz", "r/filenames.npy"),
    "evaluate representations --representations=r --rdm=mine=rdm.csv"
    " --rdm_kind=mine=distance --resamples=0": ("rdm.csv", "r/features.npy"),
    "evaluate representations --representations=r --things=C.npy"
    " --concept_list=concepts.txt --things_odd=last --resamples=0": (
        *("C.npy", "concepts.txt", "r/labels.npz"),
    ),
    "evaluate representations --representations=r --hierarchy=concept"
    " --resamples=0": ("r/labels.npz", "r/meta.json"),
    "evaluate triplets --features=F.npy --triplets=T.npy --rows=as_stored": (
        *("F.npy", "T.npy"),
    ),
    "evaluate rdm --features=F.npy --rdm=R.npy --kind=distance --resamples=0"
    " --rows=as_stored": ("F.npy", "R.npy"),
    "cache --source=folder:images --size=6": (
        *("images/k0/0.png", "images/k1/1.png"),
    ),
    "collect pairs --representations=r --baseline=base --level=concept": (
        *("r/features.npy", "r/labels.npz", "base/filenames.npy"),
    ),
    "compare --scores=scores.json --representations=r": (
        *("scores.json", "r/meta.json"),
    ),
}
"""Commands, each with the files whose faults are tried."""


def output(path: pathlib.Path) -> object:
  """What a command has found, without times and versions."""
  if path.suffix == ".json":
    found = json_files.read(path)
    return {k: v for k, v in found.items() if k in ("scores", "accuracy")}
  if path.is_dir():
    return sorted(p.name for p in path.rglob("*"))
  arrays = np.load(path)
  return {k: arrays[k].tobytes() for k in arrays.files if k != "meta"}
