"""How long people take, and how unsure a model is.

A model whose uncertainty is like people's is unsure (entropy of its choice
probabilities) where they take long. People differ in speed, so times are
compared within each person only: logarithms, z-scored.
"""

from alignet.io import files
import numpy as np


def z_scores(times: np.ndarray, participants: np.ndarray) -> np.ndarray:
  """Log response times, z-scored within each person.

  Args:
    times: (n,) response times in any unit; not positive or not finite ones are
      left out.
    participants: (n,) integers.

  Returns:
    (n,) float64: (log t - mean) / standard deviation, both over the person's
    times (ddof 0); NaN where the time is left out, or where all the person's
    times are equal.

  Raises:
    AlignetError: lengths that differ.
  """
  times = files.check_array(times, "response times", shape=(None,))
  files.check_array(
      participants, "participants", shape=(len(times),), kinds="iu"
  )
  times = times.astype(np.float64)
  usable = np.isfinite(times) & (times > 0)
  logs = np.log(np.where(usable, times, 1))
  _, people = np.unique(participants, return_inverse=True)
  weights = usable.astype(np.float64)
  n = np.bincount(people, weights)
  mean = np.bincount(people, weights * logs) / np.maximum(n, 1)
  centred = logs - mean[people]
  variance = np.bincount(people, weights * centred**2) / np.maximum(n, 1)
  # Equal times leave a rounding error where zero should be.
  spread = np.sqrt(np.where(variance > 1e-24, variance, np.nan))
  return np.where(usable, centred / spread[people], np.nan)
