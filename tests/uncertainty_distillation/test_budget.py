"""The judgment budget: more data, better teachers; what cannot be asked."""

from alignet.data import linear_world
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human import readers
import numpy as np
import pytest
from uncertainty_distillation import budget
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import fit
from uncertainty_distillation import inputs

_FAST = config_lib.Config(steps=0, inner_folds=0)


@pytest.fixture(scope="module")
def world():
  x, concepts, embedding = linear_world.make(60, 2, seed=2)
  return {"features": x, "concepts": concepts, "embedding": embedding}


def test_more_is_better(world):
  data = inputs.make(**world)
  points, missing = budget.curve(
      *(data, _FAST),
      n_concepts=(12, 48),
      n_choices=(100, 10_000),
      seeds=(0, 1),
  )
  # Twelve concepts have 220 triplets: each is asked again and again.
  grid = [(k, m, s) for s in (0, 1) for k in (12, 48) for m in (100, 10_000)]
  assert [(p.concepts, p.choices, p.seed) for p in points] == grid
  assert not missing
  mean = lambda k, m: np.mean(
      [p.agreement for p in points if (p.concepts, p.choices) == (k, m)]
  )
  assert mean(48, 10_000) > mean(48, 100) + 0.03
  assert mean(48, 10_000) > mean(12, 10_000) + 0.03
  assert mean(48, 10_000) > mean(12, 100) + 0.1
  again, _ = budget.curve(
      *(data, _FAST), n_concepts=(48,), n_choices=(100,), seeds=(1,)
  )
  assert again[0] == points[6]


def test_choices_are_about_the_subset(world, monkeypatch):
  """However few of the triplets of all concepts lie within it."""
  seen = []
  monkeypatch.setattr(
      fit, "fit", lambda x, c, own, config: seen.append((c, own)) or 1 / 0
  )
  posterior = readers.Posterior(
      mu=world["embedding"], sigma=np.full_like(world["embedding"], 0.1)
  )
  few = {k: v for k, v in world.items() if k != "embedding"}
  for data in (
      inputs.make(**world, max_triplets=30),
      inputs.make(**few, posterior=posterior, max_triplets=30, samples=2),
  ):
    with pytest.raises(ZeroDivisionError):
      budget.curve(data, _FAST, n_concepts=(12,), n_choices=(300,))
    concepts, own = seen.pop()
    assert len(own) == 300 and (own.probabilities == [1, 0, 0]).all()
    assert set(np.unique(own.triplets)) == set(concepts)
    assert len(np.unique(np.sort(own.triplets, axis=1), axis=0)) < 220


def test_given_choices_count_once_and_what_lacks_is_said(world):
  soft = judgments_lib.from_embedding(world["embedding"])
  choices = judgments_lib.sample_choices(soft, seed=0)
  given = {k: v for k, v in world.items() if k != "embedding"}
  numbers = dict(n_concepts=(12,), n_choices=(1, 200, 221))
  hard = inputs.make(**given, triplets=choices.triplets)
  points, missing = budget.curve(hard, _FAST, **numbers)
  assert [p.choices for p in points] == [200]
  assert {p.choices: p.reason for p in missing}[221] == "there are 220 choices"
  assert [p.choices for p in missing] == [1, 221]
  probable = inputs.make(
      **given, triplets=soft.triplets, probabilities=soft.probabilities
  )
  points, missing = budget.curve(probable, _FAST, **numbers)
  assert [p.choices for p in points] == [200, 221]
  with pytest.raises(AlignetError, match="first 12 concepts and 1 choices: ex"):
    budget.curve(hard, _FAST, n_concepts=(12,), n_choices=(1,))


def test_concepts_without_a_choice_among_them_are_listed(world):
  soft = judgments_lib.from_embedding(world["embedding"])
  choices = judgments_lib.sample_choices(soft, seed=0)
  given = {k: v for k, v in world.items() if k != "embedding"}
  few = np.random.default_rng(0).permutation(len(choices))[:600]
  hard = inputs.make(**given, triplets=choices.triplets[few])
  points, missing = budget.curve(
      hard, _FAST, n_concepts=(3, 40), n_choices=(50, 100)
  )
  assert [(p.concepts, p.choices) for p in points] == [(40, 50), (40, 100)]
  assert [(p.concepts, p.choices, p.reason) for p in missing] == [
      (3, m, "there are 0 choices") for m in (50, 100)
  ]


@pytest.mark.parametrize(
    "numbers, message",
    [
        (dict(n_concepts=(49,), n_choices=(10,)), "at most 48 .* found 49"),
        (dict(n_concepts=(), n_choices=(10,)), "expected numbers"),
    ],
)
def test_what_cannot_be_asked(world, numbers, message):
  with pytest.raises(AlignetError, match=message):
    budget.curve(inputs.make(**world), _FAST, **numbers)
