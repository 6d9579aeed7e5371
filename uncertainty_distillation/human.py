"""Reads what people said: choices, triplets, an embedding or its posterior."""

from collections.abc import Mapping, Set
import dataclasses
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human import readers
from alignet.human.judgments import Judgments
from alignet.io import files
import numpy as np
from uncertainty_distillation import vice

CHOICES_FORMATS = ("things_csv", "odd_last", "odd_first")
"""THINGS' csv, or three numbers a row with the odd one last or first."""

_CONCEPTS = "--concept_list=concepts.tsv"
_LISTS = {"concept_list", "representations"}
_EMBEDDINGS = ("embedding", "posterior")


def check_given(given: Set[str]) -> None:
  """Fails where arguments of `read` exclude each other or one needs another.

  Args:
    given: names of those that are given.

  Raises:
    AlignetError: as said, or none of them holds judgments.
  """
  if not given & {"choices", "triplets", *_EMBEDDINGS}:
    raise AlignetError(
        "no human judgments are given; pass --choices=FILE, --triplets=T.npy,"
        " --embedding=V.npy or --posterior=vice.npz"
    )
  for pair in (
      ("choices", "triplets"),
      _EMBEDDINGS,
      ("probabilities", "posterior"),
      ("embedding_names", "embedding_order"),
  ):
    if given >= {*pair}:
      raise AlignetError(
          f"expected --{pair[0]} or --{pair[1]}, found both; leave one out"
      )
  for name, needed, flag in (
      ("probabilities", {"triplets"}, "--triplets=T.npy"),
      ("odd", {"triplets"}, "--triplets=T.npy"),
      ("numbered_from", {"triplets"}, "--triplets=T.npy"),
      ("choices", _LISTS, _CONCEPTS),
      ("choices_names", {"choices"}, "--choices=FILE"),
      ("embedding_names", _LISTS, _CONCEPTS),
      ("embedding_names", {*_EMBEDDINGS}, "--embedding=V.npy"),
      ("embedding_order", {*_EMBEDDINGS}, "--embedding=V.npy"),
  ):
    if name in given and not given & needed:
      raise AlignetError(f"--{name} needs {flag}; pass that too")


def read(
    paths: Mapping[str, files.Path],
    concepts: np.ndarray | None,
    *,
    as_it_stands: bool,
    choices_format: str,
    embedding_order: str | None,
    on_impossible: str,
    on_unknown: str,
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
  """Reads the files; arguments as in `inputs.load`.

  Args:
    paths: those given of choices, choices_names, triplets, probabilities,
      embedding, embedding_names, posterior; others are left alone.
    concepts: names of the concepts, or None.
    as_it_stands: see `readers.read_embedding`.
    choices_format: of `CHOICES_FORMATS`.
    embedding_order: one of `readers.ORDERS`, or None.
    on_impossible: "error" or "drop".
    on_unknown: "error" or "drop".

  Returns:
    Those given of triplets, probabilities, embedding (arrays), posterior
    (`readers.Posterior`) and participants of choices; and notes, see
    `inputs.Inputs`.

  Raises:
    AlignetError: what the readers raise.
  """
  found, notes = {}, {}
  rows = {
      "names": paths.get("embedding_names"),
      "order": embedding_order,
      "as_it_stands": as_it_stands,
      "on_unknown": on_unknown,
  }
  if "embedding" in paths:
    embedding = readers.read_embedding(paths["embedding"], concepts, **rows)
    found["embedding"] = embedding.values
    notes["embedding"] = _note(embedding, embedding_order)
  if "posterior" in paths:
    posterior = readers.read_posterior(paths["posterior"], concepts, **rows)
    found["posterior"] = posterior
    notes["posterior"] = _note(posterior, embedding_order)
  if "triplets" in paths:
    found["triplets"] = _load(paths, "triplets", (None, 3), "iu")
  if "probabilities" in paths:
    found["probabilities"] = _load(paths, "probabilities", (None, 3), "fiu")
  if "choices" in paths:
    choices = read_choices(
        paths["choices"],
        choices_format,
        concepts,
        names=paths.get("choices_names"),
        on_impossible=on_impossible,
        on_unknown=on_unknown,
    )
    found["triplets"] = choices.triplets
    found["participants"] = choices.participant
    notes["choices"] = {
        "format": choices_format,
        **dataclasses.asdict(choices.report),
    }
  return found, notes


def predict(
    posterior: readers.Posterior,
    triplets: np.ndarray | None,
    *,
    concepts: np.ndarray,
    max_triplets: int,
    samples: int,
    seed: int,
) -> tuple[Judgments, float | None]:
  """Judgments with the probabilities of the posterior predictive.

  Args:
    posterior: of n_concepts.
    triplets: (m, 3) concept numbers; None for those that
      `judgments.from_embedding` takes with the next two arguments.
    concepts: the concepts to use.
    max_triplets: at most so many are drawn.
    samples: draws of the embedding.
    seed: of the triplets and of the samples.

  Returns:
    The judgments, and the mean standard error of their probabilities, None
    with one sample.

  Raises:
    AlignetError: a concept out of range or repeated in a row, fewer than three
      concepts, fewer than one sample, no triplets.
  """
  if triplets is None:
    triplets = judgments_lib.from_embedding(
        posterior.mean, concepts=concepts, max_triplets=max_triplets, seed=seed
    ).triplets
  predicted = vice.posterior_predictive(
      posterior.mu, posterior.sigma, triplets, samples=samples, seed=seed
  )
  judgments = judgments_lib.from_choices(
      triplets, predicted.probabilities, n_concepts=len(posterior.mu)
  )
  error = float(predicted.standard_error.mean())
  return judgments, error if np.isfinite(error) else None


def _load(paths, name, shape, kinds) -> np.ndarray:
  return files.load_npy(paths[name], what=name, shape=shape, kinds=kinds)


def _note(found, order) -> dict[str, Any]:
  return {"order": order, "unknown": [*found.unknown]}


def read_choices(
    path: files.Path, form: str, concepts: readers.ConceptList, **options: Any
) -> readers.Choices:
  """Choices in one of `CHOICES_FORMATS`; options are those of the reader."""
  errors.check_choice("choices_format", form, CHOICES_FORMATS)
  if form == "things_csv":
    return readers.read_things_csv(path, concepts, **options)
  odd = form.removeprefix("odd_")
  return readers.read_triplets(path, concepts, odd=odd, **options)
