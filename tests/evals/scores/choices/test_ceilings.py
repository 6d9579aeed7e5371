"""Noise ceilings of choices against loops, by hand, and as bounds."""

from alignet.errors import AlignetError
from alignet.evals.scores.choices import ceilings
import numpy as np
import pytest


@pytest.fixture(name="answers")
def _answers():
  rng = np.random.default_rng(0)
  stimuli = rng.integers(0, 30, 150)
  return stimuli, rng.choice(3, 150, p=[0.6, 0.3, 0.1])


def test_by_hand():
  stimuli = np.array([0, 0, 0, 0, 1, 1, 2])
  choices = np.array([0, 0, 0, 1, 2, 1, 1])
  np.testing.assert_array_equal(
      ceilings.counts(stimuli, choices), [[3, 1, 0], [0, 1, 1], [0, 1, 0]]
  )
  np.testing.assert_allclose(
      ceilings.bayes_bound(stimuli, choices), [0.75] * 4 + [0.5] * 2 + [1]
  )
  scores, others = ceilings.leave_one_out(stimuli, choices)
  np.testing.assert_allclose(scores, [1, 1, 1, 0, 0, 0, 1 / 3])
  np.testing.assert_array_equal(others, [True] * 6 + [False])
  halves = ceilings.split_half(
      stimuli, choices, rng=np.random.default_rng(0), splits=4000
  )
  # Stimulus 0: one half holds {0, 1}, its mode tied, the other {0, 0}.
  assert halves[0] == 0.5 and halves[1] == 0 and np.isnan(halves[2])


def test_a_second_answer_is_no_other_persons():
  """Two people who disagree, each of whom answers the same twice."""
  stimuli, people = np.zeros(4, int), np.array([7, 3, 7, 3])
  choices = np.array([0, 1, 0, 1])
  scores, others = ceilings.leave_one_out(stimuli, choices, people)
  assert scores.tolist() == [0] * 4 and others.all()
  halves = ceilings.split_half(
      stimuli, choices, people, rng=np.random.default_rng(0)
  )
  assert halves.tolist() == [0]
  # One person's two answers are nobody else's.
  alone = ceilings.summary(
      stimuli[:2], choices[:2], people[[0, 0]], rng=np.random.default_rng(0)
  )
  assert alone["leave_one_out"] is alone["split_half"] is None


def test_people_by_a_loop(answers):
  stimuli, choices = answers
  people = np.random.default_rng(2).integers(0, 6, len(stimuli))
  scores, others = ceilings.leave_one_out(stimuli, choices, people)
  for i in range(len(stimuli)):
    rest = choices[(stimuli == stimuli[i]) & (people != people[i])]
    assert others[i] == bool(len(rest))
    if len(rest):
      n = np.bincount(rest, minlength=3)
      modes = np.flatnonzero(n == n.max())
      assert scores[i] == pytest.approx((choices[i] in modes) / len(modes))
  # Where nobody answers twice, people do not matter.
  apart = np.random.default_rng(3).permutation(len(stimuli))
  for a, b in zip(
      ceilings.leave_one_out(stimuli, choices, apart),
      ceilings.leave_one_out(stimuli, choices),
  ):
    np.testing.assert_array_equal(a, b)
  found = ceilings.split_half(
      *(stimuli, choices, people), rng=np.random.default_rng(0), splits=2
  )
  asked = [len(set(people[stimuli == s].tolist())) for s in range(30)]
  np.testing.assert_array_equal(np.isnan(found), np.array(asked) < 2)


def test_split_half_deals_people():
  # Person 0 says 0 twice, persons 1 and 2 say 1 and 0.
  found = ceilings.split_half(
      np.zeros(4, int),
      np.array([0, 0, 1, 0]),
      np.array([0, 0, 1, 2]),
      rng=np.random.default_rng(0),
      splits=20_000,
  )
  # {0, 1} | {2}: mode 0 of (0, 0, 1), 1; {0, 2} | {1}: 0; {1, 2} | {0}: 1/2.
  assert found[0] == pytest.approx(1 / 2, abs=0.01)


def test_leave_one_out_by_a_loop(answers):
  stimuli, choices = answers
  scores, others = ceilings.leave_one_out(stimuli, choices)
  for i in range(len(stimuli)):
    rest = np.delete(choices, i)[np.delete(stimuli, i) == stimuli[i]]
    assert others[i] == bool(len(rest))
    if len(rest):
      n = np.bincount(rest, minlength=3)
      modes = np.flatnonzero(n == n.max())
      assert scores[i] == pytest.approx((choices[i] in modes) / len(modes))


def test_no_model_passes_the_bayes_bound(answers):
  stimuli, choices = answers
  best = ceilings.counts(stimuli, choices).argmax(axis=1)[stimuli]
  bound = ceilings.bayes_bound(stimuli, choices).mean()
  assert (choices == best).mean() == pytest.approx(bound, abs=1e-12)
  scores, others = ceilings.leave_one_out(stimuli, choices)
  assert scores[others].mean() < bound
  rng = np.random.default_rng(1)
  for _ in range(50):
    assert (choices == rng.integers(0, 3, 30)[stimuli]).mean() <= bound


def test_split_half_by_enumeration():
  # Three answers {0, 0, 1}: the first half holds two of them.
  found = ceilings.split_half(
      np.zeros(3, int),
      np.array([0, 0, 1]),
      rng=np.random.default_rng(0),
      splits=20_000,
  )
  # {0, 0} | {1}: 0; {0, 1} | {0}: 1/2, twice as likely.
  assert found[0] == pytest.approx(1 / 3, abs=0.01)


def test_summary(answers):
  stimuli, choices = answers
  found = ceilings.summary(
      stimuli, choices, rng=np.random.default_rng(0), splits=5
  )
  assert found["stimuli"] == len(set(stimuli.tolist()))
  alone = ceilings.summary(
      np.arange(4), np.zeros(4, int), rng=np.random.default_rng(0)
  )
  assert alone["leave_one_out"] is alone["split_half"] is None
  assert alone["bayes_bound"] == 1


@pytest.mark.parametrize(
    "stimuli, choices, message",
    [
        ([0, 1], [0, 3], "0, 1 or 2, found 0 to 3"),
        ([-1, 0], [0, 0], "from 0 on"),
        ([], [], "found 0 answers"),
        ([0], [0, 1], "expected shape"),
    ],
)
def test_refused(stimuli, choices, message):
  with pytest.raises(AlignetError, match=message):
    ceilings.counts(np.array(stimuli, int), np.array(choices, int))
