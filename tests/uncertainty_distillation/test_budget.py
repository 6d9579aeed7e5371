"""The judgment budget: more data, better teachers; what cannot be asked."""

from alignet.errors import AlignetError
from alignet.testing import teacher
import numpy as np
import pytest
from uncertainty_distillation import budget
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import judgments as judgments_lib

_FAST = config_lib.Config(steps=0, inner_folds=0)


@pytest.fixture(scope="module")
def world():
  x, concepts, embedding = teacher.linear_world(60, 2, seed=2)
  return x, concepts, judgments_lib.from_embedding(embedding)


def test_more_is_better(world):
  points = budget.curve(
      *(*world, _FAST),
      n_concepts=(12, 48),
      n_choices=(100, 10_000),
      seeds=(0, 1),
  )
  # Twelve concepts have 220 triplets only.
  assert [(p.concepts, p.choices, p.seed) for p in points] == [
      *((12, 100, 0), (48, 100, 0), (48, 10_000, 0)),
      *((12, 100, 1), (48, 100, 1), (48, 10_000, 1)),
  ]
  mean = lambda k, m: np.mean(
      [p.agreement for p in points if (p.concepts, p.choices) == (k, m)]
  )
  assert mean(48, 10_000) > mean(48, 100) + 0.03
  assert mean(48, 10_000) > mean(12, 100) + 0.1
  again = budget.curve(
      *(*world, _FAST), n_concepts=(48,), n_choices=(100,), seeds=(1,)
  )
  assert again[0] == points[4]


@pytest.mark.parametrize(
    "numbers, message",
    [
        (dict(n_concepts=(49,), n_choices=(10,)), "at most 48 .* found 49"),
        (dict(n_concepts=(), n_choices=(10,)), "expected numbers"),
    ],
)
def test_what_cannot_be_asked(world, numbers, message):
  with pytest.raises(AlignetError, match=message):
    budget.curve(*world, _FAST, **numbers)
