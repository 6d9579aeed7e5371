"""The noise ceiling of a mean RDM: how well can anything correlate with it?

The mean over subjects is less noisy than a subject, so its ceiling is another
one than that of `rsa.noise_ceiling`. Two random halves of the subjects have
mean RDMs that correlate with r; by Spearman and Brown the mean over all
subjects has the reliability 2 r / (1 + r), and the RDM behind the noise
correlates with it by the square root of that, which no model passes on average.
"""

import dataclasses

from alignet.errors import AlignetError
from alignet.evals.scores.rdms import rank_correlation
from alignet.evals.scores.rdms import rsa
from alignet.io import progress
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reliability:
  """Of the mean RDM.

  Attributes:
    split_half: mean correlation of the mean RDMs of two halves.
    reliability: 2 r / (1 + r), that of the mean of all subjects; 0 where r is
      not positive.
    bound: its square root, the correlation with the mean RDM that a perfect
      model reaches.
  """

  split_half: float
  reliability: float
  bound: float


def of_mean_rdm(
    human: np.ndarray,
    method: rank_correlation.Method = "spearman",
    *,
    rng: np.random.Generator,
    splits: int = 100,
) -> Reliability:
  """Split-half reliability of the mean RDM.

  Args:
    human: (subjects, n, n), two subjects or more; with an odd number the halves
      differ by one.
    method: "spearman", "pearson" or "tau-a"; Spearman and Brown's formula is
      Pearson's, and an approximation for the others.
    rng: draws the halves.
    splits: number of draws.

  Returns:
    The reliability.

  Raises:
    AlignetError: fewer than two subjects, no split.
  """
  subjects = len(human)
  if np.ndim(human) != 3 or subjects < 2 or splits < 1:
    raise AlignetError(
        "reliability: expected RDMs of at least two subjects and one split,"
        f" found shape {np.shape(human)} and {splits} splits"
    )
  values = rsa.upper(human).astype(np.float64)
  total = values.sum(axis=0)
  found = []
  for _ in progress.bar(range(splits), desc="halves of the subjects"):
    order = rng.permutation(subjects)
    half = values[order[: subjects // 2]].sum(axis=0)
    found.append(rank_correlation.correlate(half, total - half, method))
  r = float(np.mean(found))
  reliability = max(2 * r / (1 + r), 0.0) if r > -1 else 0.0
  return Reliability(
      split_half=r, reliability=reliability, bound=float(np.sqrt(reliability))
  )
