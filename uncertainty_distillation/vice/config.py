"""How a VICE embedding is fitted: one frozen dataclass."""

import dataclasses

from alignet import errors
from alignet.errors import AlignetError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """How a VICE embedding is fitted; hashable, one compilation each.

  Model, prior and pruning are the paper's, with its defaults. Three things
  about the optimisation are ours, to find the number of dimensions in thousands
  of steps. Two dimensions that share one meaning merge slowly, or never: so the
  divergence from the prior weighs more at first, and dimensions come one by
  one while its weight falls to 1 (of 300 simulated objects with 6 dimensions 8
  were found without that, 6 with it; `anneal_from=1` leaves it out). The
  learning rate is high, which helps them to merge, and falls to zero at the
  end, which takes its noise out of the result.

  Attributes:
    width: dimensions at the start; more than will be kept.
    spike_weight: pi, the weight of the prior's spike, 0 to 1.
    spike: standard deviation of the spike.
    slab: standard deviation of the slab.
    learning_rate: of Adam, constant until the final decay.
    batch: triplets a step, drawn with replacement.
    anneal_from: weight of the divergence from the prior in the first step; it
      falls to 1 geometrically.
    anneal: steps until that weight is 1.
    steps: most steps before the final decay; a multiple of `check`, at least
      `anneal`.
    check: steps between two counts of the dimensions that would be kept.
    window: the final decay begins when the number has been the same for so
      many checks after the first one, all of them after `anneal`. All
      dimensions or none do not count as a stable number.
    decay: steps in which the learning rate falls to zero, linearly; a multiple
      of `check`.
    alpha: false discovery rate of the test that an object has a weight.
    min_objects: a dimension is kept if more objects than this have a weight.
    validation: fraction of the judgments, drawn at random, that is left out
      and scored; 0 for none.
    samples: Monte-Carlo samples of that score.
    seed: of everything random.
  """

  width: int = 100
  spike_weight: float = 0.5
  spike: float = 0.25
  slab: float = 1.0
  learning_rate: float = 0.03
  batch: int = 4096
  anneal_from: float = 10.0
  anneal: int = 3000
  steps: int = 20_000
  check: int = 250
  window: int = 4
  decay: int = 1000
  alpha: float = 0.05
  min_objects: int = 5
  validation: float = 0.1
  samples: int = 50
  seed: int = 0

  def __post_init__(self):
    for least, names in (
        (1, ("width", "batch", "check", "window", "samples")),
        (0, ("anneal", "min_objects", "seed")),
    ):
      errors.check_least(least, **{n: getattr(self, n) for n in names})
    for name in ("spike", "slab", "learning_rate", "anneal_from"):
      if not 0 < getattr(self, name) < float("inf"):
        _fail(name, "a positive number", getattr(self, name))
    if not 0 <= self.spike_weight <= 1:
      _fail("spike_weight", "0 to 1", self.spike_weight)
    if not 0 < self.alpha < 1:
      _fail("alpha", "a number between 0 and 1", self.alpha)
    if not 0 <= self.validation < 1:
      _fail("validation", "at least 0 and less than 1", self.validation)
    for name, least in (("steps", 1), ("decay", 0)):
      value = getattr(self, name)
      if value < least or value % self.check:
        _fail(name, f"a multiple of {self.check} (check)", value)
    if self.steps < self.anneal and self.anneal_from != 1:
      _fail("steps", f"at least {self.anneal} (anneal)", self.steps)


def _fail(name: str, expected: str, found: float) -> None:
  raise AlignetError(f"{name}: expected {expected}, found {found}")
