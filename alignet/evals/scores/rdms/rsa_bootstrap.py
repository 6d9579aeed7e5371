"""Bootstrap over stimuli of correlations of RDMs (Nili et al. 2014).

Stimuli are drawn with replacement and rows and columns of all matrices follow;
pairs of a stimulus with itself are left out. A pair of two different stimuli
drawn m_i and m_j times thus counts m_i m_j times: ranks and moments are taken
with these weights, which gives what the enlarged matrices would. The subjects
are not drawn: intervals speak of other stimuli, judged by the same people.
"""

from collections.abc import Mapping, Sequence

from alignet import errors
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.io import progress
import numpy as np

STATISTICS = (
    *("spearman", "pearson", "tau_a", "subjects_spearman", "subjects_pearson"),
    "spearman_given_categories",
)
"""What `draws` can give; tau-a of each subject would take minutes."""


def draws(
    models: Sequence[np.ndarray],
    human: np.ndarray,
    statistics: Sequence[str] = STATISTICS,
    *,
    given: Sequence[np.ndarray] = (),
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Mapping[str, np.ndarray]:
  """Correlations of models with people in each resample, the same for all.

  Args:
    models: (n, n) each.
    human: (subjects, n, n).
    statistics: some of `STATISTICS`: correlations with the mean RDM, the mean
      over subjects of those with theirs, and the partial one with the mean RDM,
      see `rsa_partial`.
    given: (n, n) each, what the partial one holds constant.
    rng: source of the draws.
    resamples: number of draws, two or more.

  Returns:
    Statistic to (resamples, models) float64, NaN where it is undefined.

  Raises:
    AlignetError: fewer than two resamples.
  """
  errors.check_least(2, resamples=resamples)
  n = human.shape[-1]
  i, j = np.triu_indices(n, k=1)
  values = _Values(models, human, given, statistics)
  found = {name: np.empty((resamples, len(models))) for name in statistics}
  for r in progress.bar(range(resamples), desc="bootstrap over stimuli"):
    drawn = np.bincount(rng.integers(n, size=n), minlength=n)
    weights = drawn[i] * drawn[j]
    for name, correlations in values(weights).items():
      found[name][r] = correlations
  return found


class _Values:
  """The statistics as functions of the weights of pairs."""

  def __init__(self, models, human, given, statistics):
    rows = lambda matrices: rsa.upper(np.stack(matrices)).astype(np.float64)
    self._models = rows(models)
    # People: the mean RDM first, then each subject's.
    self._people = rows([human.mean(axis=0)])
    if any("subjects" in name for name in statistics):
      self._people = np.concatenate([self._people, rows(human)])
    self._given = rows(given) if given else np.empty((0, len(self._people.T)))
    self._ranks = [
        [rank_correlation.Ranks(v) for v in vectors]
        for vectors in (self._models, self._people, self._given)
    ]
    self._statistics = statistics

  def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
    """(pairs,) int weights -> (models,) of each statistic."""
    out = {}
    w = weights.astype(np.float64)
    if self._asked("pearson"):
      out |= _of_people("pearson", self._models, self._people, w)
    if self._asked("spearman"):
      models, people, given = self._ranked(w)
      out |= _of_people("spearman", models, people, w)
      if len(given):
        out["spearman_given_categories"] = _partial(
            models, people[:1], given, w
        )
    if self._asked("tau_a"):
      out["tau_a"] = [_tau_a(m, self._people[0], weights) for m in self._models]
    return {name: out[name] for name in self._statistics}

  def _asked(self, method):
    return any(method in name for name in self._statistics)

  def _ranked(self, weights):
    return [
        np.array([rank(weights) for rank in ranks]).reshape(-1, len(weights))
        for ranks in self._ranks
    ]


def _of_people(method, models, people, weights) -> dict[str, np.ndarray]:
  r = rank_correlation.weighted(models, people, weights)
  out = {method: r[:, 0]}
  if len(people) > 1:
    out[f"subjects_{method}"] = r[:, 1:].mean(axis=1)
  return out


def _tau_a(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
  """tau-a of values repeated `weights` times; NaN where it is undefined."""
  a, b = np.repeat(a, weights), np.repeat(b, weights)
  if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
    return np.nan
  return rank_correlation.correlate(a, b, "tau-a")


def _partial(models, people, given, weights) -> np.ndarray:
  """(models,) correlations with what `given` predicts taken out of both."""
  used = weights > 0
  w = weights[used]
  if not len(w):
    return np.full(len(models), np.nan)
  root = np.sqrt(w)
  scaled = [_scaled(x[:, used], w) for x in (models, people, given)]
  design = np.concatenate([np.ones((1, len(w))), scaled[2]]).T * root[:, None]
  left = []
  for matrix in scaled[:2]:
    fitted = np.linalg.lstsq(design, (matrix * root).T)[0]
    rest = matrix - (design @ fitted).T / root
    # What rounding leaves is nothing.
    rest[np.sqrt(rest**2 @ w / w.sum()) < 1e-9] = 0
    left.append(rest)
  return rank_correlation.weighted(*left, w)[:, 0]


def _scaled(matrix, weights) -> np.ndarray:
  """Rows of weighted mean 0 and variance 1, so that no scale hides another."""
  matrix = matrix - (matrix @ weights / weights.sum())[:, None]
  spread = np.sqrt(matrix**2 @ weights / weights.sum())
  return matrix / np.where(spread > 0, spread, 1)[:, None]
