"""Stored representations against people's dissimilarities of images."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from alignet.errors import AlignetError
from alignet.evals import evaluation
from alignet.evals.evaluation import flag
from alignet.evals.model import Model
from alignet.evals.scores import bootstrap
from alignet.evals.scores import summary
from alignet.evals.scores.rdms import rsa
from alignet.evals.scores.rdms import rsa_bootstrap
from alignet.evals.scores.rdms import rsa_partial
from alignet.human import readers
from alignet.human import similarity_sets
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Similarity sets.

  Attributes:
    rdm: name of a set to its file.
    rdm_similarities: names of sets of your own that hold similarities.
    rdm_images: name of a set to a file with file names in the order of its
      matrix, or to the names themselves.
    categories: levels of labels whose category models are held constant.
    reweighted: feature-reweighted RSA, too.
  """

  rdm: evaluation.Pairs = flag(
      (),
      is_path=True,
      type=evaluation.pair,
      metavar="NAME=FILE",
      help=(
          f"{', '.join(similarity_sets.SETS)} in their published form, or any"
          " name and .npy, .csv or .mat; a part of a set as king2019/set2,"
          " peterson/animals; repeatable"
      ),
  )
  rdm_similarities: Sequence[str] = flag(
      (),
      metavar="NAME",
      help=(
          "the --rdm of that name, one of your own, holds similarities;"
          " repeatable"
      ),
  )
  rdm_images: evaluation.Pairs = flag(
      (),
      is_path=True,
      type=evaluation.pair,
      metavar="NAME=FILE",
      help=(
          "file names in the order of the RDM of that name, one a line"
          " (default: sorted by name, where the set's data card says so);"
          " repeatable"
      ),
  )
  categories: Sequence[str] = flag(
      (),
      metavar="LEVEL",
      help="hold a category model constant: superordinate, …; repeatable",
  )
  reweighted: bool = flag(
      False, help="feature-reweighted RSA, too (takes long)"
  )


class Rdms(evaluation.Evaluation):
  """People's dissimilarities of images: see `on_rdm`."""

  Settings = Settings
  needs = "a published set, or your own matrix and its images' names in order"
  shown = {"human": evaluation.PEOPLE}

  def sets(self, suite):
    return [f"human/{name}" for name, _ in suite.rdm]

  def inputs(self, suite):
    return {f"rdm/{name}": path for name, path in suite.rdm} | {
        f"rdm_images/{name}": path
        for name, path in suite.rdm_images
        if not isinstance(path, tuple)
    }

  def check(self, suite):
    names = {name for name, _ in suite.rdm}
    ordered = {name for name, _ in suite.rdm_images}
    for flag_, given in (
        ("--rdm_images: expected NAME=FILE with", ordered),
        ("--rdm_similarities: expected", suite.rdm_similarities),
    ):
      for name in given:
        if name not in names:
          raise AlignetError(f"{flag_} the name of an --rdm, found {name}")
    for name, path in suite.rdm:
      similarity_sets.check_name(
          name, similarities=name in suite.rdm_similarities
      )
      if name not in ordered:
        similarity_sets.check_order(name, path)

  def compute(self, suite, models):
    images = dict(suite.rdm_images)
    scores, details = {}, {}
    for name, path in suite.rdm:
      found, details[f"human/{name}"] = on_rdm(
          models.model,
          similarity_sets.load(
              name, path, similarities=name in suite.rdm_similarities
          ),
          name=name,
          images=_names(images.get(name)),
          category_levels=tuple(suite.categories),
          reweighted=suite.reweighted,
          baseline=models.baseline,
          seed=suite.seed,
          resamples=suite.resamples,
      )
      scores |= found
    return evaluation.Result(scores=scores, details=details)


def _names(given) -> np.ndarray | None:
  if given is None or isinstance(given, tuple):
    return given and np.array(given)
  return readers.read_names(given)


