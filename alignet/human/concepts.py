"""Held-out concepts, and trials on single images of them."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet.data import images as images_lib
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.triplets import npz
from alignet.triplets import sampling
import numpy as np

ARRAY = "held_out.npy"
NAMES = "held_out.json"

_STREAM = 0x68656C64


def hold_out(labels: Labels, n: int, *, seed: int) -> np.ndarray:
  """Chooses concepts at random among those that have images.

  Args:
    labels: level "concept" of the images.
    n: how many to hold out.
    seed: of the choice, which depends on the concepts present and nothing else
      of the images.

  Returns:
    (concepts,) bool, true for n of the concepts present.

  Raises:
    AlignetError: n is none, or leaves fewer than three concepts to learn from.
  """
  present = np.unique(labels.ids[labels.ids != UNLABELLED])
  if not 1 <= n <= len(present) - 3:
    raise AlignetError(
        f"expected to hold out 1 to {len(present) - 3} of the"
        f" {len(present)} concepts that have images, found {n}"
    )
  held_out = np.zeros(len(labels.names), bool)
  rng = np.random.default_rng([seed, _STREAM])
  held_out[rng.choice(present, n, replace=False)] = True
  return held_out


def write_folds(
    folder: files.Path, labels: Labels, n: int, *, seed: int
) -> None:
  """Splits the concepts that have images into disjoint folds, at random.

  Args:
    folder: gets `fold1` to `fold{n}`, each with the concepts it holds out, as
      `write_split` writes them.
    labels: level "concept" of the images.
    n: number of folds, sizes nearly equal.
    seed: of the split, which depends on the concepts present and nothing else
      of the images.

  Raises:
    AlignetError: fewer than two folds, or folds of fewer than three concepts,
      which make no triplet.
  """
  present = np.unique(labels.ids[labels.ids != UNLABELLED])
  if not 2 <= n <= len(present) // 3:
    raise AlignetError(
        f"folds: expected 2 to {len(present) // 3} of the {len(present)}"
        f" concepts that have images, found {n}"
    )
  order = np.random.default_rng([seed, _STREAM]).permutation(present)
  for i, fold in enumerate(np.array_split(order, n), start=1):
    held_out = np.zeros(len(labels.names), bool)
    held_out[fold] = True
    path = pathlib.Path(folder) / f"fold{i}"
    path.mkdir(parents=True, exist_ok=True)
    _write(path, labels, held_out, seed, overwrite=False)


def write_split(
    folder: files.Path,
    labels: Labels,
    n: int,
    *,
    seed: int,
    overwrite: bool = False,
) -> np.ndarray:
  """Holds out concepts and writes which.

  Args:
    folder: gets `held_out.npy` (concepts,) bool and `held_out.json`, with the
      seed, the names held out and the names to learn from.
    labels: as in `hold_out`.
    n: as in `hold_out`.
    seed: as in `hold_out`.
    overwrite: replace existing files.

  Returns:
    (concepts,) bool, as `hold_out`.
  """
  held_out = hold_out(labels, n, seed=seed)
  _write(pathlib.Path(folder), labels, held_out, seed, overwrite=overwrite)
  return held_out


def _write(folder, labels, held_out, seed, *, overwrite) -> None:
  present = np.zeros(len(held_out), bool)
  present[labels.ids[labels.ids != UNLABELLED]] = True
  files.save_npy(folder / ARRAY, held_out, overwrite=overwrite)
  files.write_json(
      folder / NAMES,
      {
          "seed": seed,
          "held_out": labels.names[held_out].tolist(),
          "training": labels.names[present & ~held_out].tolist(),
      },
      overwrite=overwrite,
  )


def read_held_out(path: files.Path, n_concepts: int) -> np.ndarray:
  """Reads `held_out.npy`: (n_concepts,) bool."""
  return files.load_npy(
      path, what="held-out concepts", shape=(n_concepts,), kinds="b"
  )


def write_trials(
    path: files.Path,
    store: images_lib.ImageStore,
    embedding: np.ndarray,
    held_out: np.ndarray,
    *,
    n: int,
    seed: int,
    margin: float = trials_lib.MARGIN,
    meta: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> int:
  """Writes trials on single images of three distinct held-out concepts.

  Args:
    path: AligNet npz; its similarities are the observers'.
    store: images with the label level "concept".
    embedding: (concepts, dims), dot products are the observers' similarities
      in logits.
    held_out: (concepts,) bool.
    n: number of trials.
    seed: of their draw.
    margin: trials whose two likeliest pairs differ by less are left out.
    meta: more to say about them, such as the embedding's name.
    overwrite: replace an existing file.

  Returns:
    How many triplets were left out for want of a clear answer.

  Raises:
    OutputExistsError: the output exists.
    AlignetError: no concepts, lengths that differ, or fewer than three
      held-out concepts with images.
  """
  files.check_output(path, overwrite=overwrite)
  if "concept" not in store.labels:
    raise AlignetError(
        "the images have no labels of level 'concept'; add them with"
        " alignet.human.things.add_concepts"
    )
  labels = store.labels["concept"]
  n_concepts = len(labels.names)
  files.check_array(embedding, "embedding", shape=(n_concepts, None), kinds="f")
  files.check_array(
      held_out, "held-out concepts", shape=(n_concepts,), kinds="b"
  )
  # A -1 picks the last concept here and is put right by the first condition.
  eligible = (labels.ids != UNLABELLED) & held_out[labels.ids]
  plan = sampling.plan(np.where(eligible, labels.ids, UNLABELLED), "between")
  rows, logits, left_out = trials_lib.make(
      lambda start, stop: plan.rows(seed, start, stop),
      labels.ids,
      embedding,
      n=n,
      margin=margin,
  )
  about = {
      **(meta or {}),
      "seed": seed,
      "margin": margin,
      "left_out": left_out,
      "concepts": labels.names[plan.groups].tolist(),
  }
  npz.write(
      path, store.filenames, rows, logits, meta=about, overwrite=overwrite
  )
  return left_out
