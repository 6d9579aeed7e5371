"""Nested, object-disjoint cross-validation of teachers.

The concepts are dealt out to folds. Each method is fitted on the concepts
outside a fold, where everything it chooses, down to the temperature, is chosen
on inner folds of these; then the fold's concepts are scored, once. A judgment
that mixes the two is dropped, and counted.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from alignet import transforms
from alignet.errors import AlignetError
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
from alignet.triplets import similarity
import numpy as np
from uncertainty_distillation import fit
from uncertainty_distillation import inputs
from uncertainty_distillation.config import Config

SCORES = (
    *("agreement", "expected"),
    *("cross_entropy", "kl", "brier"),
    *("cross_entropy_fitted", "kl_fitted", "brier_fitted"),
)
"""Scores of a trial; `_fitted` at the temperature fitted on training data."""


Learn = Callable[[np.ndarray, int], tuple[Judgments, np.ndarray | None]]
"""From the held-out concepts (n,) bool, and the number of the fold, to
judgments and a human embedding that were made of the other concepts."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Method:
  """A way to a transform.

  Attributes:
    configs: of the fit, from which inner folds choose, down to the temperature;
      none for the raw representations, compared by cosine.
    transform: in their place one that is there, such as a published one: it is
      not fitted, only its temperature, and it may have seen held-out concepts.
    judgments: to learn from, where they are not those it is scored on (hard
      choices, for example); same numbers of concepts. The temperature is fitted
      to the training part of those it is scored on all the same.
    with_embedding: whether the fit may see the human embedding.
    local_images: for glocal, see `fit.fit`.
  """

  configs: Sequence[Config] = ()
  transform: transforms.Transform | None = None
  judgments: Judgments | None = None
  with_embedding: bool = True
  local_images: np.ndarray | None = None

  def check(self, name: str, features: np.ndarray) -> None:
    """Fails, with the method's name, where its scores could not be had."""
    if self.configs and self.transform is not None:
      raise AlignetError(f"{name}: expected configs or a transform, found both")
    if not all(config.inner_folds for config in self.configs):
      raise AlignetError(
          f"cross-validation of {name}: expected inner folds, on which steps"
          " and temperature are chosen, found none; set --inner_folds to at"
          " least 2"
      )
    if self.transform is not None:
      try:
        self.transform(features[:1])
      except AlignetError as e:
        raise AlignetError(f"{name}: {e}") from e

  def fixed(self, x: np.ndarray) -> tuple[np.ndarray, similarity.Kind]:
    """What a method without configs makes of (n, d), and how it compares."""
    if self.transform is None:
      return np.asarray(x, np.float32), "cosine"
    return self.transform(x), "dot"


def standard_methods(
    configs: Sequence[Config], local_images: np.ndarray | None = None
) -> dict[str, Method]:
  """The configs' teacher, ridge regression and raw.

  The ridge regression owes nothing to the configs: penalty, scale, input map
  and temperature are chosen on inner folds of its own.
  """
  return {
      "ours": Method(configs=configs, local_images=local_images),
      "ridge": Method(configs=(Config(steps=0),)),
      "raw": Method(),
  }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Result:
  """Scores of each trial, all folds one after the other.

  Attributes:
    scores: method -> score -> (n,) float64.
    log_p: method -> (n, 3) float64 log probabilities at temperature 1.
    log_p_fitted: the same at the temperature fitted on training data.
    probabilities: (n, 3) human probabilities of the pairs.
    concepts: (n, 3) concepts of each trial.
    participants: (n,) who chose, or None where that is not known.
    fold: (n,) number of its fold, counted on over the seeds.
    fits: method -> a report a fold: steps, temperature; "fixed" where a
      transform was there before.
    dropped: judgments that mixed training and held-out concepts, a fold.
  """

  scores: Mapping[str, Mapping[str, np.ndarray]]
  log_p: Mapping[str, np.ndarray]
  log_p_fitted: Mapping[str, np.ndarray]
  probabilities: np.ndarray
  concepts: np.ndarray
  participants: np.ndarray | None
  fold: np.ndarray
  fits: Mapping[str, Sequence[Mapping[str, Any]]]
  dropped: Sequence[int]