def on_rdm(
    model: Model,
    human: np.ndarray,
    *,
    name: str,
    images: np.ndarray | None = None,
    category_levels: tuple[str, ...] = (),
    reweighted: bool = False,
    baseline: Model | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Agreement with people's dissimilarities of images.

  Args:
    model: representations.
    human: (subjects, n, n).
    name: of the set; scores are called `human/{name}/…`.
    images: (n,) file names in the order of the RDM; None where the model's
      images, sorted by name, are those of the RDM.
    category_levels: levels of labels whose category models are held constant.
    reweighted: also fit weights of the dimensions.
    baseline: another model of the same images, for differences, both models in
      the same resamples.
    seed: of the bootstrap and all splits.
    resamples: of the bootstrap over stimuli; 0 for none. It has no part in
      subjects_tau_a and in what is reweighted, which would take too long.

  Returns:
    `human/{name}/{spearman, pearson, tau_a, subjects_spearman, …}`, and all
    that `summary.of_rdm` gives, ceilings among it, and `drawn`: ["images"].

  Raises:
    AlignetError: an image or a level that is not there, or as `of_rdm`.
  """
  rows = _rows(model, human, name, images)
  missing = [level for level in category_levels if level not in model.labels]
  if missing:
    raise AlignetError(
        f"the representations have no labels of the level {missing[0]!r}; found"
        f" {', '.join(model.labels) or 'none'}"
    )
  categories = [model.labels[x].ids[rows] for x in category_levels]
  common = {"seed": seed, "categories": categories, "reweighted": reweighted}
  found = summary.of_rdm(
      np.asarray(model.features[rows]),
      human,
      similarity=model.kind,
      resamples=0,
      **common,
  )
  scores, others = _scores(found), {}
  if baseline is not None:
    # Ceilings are people's: the same for both.
    others = summary.correlations(
        np.asarray(baseline.features[rows]),
        human,
        similarity=baseline.kind,
        **common,
    )
    others = _scores(others)
  models = [model] if baseline is None else [model, baseline]
  draws = {}
  if resamples:
    draws = rsa_bootstrap.draws(
        [rsa.rdm(m.features[rows], m.kind) for m in models],
        human,
        [name for name in rsa_bootstrap.STATISTICS if name in scores],
        given=[rsa_partial.category_rdm(c) for c in categories],
        rng=np.random.default_rng(seed),
        resamples=resamples,
    )
  n = human.shape[-1]
  out = {}
  for key, mean in scores.items():
    of_score = draws.get(key, np.empty((0, 2)))
    score = bootstrap.score(mean, of_score[:, 0])
    if baseline is not None:
      score["baseline"] = others[key]
      score["difference"] = bootstrap.score(
          mean - others[key], of_score[:, 0] - of_score[:, 1]
      )
    out[f"human/{name}/{key}"] = {**score, "n": n}
  return out, {**found, "drawn": ["images"]}


def _scores(found: Mapping[str, Any]) -> dict[str, float]:
  """The correlations that `summary` gives, by name."""
  mean, subjects = found["mean_rdm"], found["per_subject"]
  scores = {name: mean[name] for name in ("spearman", "pearson", "tau_a")}
  if len(subjects["values"]) > 1:
    scores |= {
        "subjects_spearman": subjects["mean"],
        "subjects_pearson": subjects["pearson"],
        "subjects_tau_a": subjects["tau_a"],
    }
  if "partial" in mean:
    scores["spearman_given_categories"] = mean["partial"]
  if "reweighted" in found:
    scores["spearman_reweighted"] = found["reweighted"]["reweighted"]
    scores["spearman_unweighted"] = found["reweighted"]["uniform"]
  return scores


def _rows(model, human, name, images) -> np.ndarray:
  n = human.shape[-1]
  if images is None:
    if len(model.features) != n:
      raise AlignetError(
          f"{name}: the RDM has {n} stimuli and there are"
          f" {len(model.features)} images; give the images' file names in the"
          " order of the RDM (--rdm_images)"
      )
    return np.argsort(model.filenames)
  if len(images) != n:
    raise AlignetError(
        f"{name}: expected the names of the RDM's {n} stimuli, found"
        f" {len(images)}"
    )
  row = {name: i for i, name in enumerate(model.filenames.tolist())}
  missing = [i for i in np.asarray(images).tolist() if i not in row]
  if missing:
    raise AlignetError(
        f"{name}: {len(missing)} of its images have no representations, the"
        f" first is {missing[0]}"
    )
  return np.array([row[i] for i in np.asarray(images).tolist()])
