"""Images and observers: the embedded world, and real data brought along."""

from collections.abc import Mapping
import dataclasses
import pathlib

from alignet.data import images as images_lib
from alignet.data import shapes as shapes_lib
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.pipeline.runner import stage
import numpy as np

Path = pathlib.Path


@stage(version=1)
def shapes(
    out: Path, *, seed: int, train_per_concept: int, test_per_concept: int
) -> None:
  """The embedded world: train and test images, simulated observers.

  Writes the image stores `train` and `test`, `embedding.npy` (concepts, dims)
  float32 of the simulated observers and `held_out.npy` (concepts,) bool.
  """
  world = shapes_lib.make_world(seed)
  n = len(world.names)
  for number, (split, per_concept) in enumerate(
      (("train", train_per_concept), ("test", test_per_concept))
  ):
    concepts = np.repeat(np.arange(n), per_concept)
    store = images_lib.ImageStore(
        images=shapes_lib.render(world, concepts, seed=2 * seed + number),
        filenames=np.array(
            [f"{split}/{i:06d}.png" for i in range(len(concepts))]
        ),
        labels=shapes_lib.levels(world, concepts),
        meta={"source": "shapes", "split": split, "seed": seed},
    )
    images_lib.write(out / split, store)
  files.save_npy(out / "embedding.npy", world.embedding)
  files.save_npy(out / "held_out.npy", world.held_out)


@stage(version=2)
def cifar100_things(
    out: Path,
    *,
    data_dir: Path,
    concepts: Path,
    embedding: Path,
    per_class: Mapping[str, int],
    folds: int,
    seed: int,
) -> None:
  """CIFAR-100 with THINGS concepts, VICE, and disjoint folds of concepts.

  Of each class the `per_class` images of a split are taken whose record `id`
  comes first in sorted order. Writes the image stores `train` and `test` (level
  "concept" is the row of concepts.tsv), `embedding.npy`, and for each fold,
  from 1 on, the folder `fold{i}` with its held-out concepts.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.data import image_sources
  from alignet.data import tfds_images
  from alignet.human import things

  table = things.read_concepts(concepts)
  for split in ("train", "test"):
    store = tfds_images.read("cifar100", split, data_dir=data_dir)
    store = images_lib.take(
        store, image_sources.per_class(store, "subordinate", per_class[split])
    )
    labels = things.label(store.labels, table)
    images_lib.write(out / split, dataclasses.replace(store, labels=labels))
  _write_folds(out, labels["concept"], folds, seed)
  files.save_npy(
      out / "embedding.npy", things.read_embedding(embedding, concepts)
  )


def _write_folds(out: Path, labels: Labels, n: int, seed: int) -> None:
  """Disjoint folds of the concepts that have images, at random."""
  present = np.unique(labels.ids[labels.ids != UNLABELLED])
  if not 2 <= n <= len(present) // 3:
    raise AlignetError(
        f"folds: expected 2 to {len(present) // 3} of the {len(present)}"
        f" concepts that have images, found {n}"
    )
  order = np.random.default_rng([seed, 0x68656C64]).permutation(present)
  for i, fold in enumerate(np.array_split(order, n), start=1):
    held_out = np.isin(np.arange(len(labels.names)), fold)
    (out / f"fold{i}").mkdir()
    files.save_npy(out / f"fold{i}" / "held_out.npy", held_out)
    names = {
        "seed": seed,
        "held_out": labels.names[held_out].tolist(),
        "training": labels.names[np.setdiff1d(present, fold)].tolist(),
    }
    json_files.write(out / f"fold{i}" / "held_out.json", names)
