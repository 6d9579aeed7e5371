"""Reads what a teacher is fitted on, each array checked against the others."""

from collections.abc import Callable
import dataclasses
import functools
import pathlib
from typing import Any

from alignet import transforms
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human import readers
from alignet.human.judgments import Judgments
from alignet.io import files
from alignet.io import identities
from alignet.representations import store
from alignet.triplets import layout
from alignet.triplets import similarity
import numpy as np
from uncertainty_distillation import human


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
  """Checked inputs of a fit.

  Attributes:
    features: (n, d) floats.
    concepts: (n,) concept number of each row.
    judgments: of the concepts.
    embedding: (concepts, k) or None.
    blocks: (concepts,) integers, the category of each, or None.
    local: (m, d) representations of any images for glocal, or None.
    predict: (m, 3) concept numbers -> judgments, what the embedding or
      posterior says of any triplets; None where only those judged are known.
    sha256: of each file read, by the name of its argument.
    columns: of representations, which network and layer; None of an array.
    trust: what was taken on the user's word.
    notes: JSON-serialisable, by the name of the argument: what was dropped or
      repeated in choices, names of dropped rows of an embedding or posterior,
      mean standard error of probabilities that are a mean over samples.
  """

  features: np.ndarray
  concepts: np.ndarray
  judgments: Judgments
  embedding: np.ndarray | None
  blocks: np.ndarray | None = None
  local: np.ndarray | None = None
  predict: Callable[[np.ndarray], Judgments] | None = None
  sha256: dict[str, str] = dataclasses.field(default_factory=dict)
  columns: identities.Columns | None = None
  trust: identities.Trust = identities.NOTHING
  notes: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

  def transform(self, path: files.Path) -> transforms.Transform:
    """A transform of these features.

    Raises:
      AlignetError: one of others, or one that does not say of which.
    """
    return transforms.load_for(path, "the features", self.columns, self.trust)

  def provenance(self) -> dict[str, Any]:
    """For the report of what is made of them; JSON-serialisable."""
    return {
        "inputs": self.sha256,
        "columns": self.columns,
        "trusted": self.trust.meta(),
        "notes": self.notes,
        "versions": files.versions(),
    }


