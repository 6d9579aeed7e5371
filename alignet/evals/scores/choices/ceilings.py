"""What people say of each other: noise ceilings of odd-one-out choices.

A stimulus is three objects, answered by several people. `stimuli` (n,) numbers
the stimulus of each answer and `choices` (n,) is the pair that was judged the
most similar one: 0, 1 or 2 in the order [01, 02, 12] of the stimulus' objects,
which is the same for all who saw it. `participants` (n,) tells who answered:
somebody who saw a stimulus twice is no other person the second time. None where
each answer is another person's.

Three figures, of two different scores:

- `bayes_bound` is the best trial-level accuracy that any model can reach on
  these very answers: that of the most frequent choice. With few answers a
  stimulus it is far above what people reach.
- `leave_one_out` is the accuracy of the others' most frequent choice on the
  person left out: what the same kind of model scores on a new person. The
  truth is between the two, as for RDMs (Nili et al. 2014).
- `split_half` is the agreement of the most frequent choices of two halves of
  the people, the reliability of the modal choice. It is no bound: a model's
  accuracy against the modal choice may reach 1.
"""

from collections.abc import Mapping

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import progress
import numpy as np


def counts(stimuli: np.ndarray, choices: np.ndarray) -> np.ndarray:
  """(stimuli, 3) int64, how often each pair was chosen.

  Args:
    stimuli: (n,) integers from 0 on.
    choices: (n,) 0, 1 or 2.

  Raises:
    AlignetError: no answers, lengths that differ, a choice that is none of the
      three.
  """
  stimuli, choices = _check(stimuli, choices)
  table = np.bincount(3 * stimuli + choices, minlength=3 * (stimuli.max() + 1))
  return table.reshape(-1, 3)


def probabilities(stimuli: np.ndarray, choices: np.ndarray) -> np.ndarray:
  """(n, 3) for each answer the shares of the choices of its stimulus."""
  table = counts(stimuli, choices)[stimuli]
  return table / table.sum(axis=1, keepdims=True)


def bayes_bound(stimuli: np.ndarray, choices: np.ndarray) -> np.ndarray:
  """Best possible accuracy on the answers, one number an answer.

  Args:
    stimuli: (n,) integers from 0 on.
    choices: (n,) 0, 1 or 2.

  Returns:
    (n,) float64: share of the most frequent choice of the answer's stimulus.
  """
  return probabilities(stimuli, choices).max(axis=1)


