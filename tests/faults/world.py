"""Small files of every kind, and the commands that read them."""

import itertools
import json
import pathlib
import pickle

from alignet.cli import main
from alignet.data.labels import Labels
from alignet.human import levels as levels_lib
from alignet.io import json_files
from alignet.representations import store
from alignet.training.doctor.check import reference
from alignet.triplets import npz
from alignet.triplets import similarity
import cv2
import numpy as np
import scipy.io
from tests.human import simulated_levels
from tests.models.encoders import test_encoders


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
  scipy.io.savemat(
      folder / "rdm.mat",
      {
          "rdmutv": distances[np.triu_indices(48, 1)],
          "stimuli": np.array([n.encode() for n in names], dtype="S"),
      },
  )
  pairs = itertools.combinations(range(48), 2)
  ratings = {f"a_{i + 1},a_{j + 1}": [(i + j) % 11, 3] for i, j in pairs}
  (folder / "fruits.pickle").write_bytes(pickle.dumps(ratings, 2))
  (folder / "order.txt").write_text("".join(f"{n}\n" for n in names))
  test_encoders.network(folder / "m.onnx")
  for i in range(6):
    path = folder / "images" / f"k{i % 2}" / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 255, (8, 8, 3), np.uint8))
  for argv in _MADE:
    assert main.main([a.replace("DIR", str(folder)) for a in argv.split()]) == 0
  curve = {"losses": reference()["curve"]["losses"]}
  (folder / "curve.json").write_text(json.dumps(curve))
  shown = [f"k{i % 2}/{i}.png" for i in range(6)]
  rows = [["image1", "image2", "image3"], shown[:3], shown[3:]]
  (folder / "items.csv").write_text("".join(",".join(r) + "\n" for r in rows))
  _answer(folder, shown)


def _answer(folder: pathlib.Path, shown: list[str]) -> None:
  """A page of two triplets, and what one person answered."""
  argv = [f"--triplets={folder}/items.csv", f"--source=folder:{folder}/images"]
  argv = ["collect", "page", *argv, f"--out={folder}/page", "--quiet"]
  assert main.main(argv) == 0
  names = (folder / "page" / "names.txt").read_text().splitlines()
  page = json.loads((folder / "page" / "meta.json").read_text())["page"]
  columns = (
      "subject_id image1 image2 image3 choice rt_ms trial item repetition"
      " views name1 name2 name3 page answered_at"
  )
  lines = [columns.split()]
  for item in range(2):
    called = shown[3 * item : 3 * item + 3]
    numbers = [str(names.index(name) + 1) for name in called]
    lines.append(
        ["ann", *numbers, "2", "900.0", str(item + 1), str(item), "0", "1"]
        + [*called, page, "2030-01-01T00:00:00.000Z"]
    )
  text = "".join("\t".join(line) + "\n" for line in lines)
  (folder / "ann.csv").write_text(text)


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
    "evaluate representations --representations=r --rdm=mine=rdm.mat"
    " --rdm_kind=mine=distance --resamples=0": ("rdm.mat", "r/filenames.npy"),
    "evaluate representations --representations=r"
    " --rdm=peterson/fruits=fruits.pickle"
    " --rdm_images=peterson/fruits=order.txt --resamples=0": (
        *("fruits.pickle", "order.txt"),
    ),
    "extract --source=folder:images --model=onnx:m.onnx --layer=mean --size=8"
    " --pixel_range=-1,1": ("m.onnx", "images/k0/0.png"),
    "teach --representations=r --embedding=V.npy"
    " --embedding_names=concepts.txt": (
        *("V.npy", "concepts.txt", "r/labels.npz", "r/features.npy"),
    ),
    "teach --representations=r --choices=C.npy --choices_format=odd_last"
    " --choices_names=concepts.txt --max_triplets=500": ("C.npy",),
    "recover --file=raw.npz --representations=r --width=16 --input_map=none": (
        *("raw.npz", "r/features.npy"),
    ),
    "doctor --check=curve.json": ("curve.json",),
    "collect page --triplets=items.csv --source=folder:images": (
        *("items.csv", "images/k0/0.png"),
    ),
    "collect answers --page=page ann.csv": (
        *("ann.csv", "page/meta.json", "page/items.csv", "page/names.txt"),
    ),
}
"""Commands, each with the files whose faults are tried."""


def output(path: pathlib.Path) -> object:
  """What a command has found, without times and versions."""
  if path.suffix == ".json":
    found = json_files.read(path)
    return {k: v for k, v in found.items() if k in ("scores", "accuracy")}
  if path.is_dir():
    features = path / "features.npy"
    kept = [np.load(features).tobytes()] if features.exists() else []
    return kept + sorted(
        p.relative_to(path).as_posix() for p in path.rglob("*")
    )
  if path.suffix == ".csv":
    return path.read_bytes()
  arrays = np.load(path)
  return {k: arrays[k].tobytes() for k in arrays.files if k != "meta"}


def alike(a: object, b: object) -> bool:
  """Whether two outputs are equal, but for rounding of the numbers in JSON."""
  if isinstance(a, dict) and isinstance(b, dict):
    return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
  if isinstance(a, float) and isinstance(b, float):
    return abs(a - b) <= 1e-9
  return a == b