def load(
    *,
    features: files.Path | None = None,
    representations: files.Path | None = None,
    level: str = "concept",
    concepts: files.Path | None = None,
    concept_list: files.Path | None = None,
    choices: files.Path | None = None,
    choices_format: str = "things_csv",
    choices_names: files.Path | None = None,
    triplets: files.Path | None = None,
    probabilities: files.Path | None = None,
    embedding: files.Path | None = None,
    posterior: files.Path | None = None,
    embedding_names: files.Path | None = None,
    embedding_order: str | None = None,
    local: files.Path | None = None,
    blocks: files.Path | None = None,
    odd: str | None = None,
    numbered_from: int | None = None,
    trust: identities.Trust = identities.NOTHING,
    on_impossible: str = "error",
    on_unknown: str = "error",
    samples: int = 50,
    max_triplets: int = 1_000_000,
    seed: int = 0,
) -> Inputs:
  """Reads files of people's judgments and features, or representations.

  Args:
    features: npy, (n, d) floats.
    representations: directory, in the place of features and concepts: the
      images that have a label at `level`.
    level: the concepts there; class i is concept i, and where a concept list
      is given, has its name. "image" for each image, by its file name.
    concepts: npy, (n,) concept number of each row of the features; None where
      row i shows concept i.
    concept_list: names of the concepts, for `readers.read_names`, such as
      `concepts.tsv`; by default the names of the representations' classes,
      and without either nothing is joined by name.
    choices: file of odd-one-out choices; needs names of the concepts.
    choices_format: of `human.CHOICES_FORMATS`; see `readers.read_things_csv`
      and `readers.read_triplets`.
    choices_names: what the choices' numbers refer to, where it is not the
      concept list.
    triplets: npy, (m, 3) concept numbers, the odd one last, in the place of
      choices.
    probabilities: npy, (m, 3) probabilities of the triplets' pairs; None for
      hard choices.
    embedding: human embedding, may be left out where there are choices or
      triplets. Its rows are joined by name, see `readers.read_embedding`.
    posterior: in its place a Gaussian posterior, see `readers.read_posterior`;
      judgments are the posterior predictive, of the choices' or triplets' rows
      where these are given.
    embedding_names: the name of each row of the embedding or posterior.
    embedding_order: in its place one of `readers.ORDERS`.
    local: npy, (m, d) representations of any images, for glocal.
    blocks: npy, (concepts,) category of each.
    odd: column of the odd one in triplets, see `layout.arranged`.
    numbered_from: number of the first concept in triplets.
    trust: with `rows`, that rows and numbers of plain arrays are the concepts
      in their order.
    on_impossible: "error", or "drop" for choices that cannot be.
    on_unknown: the same for choices, and rows of the embedding or posterior,
      of what is none of the concepts.
    samples: draws of the posterior.
    max_triplets: most triplets to take from an embedding or posterior.
    seed: of their draw, and of the samples.

  Returns:
    The arrays, and judgments from the posterior, or else from choices or
    triplets, or else from the embedding. The embedding of a posterior is its
    mean.

  Raises:
    AlignetError: a file that cannot be read, an array of another shape or
      dtype, a NaN, lengths that differ, no judgments, files that exclude each
      other or lack another one, and what the readers raise.
  """
  paths = {
      "features": features,
      "representations": representations,
      "concepts": concepts,
      "concept_list": concept_list,
      "choices": choices,
      "choices_names": choices_names,
      "triplets": triplets,
      "probabilities": probabilities,
      "embedding": embedding,
      "posterior": posterior,
      "embedding_names": embedding_names,
      "local": local,
      "blocks": blocks,
  }
  paths = {name: path for name, path in paths.items() if path is not None}
  given = {*paths} | ({"embedding_order"} if embedding_order else set())
  given |= {"odd"} if odd else set()
  given |= {"numbered_from"} if numbered_from is not None else set()
  human.check_given(given)
  if ("features" in given) == ("representations" in given) or (
      given >= {"representations", "concepts"}
  ):
    raise AlignetError(
        "expected either --features=F.npy, with --concepts=C.npy where a row"
        " is not one concept, or --representations=DIR, which has labels"
    )
  for name in ("features", "concepts", "triplets", "blocks"):
    if name in given:
      trust.check_rows(paths[name], None, "the other files", None)
  names = None if concept_list is None else readers.read_names(concept_list)
  arrays, columns = {}, None
  if representations is not None:
    arrays, names, columns = _labelled(representations, level, names)
    paths["representations"] = pathlib.Path(representations) / store.FEATURES
  for name, shape, kinds in (
      ("features", (None, None), "f"),
      ("concepts", (None,), "iu"),
      ("local", (None, None), "f"),
      ("blocks", (None,), "iu"),
  ):
    if name in paths:
      arrays[name] = files.load_npy(
          paths[name], what=name, shape=shape, kinds=kinds
      )
  found, notes = human.read(
      paths,
      names,
      as_it_stands=bool(trust.rows) and names is None,
      choices_format=choices_format,
      embedding_order=embedding_order,
      on_impossible=on_impossible,
      on_unknown=on_unknown,
  )
  if triplets is not None:
    found["triplets"] = _arranged(
        triplets, found, names, arrays, odd, numbered_from
    )
  return make(
      **arrays,
      **found,
      n_concepts=None if names is None else len(names),
      samples=samples,
      max_triplets=max_triplets,
      seed=seed,
      sha256={name: files.sha256(path) for name, path in paths.items()},
      columns=columns,
      trust=trust,
      notes=notes,
  )


def _arranged(path, found, names, arrays, odd, numbered_from) -> np.ndarray:
  """Triplets in our convention; an embedding must meet more than by chance."""
  embedding = found.get("embedding")
  n = next(
      len(x) for x in (names, embedding, arrays["features"]) if x is not None
  )
  if "concepts" in arrays and names is None and embedding is None:
    n = int(arrays["concepts"].max(initial=0)) + 1
  rows = layout.arranged(
      found["triplets"], n, odd=odd, numbered_from=numbered_from, what=str(path)
  )
  if embedding is not None and "probabilities" not in found and len(rows):
    s = similarity.of_triplets(embedding.astype(np.float64), rows)
    met = s[:, 0] >= s.max(axis=1)
    layout.check_agreement(met, odd, what=path)
  return rows