def leave_one_out(
    stimuli: np.ndarray,
    choices: np.ndarray,
    participants: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Accuracy of the others' most frequent choice, one number an answer.

  Args:
    stimuli: (n,) integers from 0 on.
    choices: (n,) 0, 1 or 2.
    participants: (n,) integers; all answers of the person are left out.

  Returns:
    (n,) float64, 1/k where the choice is one of the others' k most frequent
    ones and 0 elsewhere; (n,) bool, whether there are others: without them the
    score is 1/3, and is best left out.

  Raises:
    AlignetError: as `counts`.
  """
  stimuli, choices = _check(stimuli, choices)
  visits, _ = _visits(stimuli, participants)
  others = counts(stimuli, choices)[stimuli] - counts(visits, choices)[visits]
  modes = _modes(others)
  return modes[np.arange(len(choices)), choices], others.sum(axis=1) > 0


def split_half(
    stimuli: np.ndarray,
    choices: np.ndarray,
    participants: np.ndarray | None = None,
    *,
    rng: np.random.Generator,
    splits: int = 100,
) -> np.ndarray:
  """Agreement of the modal choices of two halves, one number a stimulus.

  The people who saw a stimulus are dealt out to two halves at random, with all
  their answers (one more person to the first where their number is odd). Where
  a half has k most frequent choices it takes one of them at random: the
  agreement is the chance that both take the same.

  Args:
    stimuli: (n,) integers from 0 on.
    choices: (n,) 0, 1 or 2.
    participants: (n,) integers.
    rng: deals out the people.
    splits: number of deals, averaged over.

  Returns:
    (stimuli,) float64, NaN for a stimulus with answers of fewer than two
    people.

  Raises:
    AlignetError: as `counts`, no stimulus that two people saw, no split.
  """
  stimuli, choices = _check(stimuli, choices)
  visits, seen = _visits(stimuli, participants)
  n = np.bincount(seen)
  if n.max() < 2 or splits < 1:
    raise AlignetError(
        "split-half: expected at least one split and a stimulus with answers of"
        f" two people, found {splits} splits and {n.max()} people a stimulus"
    )
  starts = np.cumsum(n) - n
  cells = 3 * stimuli + choices
  total = np.zeros(len(n))
  for _ in progress.bar(range(splits), desc="split-half", unit="split"):
    # Sorted by stimulus and at random within each: the rank tells the half.
    order = np.lexsort((rng.random(len(seen)), seen))
    rank = np.arange(len(seen)) - starts[seen[order]]
    second = np.empty(len(seen), bool)
    second[order] = rank >= (n[seen[order]] + 1) // 2
    tables = [
        np.bincount(cells[half], minlength=3 * len(n)).reshape(-1, 3)
        for half in (~second[visits], second[visits])
    ]
    total += (_modes(tables[0]) * _modes(tables[1])).sum(axis=1)
  return np.where(n >= 2, total / splits, np.nan)


def summary(
    stimuli: np.ndarray,
    choices: np.ndarray,
    participants: np.ndarray | None = None,
    *,
    rng: np.random.Generator,
    splits: int = 100,
) -> Mapping[str, float | int | None]:
  """All three as means, None where nobody answered what another did.

  Args:
    stimuli: (n,) integers from 0 on.
    choices: (n,) 0, 1 or 2.
    participants: (n,) integers.
    rng: of the split-half reliability.
    splits: of the split-half reliability.

  Returns:
    bayes_bound and leave_one_out over answers, split_half over stimuli,
    stimuli (number of them), answers_per_stimulus (mean).
  """
  scores, others = leave_one_out(stimuli, choices, participants)
  shown = np.unique(stimuli)
  return {
      "bayes_bound": float(bayes_bound(stimuli, choices).mean()),
      "leave_one_out": float(scores[others].mean()) if others.any() else None,
      "split_half": (
          float(
              np.nanmean(
                  split_half(
                      stimuli, choices, participants, rng=rng, splits=splits
                  )
              )
          )
          if others.any()
          else None
      ),
      "stimuli": len(shown),
      "answers_per_stimulus": len(stimuli) / len(shown),
  }


def _modes(table: np.ndarray) -> np.ndarray:
  """1/k at each of the k largest of a row, 0 elsewhere."""
  tied = table == table.max(axis=1, keepdims=True)
  return tied / tied.sum(axis=1, keepdims=True)


def _visits(
    stimuli: np.ndarray, participants: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
  """A person before a stimulus: (n,) its number, (visits,) the stimulus."""
  if participants is None:
    return np.arange(len(stimuli)), stimuli
  participants = files.check_array(
      participants, "participants", shape=(len(stimuli),), kinds="iu"
  )
  pairs, visits = np.unique(
      np.stack([stimuli, participants.astype(np.int64)], axis=1),
      axis=0,
      return_inverse=True,
  )
  return visits.reshape(-1), pairs[:, 0]


def _check(stimuli, choices) -> tuple[np.ndarray, np.ndarray]:
  stimuli = files.check_array(stimuli, "stimuli", shape=(None,), kinds="iu")
  choices = files.check_array(
      choices, "choices", shape=(len(stimuli),), kinds="iu"
  )
  if not len(stimuli) or stimuli.min() < 0:
    raise AlignetError(
        "stimuli: expected numbers from 0 on of at least one answer, found"
        f" {len(stimuli)} answers"
    )
  if choices.min() < 0 or choices.max() > 2:
    raise AlignetError(
        "choices: expected the pair judged most similar, 0, 1 or 2, found"
        f" {choices.min()} to {choices.max()}"
    )
  return stimuli.astype(np.int64), choices.astype(np.int64)
