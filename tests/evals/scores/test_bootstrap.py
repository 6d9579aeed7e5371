"""Bootstrap over concepts: against explicit resamples, and its coverage."""

import itertools

from alignet.errors import AlignetError
from alignet.evals.scores import bootstrap
from alignet.evals.scores.choices import choice_scores
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest


@pytest.fixture(name="case")
def _case():
  """Rows with three, two and one distinct concepts, numbers with gaps."""
  rng = np.random.default_rng(0)
  concepts = rng.choice([3, 8, 11, 40, 41, 1000], size=(80, 3))
  return rng.random(80), concepts


def _explicit(values, concepts, seed, resamples):
  """Means over the triplets that each resample holds, one by one."""
  rng = np.random.default_rng(seed)
  names = sorted(set(concepts.ravel().tolist()))
  out = []
  for _ in range(resamples):
    drawn = [names[i] for i in rng.integers(len(names), size=len(names))]
    taken = []
    for value, row in zip(values, concepts.tolist()):
      copies = [[d for d in drawn if d == c] for c in sorted(set(row))]
      taken += [value] * len(list(itertools.product(*copies)))
    out.append(np.mean(taken) if taken else np.nan)
  return np.array(out)


def test_equals_explicit_resamples(case):
  values, concepts = case
  expected = _explicit(values, concepts, seed=5, resamples=100)
  found = bootstrap.interval(
      values, concepts, rng=np.random.default_rng(5), resamples=100
  )
  assert found.mean == pytest.approx(values.mean())
  assert found.se == pytest.approx(np.std(expected, ddof=1))
  low, high = np.quantile(expected, [0.025, 0.975])
  assert (found.low, found.high) == pytest.approx((low, high))
  assert (found.resamples, found.skipped) == (100, 0)


def test_empty_resamples_are_skipped_and_counted():
  values = np.array([0.0, 1.0])
  concepts = np.array([[0, 1, 2], [3, 1, 2]])
  expected = _explicit(values, concepts, seed=0, resamples=300)
  found = bootstrap.interval(
      values, concepts, rng=np.random.default_rng(0), resamples=300
  )
  assert found.skipped == np.isnan(expected).sum() > 0
  assert found.resamples + found.skipped == 300
  assert found.se == pytest.approx(np.nanstd(expected, ddof=1))


def test_order_of_rows_and_columns_and_names_do_not_matter(case):
  values, concepts = case
  rng = np.random.default_rng(1)
  order = rng.permutation(len(values))
  moved = rng.permuted(concepts[order], axis=1) * 2 + 5
  a = bootstrap.interval(values, concepts, rng=np.random.default_rng(2))
  b = bootstrap.interval(values[order], moved, rng=np.random.default_rng(2))
  assert (b.se, b.low, b.high) == pytest.approx((a.se, a.low, a.high))


def test_paired_difference_uses_the_same_resamples(case):
  values, concepts = case
  other = values - 0.25
  found = bootstrap.paired_difference(
      values, other, concepts, rng=np.random.default_rng(0)
  )
  # A constant difference has no uncertainty, however uncertain each mean.
  assert (found.mean, found.low, found.high) == pytest.approx((0.25,) * 3)
  assert found.se == pytest.approx(0, abs=1e-12)
  single = bootstrap.interval(values, concepts, rng=np.random.default_rng(0))
  assert single.se > 0.01
  negative = bootstrap.paired_difference(
      other, values**2, concepts, rng=np.random.default_rng(0)
  )
  reverse = bootstrap.paired_difference(
      values**2, other, concepts, rng=np.random.default_rng(0)
  )
  assert (negative.low, negative.high) == pytest.approx(
      (-reverse.high, -reverse.low)
  )


def test_coverage_of_the_population_mean():
  """Concepts differ in how hard they are; others could have been drawn."""
  rng = np.random.default_rng(0)
  triples = np.array(list(itertools.combinations(range(40), 3)))
  covered, errors, ses = [], [], []
  for _ in range(120):
    ease = rng.normal(scale=0.2, size=40)
    p = np.clip(0.6 + ease[triples].mean(axis=1), 0, 1)
    values = (rng.random(len(triples)) < p).astype(float)
    found = bootstrap.interval(values, triples, rng=rng, resamples=200)
    covered.append(found.low <= 0.6 <= found.high)
    errors.append(found.mean - 0.6)
    ses.append(found.se)
  assert 0.88 <= np.mean(covered) <= 0.99
  assert np.mean(ses) == pytest.approx(np.std(errors), rel=0.25)
  # Taking triplets for independent would promise far too much.
  assert np.mean(ses) > 5 * np.sqrt(0.6 * 0.4 / len(triples))


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_noise_of_single_triplets_is_overstated_as_documented(distinct):
  rng = np.random.default_rng(0)
  rows = np.stack([rng.permutation(200)[:3] for _ in range(4000)])
  rows[:, distinct:] = rows[:, :1]
  values = rng.normal(size=4000)
  found = bootstrap.interval(values, rows, rng=rng)
  variance = found.se**2 * 4000
  assert variance == pytest.approx(2**distinct - 1, rel=0.25)


