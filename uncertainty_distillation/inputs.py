"""Reads what a teacher is fitted on, each array checked against the others."""

import dataclasses
import pathlib

from alignet import files
from alignet.data.labels import UNLABELLED
from alignet.errors import AlignetError
from alignet.representations import store
import numpy as np
from uncertainty_distillation import judgments as judgments_lib
from uncertainty_distillation.judgments import Judgments


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
  """Checked inputs of a fit.

  Attributes:
    features: (n, d) floats.
    concepts: (n,) concept number of each row.
    judgments: of the concepts.
    embedding: (concepts, k) or None.
    sha256: of each file read, by the name of its argument.
  """

  features: np.ndarray
  concepts: np.ndarray
  judgments: Judgments
  embedding: np.ndarray | None
  sha256: dict[str, str]


def load(
    *,
    features: files.Path | None = None,
    representations: files.Path | None = None,
    level: str = "concept",
    embedding: files.Path | None = None,
    concepts: files.Path | None = None,
    triplets: files.Path | None = None,
    probabilities: files.Path | None = None,
    max_triplets: int = 1_000_000,
    seed: int = 0,
) -> Inputs:
  """Reads npy files, or a directory of representations with its labels.

  Args:
    features: (n, d) floats.
    representations: directory, in the place of features and concepts: the
      images that have a label at `level`.
    level: the concepts there; row i of the embedding is the level's class i.
    embedding: (concepts, k) human embedding; may be left out where there are
      triplets.
    concepts: (n,) concept number of each row of the features; None where row
      i shows concept i.
    triplets: (m, 3) concept numbers, the odd one last.
    probabilities: (m, 3) probabilities of the pairs; None for hard choices.
    max_triplets: most triplets to take from an embedding.
    seed: of their draw.

  Returns:
    The arrays, and judgments from the triplets or else from the embedding.

  Raises:
    AlignetError: a file that cannot be read, an array of another shape or
      dtype, a NaN, lengths that differ, neither embedding nor triplets.
  """
  if embedding is None and triplets is None:
    raise AlignetError(
        "neither an embedding nor triplets are given; pass --embedding=V.npy"
        " or --triplets=T.npy"
    )
  if probabilities is not None and triplets is None:
    raise AlignetError(
        "probabilities belong to triplets; pass --triplets=T.npy too"
    )
  if (features is None) == (representations is None) or (
      representations is not None and concepts is not None
  ):
    raise AlignetError(
        "expected either --features=F.npy, with --concepts=C.npy where a row"
        " is not one concept, or --representations=DIR, which has labels"
    )
  given = {
      "features": (features, (None, None), "f"),
      "embedding": (embedding, (None, None), "f"),
      "concepts": (concepts, (None,), "iu"),
      "triplets": (triplets, (None, 3), "iu"),
      "probabilities": (probabilities, (None, 3), "fiu"),
  }
  arrays = {
      name: files.load_npy(path, what=name, shape=shape, kinds=kinds)
      for name, (path, shape, kinds) in given.items()
      if path is not None
  }
  sha256 = {name: files.sha256(given[name][0]) for name in arrays}
  if representations is not None:
    sha256["representations"] = files.sha256(
        pathlib.Path(representations) / store.FEATURES
    )
    arrays |= _labelled(representations, level, arrays.get("embedding"))
  return make(**arrays, max_triplets=max_triplets, seed=seed, sha256=sha256)


def _labelled(path, level, embedding) -> dict[str, np.ndarray]:
  """Features and concepts of the images that have a label."""
  reps = store.open(path)
  if level not in reps.labels:
    raise AlignetError(
        f"{path} has no labels of level {level!r}, only"
        f" {', '.join(reps.labels) or 'none'}; extract with"
        " --concepts=concepts.tsv, or pass --level"
    )
  labels = reps.labels[level]
  if embedding is not None and len(embedding) != len(labels.names):
    raise AlignetError(
        f"embedding: expected {len(labels.names)} rows, one a class of level"
        f" {level} in {path}, found {len(embedding)}"
    )
  rows = np.flatnonzero(labels.ids != UNLABELLED)
  return {
      "features": np.asarray(reps.features[rows], np.float32),
      "concepts": labels.ids[rows],
  }


def make(
    *,
    features: np.ndarray,
    embedding: np.ndarray | None = None,
    concepts: np.ndarray | None = None,
    triplets: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    max_triplets: int = 1_000_000,
    seed: int = 0,
    sha256: dict[str, str] | None = None,
) -> Inputs:
  """The same from arrays."""
  if embedding is not None:
    n = len(embedding)
  elif concepts is not None and len(concepts):
    n = int(concepts.max()) + 1
  else:
    n = len(features)
  features, concepts = check_features(features, concepts, n)
  if triplets is not None:
    judgments = judgments_lib.from_choices(
        triplets, probabilities, n_concepts=n
    )
    if embedding is not None:
      files.check_finite(embedding, "embedding")
  else:
    judgments = judgments_lib.from_embedding(
        embedding, concepts=concepts, max_triplets=max_triplets, seed=seed
    )
  return Inputs(
      features=features,
      concepts=concepts,
      judgments=judgments,
      embedding=embedding,
      sha256=sha256 or {},
  )


def check_features(
    features: np.ndarray, concepts: np.ndarray | None, n_concepts: int
) -> tuple[np.ndarray, np.ndarray]:
  """Features (n, d) and the concept of each row, checked against each other."""
  features = files.check_array(
      features, "features", shape=(None, None), kinds="f"
  )
  if concepts is None:
    if len(features) != n_concepts:
      raise AlignetError(
          f"features: expected {n_concepts} rows, one a concept, found"
          f" {len(features)}; say which concept each row shows (--concepts)"
      )
    return features, np.arange(n_concepts)
  concepts = files.check_array(
      concepts, "concepts", shape=(len(features),), kinds="iu"
  )
  outside = (concepts < 0) | (concepts >= n_concepts)
  if outside.any():
    row = int(np.argmax(outside))
    raise AlignetError(
        f"concepts: row {row} is {concepts[row]}; expected numbers from 0 to"
        f" {n_concepts - 1}"
    )
  return features, concepts.astype(np.int64)
