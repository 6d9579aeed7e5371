"""Stored representations against people's dissimilarities of images."""

from collections.abc import Mapping
from typing import Any

from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores import summary
from alignet.evals.scores.rdms import rsa
from alignet.evals.scores.rdms import rsa_bootstrap
from alignet.evals.scores.rdms import rsa_partial
from alignet.evals.stored import Model
import numpy as np


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
