"""Stored representations against people's dissimilarities of images."""

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
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
from alignet.human.readers import names as names_lib
import numpy as np

ORDERS = ("sorted", "natural", "as_stored")
"""Of an RDM's stimuli: that of their file names, of the names with numbers by
value, or that in which the representations hold them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Similarity sets.

  Attributes:
    rdm: name of a set to its file.
    rdm_kind: name of a set of your own to "similarity" or "distance", where
      the file does not prove it.
    rdm_images: name of a set to a file with file names in the order of its
      matrix, to the names themselves, or to one of `ORDERS`.
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
  rdm_kind: evaluation.Pairs = flag(
      (),
      type=evaluation.pair,
      metavar="NAME=KIND",
      help=(
          "what the --rdm of that name, one of your own, holds: similarity or"
          " distance; repeatable"
      ),
  )
  rdm_images: evaluation.Pairs = flag(
      (),
      type=evaluation.pair,
      metavar="NAME=FILE",
      help=(
          "file names in the order of the RDM of that name, one a line; or in"
          " the place of a file sorted, natural (a2 before a10) or as_stored,"
          " the order of the representations (default: names in the RDM's own"
          " file; sorted, where the set's data card says so); repeatable"
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
        if not isinstance(path, tuple) and path not in ORDERS
    }

  def check(self, suite):
    names = {name for name, _ in suite.rdm}
    ordered = {name for name, _ in suite.rdm_images}
    for flag_, given in (
        ("--rdm_images: expected NAME=FILE with", ordered),
        ("--rdm_kind: expected", dict(suite.rdm_kind)),
    ):
      for name in given:
        if name not in names:
          raise AlignetError(f"{flag_} the name of an --rdm, found {name}")
    for _, given in suite.rdm_images:
      if isinstance(given, tuple) or given in ORDERS:
        continue
      if not pathlib.Path(given).exists():
        raise AlignetError(f"--rdm_images: {given} does not exist")
    kinds = dict(suite.rdm_kind)
    for name, path in suite.rdm:
      similarity_sets.check_name(name, kind=kinds.get(name))
      if name not in ordered:
        similarity_sets.check_order(name, path)

  def compute(self, suite, models):
    orders, kinds = dict(suite.rdm_images), dict(suite.rdm_kind)
    scores, details = {}, {}
    for name, path in suite.rdm:
      loaded = similarity_sets.load(name, path, kind=kinds.get(name))
      found, details[f"human/{name}"] = on_rdm(
          models.model,
          loaded.rdms,
          name=name,
          images=_names(name, loaded, orders.get(name), models.model),
          category_levels=tuple(suite.categories),
          reweighted=suite.reweighted,
          baseline=models.baseline,
          seed=suite.seed,
          resamples=suite.resamples,
      )
      scores |= found
      details[f"human/{name}"]["kind"] = loaded.kind
    return evaluation.Result(scores=scores, details=details)


def _names(name, loaded, given, model) -> np.ndarray:
  """Names of the stimuli in the order of the matrix."""
  if given is None and loaded.names is not None:
    given = loaded.names
  elif given is None and name.partition("/")[0] in similarity_sets.SETS:
    given = "sorted"  # Else `check_order` has refused.
  if given is None:
    raise AlignetError(
        f"{name}: the file does not say in which order its stimuli are; give"
        f" their names (--rdm_images={name}=names.txt), or"
        f" --rdm_images={name}=sorted, natural or as_stored"
    )
  if isinstance(given, tuple):
    return _as_called(np.array(given), model)
  if given not in ORDERS:
    return _as_called(readers.read_names(given), model)
  if len(model.filenames) != loaded.rdms.shape[-1]:
    raise AlignetError(
        f"{name}: the RDM has {loaded.rdms.shape[-1]} stimuli and there are"
        f" {len(model.filenames)} images; give the images' file names in the"
        " order of the RDM (--rdm_images)"
    )
  if given == "as_stored":
    return model.stored
  key = names_lib.natural if given == "natural" else None
  return np.array(sorted(model.filenames.tolist(), key=key))


def _as_called(names: np.ndarray, model: Model) -> np.ndarray:
  """File names of the images; names may lack folders and suffixes."""
  known = model.filenames.tolist()
  if {*names.tolist()} <= {*known}:
    return names
  stems = [pathlib.PurePosixPath(name).stem for name in known]
  called = dict(zip(stems, known)) if len({*stems}) == len(stems) else {}
  stem = lambda name: pathlib.PurePosixPath(name).stem
  return np.array(
      [
          called.get(name, called.get(stem(name), name))
          for name in names.tolist()
      ]
  )


def on_rdm(
    model: Model,
    human: np.ndarray,
    *,
    name: str,
    images: np.ndarray,
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
    score = bootstrap.score(mean, of_score[:, 0], n=n)
    if baseline is not None:
      score["baseline"] = others[key]
      score["difference"] = bootstrap.score(
          mean - others[key], of_score[:, 0] - of_score[:, 1], n=n
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