def _labelled(path, level, names):
  """Features and concepts of the images with a label; their names; columns."""
  reps = store.by_name(store.open(path))
  labels = reps.labels.get(level)
  if level == "image":
    labels = Labels(ids=np.arange(len(reps)), names=np.array(reps.filenames))
  if labels is None:
    raise AlignetError(
        f"{path} has no labels of level {level!r}, only"
        f" {', '.join(reps.labels) or 'none'}; extract with"
        " --concepts=concepts.tsv, or pass --level (image: each is a concept,"
        " by its file name)"
    )
  if names is not None and labels.names.tolist() != names.tolist():
    raise AlignetError(
        f"{path}: expected the classes of level {level} to be the concepts of"
        f" --concept_list in their order, found {_difference(labels, names)};"
        " give the list that the images were labelled with"
    )
  rows = np.flatnonzero(labels.ids != UNLABELLED)
  features = np.asarray(reps.features[rows], np.float32)
  finite = np.isfinite(features).all(axis=1)
  if not finite.all():
    raise AlignetError(
        f"features in {path}: row {rows[np.argmin(finite)]} holds a NaN or"
        " infinite value; extract the representations again"
    )
  found = {"features": features, "concepts": labels.ids[rows]}
  return found, labels.names, reps.columns


def _difference(labels, names) -> str:
  for i, (found, expected) in enumerate(zip(labels.names, names)):
    if found != expected:
      return f"class {i} {str(found)!r} and concept {i} {str(expected)!r}"
  return f"{len(labels.names)} classes and {len(names)} concepts"


def make(
    *,
    features: np.ndarray,
    embedding: np.ndarray | None = None,
    posterior: readers.Posterior | None = None,
    concepts: np.ndarray | None = None,
    n_concepts: int | None = None,
    triplets: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    participants: np.ndarray | None = None,
    local: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    samples: int = 50,
    max_triplets: int = 1_000_000,
    seed: int = 0,
    sha256: dict[str, str] | None = None,
    columns: identities.Columns | None = None,
    trust: identities.Trust = identities.NOTHING,
    notes: dict[str, dict[str, Any]] | None = None,
) -> Inputs:
  """The same from arrays.

  `n_concepts` is counted where it is not given: rows of the embedding or
  posterior, or else of what `concepts` names or the features.
  """
  notes = dict(notes or {})
  if posterior is not None:
    embedding = posterior.mean
  if n_concepts is not None:
    n = n_concepts
  elif embedding is not None:
    n = len(embedding)
  elif concepts is not None and len(concepts):
    n = int(concepts.max()) + 1
  else:
    n = len(features)
  features, concepts = check_features(features, concepts, n)
  predict = None
  if posterior is not None:
    options = {
        "concepts": concepts,
        "max_triplets": max_triplets,
        "samples": samples,
        "seed": seed,
    }
    judgments, error = human.predict(posterior, triplets, **options)
    predict = lambda rows: human.predict(posterior, rows, **options)[0]
    notes["posterior"] = {
        **notes.get("posterior", {}),
        "samples": samples,
        "standard_error": error,
    }
  elif triplets is not None:
    judgments = judgments_lib.from_choices(
        triplets, probabilities, n_concepts=n, participants=participants
    )
    if embedding is not None:
      files.check_finite(embedding, "embedding")
  else:
    judgments = judgments_lib.from_embedding(
        embedding, concepts=concepts, max_triplets=max_triplets, seed=seed
    )
    predict = functools.partial(judgments_lib.of_embedding, embedding)
  return Inputs(
      features=features,
      concepts=concepts,
      judgments=judgments,
      embedding=embedding,
      local=local,
      blocks=blocks,
      predict=predict,
      sha256=sha256 or {},
      columns=columns,
      trust=trust,
      notes=notes,
  )


def check_features(
    features: np.ndarray, concepts: np.ndarray | None, n_concepts: int
) -> tuple[np.ndarray, np.ndarray]:
  """Features (n, d) and the concept of each row, checked against each other.

  To be called before any rows are left out: errors name a row by its number.
  """
  features = files.check_matrix(features, "features", kinds="f")
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
