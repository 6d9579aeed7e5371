"""Everything `alignet evaluate` reports on one set of representations.

Arrays in, a dictionary of plain numbers out, ready for JSON.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.choices import probabilistic
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.evals.scores.rdms import rsa_bootstrap
from alignet.evals.scores.rdms import rsa_partial
from alignet.evals.scores.rdms import rsa_reliability
from alignet.evals.scores.rdms import rsa_reweighted
from alignet.io import files
from alignet.triplets import layout
from alignet.triplets import similarity as similarities
import numpy as np


def of_triplets(
    features: np.ndarray,
    triplets: np.ndarray,
    *,
    similarity: similarities.Kind,
    seed: int = 0,
) -> dict[str, Any]:
  """Agreement of representations with odd-one-out choices.

  Args:
    features: (n, d), one row an object, finite.
    triplets: (m, 3) row numbers, the odd one last; m >= 2.
    similarity: "dot" or "cosine".
    seed: deals the triplets out to the two halves of `nll_fitted`.

  Returns:
    similarity: as given.
    accuracy: mean odd-one-out accuracy, k tied maxima count 1/k.
    se: its standard error over triplets, standard deviation / sqrt(m) (it
      takes triplets for independent: `bootstrap` does not); None of fewer than
      `bootstrap.FEWEST`.
    nll: mean negative log likelihood at temperature 1, nats.
    nll_fitted: the same at a fitted temperature, by two-fold cross-fitting:
      each half of the triplets at the temperature fitted on the other half.
    temperature: the two temperatures.
    n: number of triplets.

  Raises:
    AlignetError: NaN, a row number out of range, fewer than two triplets.
  """
  features = files.check_matrix(features, "features")
  triplets = layout.check(triplets, len(features))
  if len(triplets) < 2:
    raise AlignetError(
        f"triplets: expected at least 2 rows, found {len(triplets)}"
    )
  s = similarities.of_triplets(features, triplets, similarity)
  correct = odd_one_out.accuracy(s)
  temperatures = probabilistic.cross_fitted_temperatures(
      s, rng=np.random.default_rng(seed)
  )
  nll = probabilistic.nll(probabilistic.log_probabilities(s))
  fitted = probabilistic.nll(probabilistic.log_probabilities(s, temperatures))
  many = len(correct) >= bootstrap.FEWEST
  return {
      "similarity": similarity,
      "accuracy": float(correct.mean()),
      "se": float(correct.std() / np.sqrt(len(correct))) if many else None,
      "nll": float(nll.mean()),
      "nll_fitted": float(fitted.mean()),
      "temperature": np.unique(temperatures).tolist(),
      "n": len(triplets),
  }


def of_rdm(
    features: np.ndarray,
    human: np.ndarray,
    *,
    similarity: similarities.Kind,
    seed: int = 0,
    resamples: int = 1000,
    categories: Sequence[np.ndarray] = (),
    reweighted: bool = False,
) -> dict[str, Any]:
  """Agreement of representations with human dissimilarities.

  Args:
    features: (n, d), one row a stimulus, finite.
    human: (n, n) or (subjects, n, n) dissimilarities, diagonal ignored.
    similarity: "cosine", model RDM 1 - cosine; "dot", minus the dot product.
    seed: of the bootstrap.
    resamples: of the bootstrap over stimuli; 0 for none.
    categories: (n,) labels each, category models to hold constant.
    reweighted: also fit weights of the dimensions (takes long).

  Returns:
    What `correlations` gives, in mean_rdm also ci, the 95 % interval of the
      spearman, bootstrap over stimuli, unless there are no resamples.
    ceiling: lower and upper noise ceiling of per_subject's mean (spearman);
      None for both where there is one RDM only.
    mean_ceiling: split_half, reliability and bound of the mean RDM (spearman),
      see `rsa_reliability`; None where there is one RDM only.

  Raises:
    AlignetError: NaN, sizes that differ, a matrix that is not symmetric or
      holds similarities, a constant RDM.
  """
  result = correlations(
      features,
      human,
      similarity=similarity,
      seed=seed,
      categories=categories,
      reweighted=reweighted,
  )
  human = rsa.check(human, len(features))
  several = len(human) > 1
  ceiling = rsa.noise_ceiling(human) if several else None
  reliability = (
      rsa_reliability.of_mean_rdm(human, rng=np.random.default_rng(seed))
      if several
      else None
  )
  if resamples:
    draws = rsa_bootstrap.draws(
        [rsa.rdm(features, similarity)],
        human,
        ("spearman",),
        rng=np.random.default_rng(seed),
        resamples=resamples,
    )
    mean = result["mean_rdm"]
    found = bootstrap.score(
        mean["spearman"], draws["spearman"][:, 0], n=len(features)
    )
    if "low" in found:
      mean["ci"] = [found["low"], found["high"]]
    elif "no_interval" in found:
      mean["no_interval"] = found["no_interval"]
  return {
      **result,
      "ceiling": {
          "lower": ceiling.lower if ceiling else None,
          "upper": ceiling.upper if ceiling else None,
      },
      "mean_ceiling": dataclasses.asdict(reliability) if reliability else None,
  }


def correlations(
    features: np.ndarray,
    human: np.ndarray,
    *,
    similarity: similarities.Kind,
    seed: int = 0,
    categories: Sequence[np.ndarray] = (),
    reweighted: bool = False,
) -> dict[str, Any]:
  """The correlations of `of_rdm`, without what depends on people alone.

  Args:
    features: as in `of_rdm`.
    human: as in `of_rdm`.
    similarity: as in `of_rdm`.
    seed: of the folds of the reweighting.
    categories: as in `of_rdm`.
    reweighted: as in `of_rdm`.

  Returns:
    similarity: as given.
    mean_rdm: spearman, pearson and tau_a with the mean of the subjects' RDMs;
      with categories also partial, the spearman given their models.
    per_subject: mean and values of the spearman with each subject's RDM, means
      of pearson and tau_a.
    reweighted: as `rsa_reweighted.Reweighted`, where asked for.

  Raises:
    AlignetError: as `of_rdm`.
  """
  model = rsa.rdm(features, similarity)
  human = rsa.check(human, len(model))
  mean = human.mean(axis=0)
  of_model, of_mean = rsa.upper(model), rsa.upper(mean)
  values = rsa.per_subject(model, human)
  mean_rdm = {
      method.replace("-", "_"): rank_correlation.correlate(
          of_model, of_mean, method
      )
      for method in rank_correlation.METHODS
  }
  if categories:
    mean_rdm["partial"] = rsa_partial.partial_correlation(
        model, mean, [rsa_partial.category_rdm(c) for c in categories]
    )
  result = {
      "similarity": similarity,
      "mean_rdm": mean_rdm,
      "per_subject": {
          "mean": float(values.mean()),
          "values": values.tolist(),
          "pearson": float(rsa.per_subject(model, human, "pearson").mean()),
          "tau_a": float(rsa.per_subject(model, human, "tau-a").mean()),
      },
  }
  if reweighted:
    found = rsa_reweighted.cross_validate(
        features, mean, rng=np.random.default_rng(seed)
    )
    result["reweighted"] = dataclasses.asdict(found)
  return result