def cross_validate(
    features: np.ndarray,
    concepts: np.ndarray | None,
    judgments: Judgments,
    methods: Mapping[str, Method],
    *,
    embedding: np.ndarray | None = None,
    learn: Learn | None = None,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    blocks: np.ndarray | None = None,
    trials: int = 5000,
) -> Result:
  """Scores methods on concepts they saw no judgment of.

  Args:
    features: (n, d); row i shows concept `concepts[i]`.
    concepts: (n,) integers; None where row i shows concept i.
    judgments: what people said; trials of held-out concepts come from here.
    methods: name -> method, all scored on the same trials and images.
    embedding: (concepts, k) human embedding for ridge regression; only rows of
      training concepts are used.
    learn: what methods learn from where it is made anew on each fold; None for
      the judgments and the embedding.
    folds: number of folds.
    seeds: the folds are dealt out anew for each.
    blocks: (concepts,) category of each concept; concepts of a category are
      held out together, in inner folds too. None deals concepts out one by one.
    trials: at most so many of a fold, drawn at random; one random image of each
      concept.

  Returns:
    Scores of all trials.

  Raises:
    AlignetError: too few concepts or judgments for the folds, a config without
      inner folds, a transform of other representations.
  """
  features, concepts = inputs.check_features(
      features, concepts, judgments.n_concepts
  )
  for name, method in methods.items():
    method.check(name, features)
  parts, fits, dropped = [], {name: [] for name in methods}, []
  for seed in seeds:
    for held_out in _folds(concepts, judgments, folds, blocks, seed):
      taught = None, embedding
      if learn is not None:
        taught = learn(held_out, len(parts))
      part = _fold(
          *(features, concepts, judgments, methods),
          *(taught, held_out, blocks, seed, trials),
      )
      parts.append(part)
      dropped.append(part["dropped"])
      for name, report in part["fits"].items():
        fits[name].append(report)
  join = lambda get: np.concatenate([get(part) for part in parts])
  sizes = [len(part["concepts"]) for part in parts]
  return Result(
      scores={
          name: {
              score: join(lambda p, n=name, s=score: p["scores"][n][s])
              for score in SCORES
          }
          for name in methods
      },
      **{
          key: {
              name: join(lambda p, n=name, k=key: p[k][n]) for name in methods
          }
          for key in ("log_p", "log_p_fitted")
      },
      probabilities=join(lambda p: p["probabilities"]),
      concepts=join(lambda p: p["concepts"]),
      participants=(
          None
          if judgments.participants is None
          else join(lambda p: p["participants"])
      ),
      fold=np.repeat(np.arange(len(parts)), sizes),
      fits=fits,
      dropped=dropped,
  )


def _folds(concepts, judgments, n, blocks, seed) -> list[np.ndarray]:
  """Boolean masks over the concepts, true for the held-out ones."""
  seen = np.zeros(judgments.n_concepts, bool)
  seen[concepts] = True
  present = np.flatnonzero(seen)
  if blocks is None:
    parts = judgments_lib.folds(present, n, seed=seed)
  else:
    blocks = files.check_array(
        blocks, "blocks", shape=(judgments.n_concepts,), kinds="iu"
    )
    parts = judgments_lib.blocked_folds(present, blocks[present], n, seed=seed)
  masks = []
  for part in parts:
    mask = np.zeros(judgments.n_concepts, bool)
    mask[part] = True
    masks.append(mask)
  return masks