def test_bad_input(case):
  values, concepts = case
  rng = np.random.default_rng(0)
  with pytest.raises(AlignetError, match="80 rows and 79 values"):
    bootstrap.interval(values[1:], concepts, rng=rng)
  with pytest.raises(AlignetError, match="row 0 holds a NaN"):
    bootstrap.interval(values * np.nan, concepts, rng=rng)
  with pytest.raises(AlignetError, match="resamples: expected at least 2"):
    bootstrap.interval(values, concepts, rng=rng, resamples=1)
  with pytest.raises(AlignetError, match="integers"):
    bootstrap.interval(values, concepts / 2, rng=rng)
  with pytest.raises(AlignetError, match="same triplets"):
    bootstrap.paired_difference(values, values[1:], concepts, rng=rng)


def test_participants_are_drawn_too(case):
  values, concepts = case
  rng = np.random.default_rng(1)
  people = rng.integers(0, 5, len(values)) * 3
  found = bootstrap.interval(
      values,
      concepts,
      rng=np.random.default_rng(5),
      participants=people,
      resamples=50,
  )
  rng = np.random.default_rng(5)
  names = sorted(set(concepts.ravel().tolist()))
  persons = sorted(set(people.tolist()))
  means = []
  for _ in range(50):
    drawn = [names[i] for i in rng.integers(len(names), size=len(names))]
    who = [persons[i] for i in rng.integers(len(persons), size=len(persons))]
    weights = [
        who.count(person) * np.prod([drawn.count(c) for c in set(row)])
        for person, row in zip(people.tolist(), concepts.tolist())
    ]
    means.append(np.average(values, weights=weights))
  assert found.se == pytest.approx(np.std(means, ddof=1), rel=1e-10)
  assert (found.low, found.high) == pytest.approx(
      np.quantile(means, [0.025, 0.975]), rel=1e-10
  )


def test_several_scores_share_their_resamples(case):
  values, concepts = case
  other = values**2
  both = bootstrap.intervals(
      np.stack([values, other, values - other], axis=1),
      concepts,
      rng=np.random.default_rng(5),
      resamples=50,
  )
  for found, column in zip(both, (values, other, values - other)):
    wanted = bootstrap.interval(
        column, concepts, rng=np.random.default_rng(5), resamples=50
    )
    assert found.low == pytest.approx(wanted.low, rel=1e-12)
    assert found.se == pytest.approx(wanted.se, rel=1e-12)
    assert found.mean == wanted.mean


def test_people_who_differ_widen_the_interval():
  rng = np.random.default_rng(0)
  people = np.repeat(np.arange(10), 200)
  concepts = np.stack([rng.permutation(200)[:3] for _ in people])
  values = rng.random(10)[people] + 0.01 * rng.random(len(people))
  narrow, wide = (
      bootstrap.interval(
          values,
          concepts,
          rng=np.random.default_rng(0),
          resamples=200,
          participants=who,
      )
      for who in (None, people)
  )
  spread = np.std([values[people == p].mean() for p in range(10)], ddof=1)
  assert narrow.se < wide.se / 2
  assert wide.se == pytest.approx(spread / np.sqrt(10), rel=0.25)


def test_participants_of_another_length(case):
  values, concepts = case
  with pytest.raises(AlignetError, match="participants: expected shape"):
    bootstrap.interval(
        values,
        concepts,
        rng=np.random.default_rng(0),
        participants=np.zeros(3, int),
    )


@pytest.mark.parametrize("n", range(1, 12))
def test_few_judgments_have_no_interval(n):
  draws = np.random.default_rng(0).normal(size=100)
  found = bootstrap.score(0.1, draws, n=n)
  student = bootstrap.student_score(0.1, 0.2, n, n=n)
  for score in (found, student):
    assert ("low" in score) == (n >= 8) and ("no_interval" in score) == (n < 8)
  rows = choice_scores.of_choices(
      np.random.default_rng(n).normal(size=(n + 1, 3)),
      rng=np.random.default_rng(0),
  )
  objects = np.arange(3 * n + 3).reshape(-1, 3)
  of_choices = choice_scores.summarise(rows, objects, seed=0, resamples=50)
  assert ("low" in of_choices["accuracy"]) == (n + 1 >= 8)


@settings(deadline=None)
@given(
    mean=st.floats(-2, 2),
    draws=hnp.arrays(np.float64, st.integers(2, 20), elements=st.floats(-2, 2)),
)
def test_an_interval_contains_its_estimate_or_is_left_out(mean, draws):
  found = bootstrap.score(mean, draws)
  if "low" in found:
    assert found["low"] <= found["mean"] <= found["high"]
  else:
    assert "biased" in found["no_interval"]