def _fold(
    features,
    concepts,
    judgments,
    methods,
    taught,
    held_out,
    blocks,
    seed,
    trials,
) -> dict[str, Any]:
  rng = np.random.default_rng([seed, 0x63766664])
  anew, embedding = taught
  seen = np.zeros(judgments.n_concepts, bool)
  seen[concepts] = True
  usable = judgments_lib.within(judgments, seen)
  training, held, dropped = judgments_lib.split(usable, held_out)
  if not len(training) or not len(held):
    raise AlignetError(
        f"a fold has {len(training)} judgments to learn from and {len(held)} to"
        " be scored on; expected some of each: use fewer folds"
    )
  rows = np.sort(rng.permutation(len(held))[:trials])
  trial = judgments_lib.take(held, rows)
  images = draw_images(concepts, trial.triplets, rng)
  shown = np.unique(images)
  places = np.searchsorted(shown, images)
  inside = ~held_out[concepts]
  x, c = features[inside], concepts[inside]
  found = {"scores": {}, "log_p": {}, "log_p_fitted": {}, "fits": {}}
  for name, method in methods.items():
    if not method.configs:
      z, kind = method.fixed(features[shown])
      report = {
          "temperature": _temperature(method, x, c, training, rng),
          "fixed": method.transform is not None,
      }
    else:
      given = anew if method.judgments is None else method.judgments
      own, calibration = training, None
      if given is not None:
        own, calibration = judgments_lib.within(given, ~held_out), training
      hidden = None
      if embedding is not None and method.with_embedding:
        # Whoever looks shall find nothing.
        hidden = np.where(held_out[:, None], 0, embedding)
      transform, report = fit.tune(
          *(x, c, own),
          [dataclasses.replace(config, seed=seed) for config in method.configs],
          embedding=hidden,
          calibration=calibration,
          blocks=blocks,
          local_images=method.local_images,
      )
      z, kind = transform(features[shown]), "dot"
    s = similarity.of_triplets(z, places, kind)
    temperature = report["temperature"]
    found["scores"][name] = score(s, trial.probabilities, temperature)
    for key, t in (("log_p", 1.0), ("log_p_fitted", temperature)):
      found[key][name] = probabilistic.log_probabilities(s, t)
    found["fits"][name] = {
        key: report[key]
        for key in ("steps", "temperature", "tuned", "fixed")
        if key in report
    }
  return {
      **found,
      "probabilities": trial.probabilities,
      "concepts": trial.triplets,
      "participants": trial.participants,
      "dropped": dropped,
  }


def draw_images(
    concepts: np.ndarray, triplets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """One random row of each concept of each triplet, (n, 3)."""
  order = np.argsort(concepts, kind="stable")
  count = np.bincount(concepts)
  first = np.cumsum(count) - count
  offset = (rng.random(triplets.shape) * count[triplets]).astype(np.int64)
  return order[first[triplets] + offset]


def _temperature(method, x, concepts, training, rng) -> float:
  """Of a method without configs, fitted to judgments of training concepts."""
  rows = rng.permutation(len(training))[:8192]
  images = draw_images(concepts, training.triplets[rows], rng)
  shown = np.unique(images)
  z, kind = method.fixed(x[shown])
  s = similarity.of_triplets(z, np.searchsorted(shown, images), kind)
  return probabilistic.fit_temperature(s, training.probabilities[rows])


def score(
    similarities: np.ndarray, probabilities: np.ndarray, temperature: float
) -> dict[str, np.ndarray]:
  """All of `SCORES`, a number a trial."""
  out = {
      "agreement": odd_one_out.modal(similarities, probabilities),
      "expected": odd_one_out.expected(similarities, probabilities),
  }
  for suffix, t in (("", 1.0), ("_fitted", temperature)):
    log_p = probabilistic.log_probabilities(similarities, t)
    out["cross_entropy" + suffix] = probabilistic.cross_entropy(
        log_p, probabilities
    )
    out["kl" + suffix] = probabilistic.kl_divergence(log_p, probabilities)
    out["brier" + suffix] = probabilistic.brier(log_p, probabilities)
  return out
