"""Triplets of images drawn by a rule over any integer labels.

  plan = alignet.triplets.sampling.plan(labels, "class_border")
  triplets = plan.rows(seed=0, start=0, stop=10_000)

Rows are seeded by counter: row r depends on the labels, the strategy and
(seed, r) only, never on how many rows are drawn at a time.
"""

from alignet.triplets.sampling.plans import Plan
from alignet.triplets.sampling.plans import plan
from alignet.triplets.sampling.plans import sample
from alignet.triplets.sampling.rules import NAMES
from alignet.triplets.sampling.rules import RULES
from alignet.triplets.sampling.rules import Groups
from alignet.triplets.sampling.rules import Law
from alignet.triplets.sampling.rules import Rule
from alignet.triplets.sampling.rules import Strategy
from alignet.triplets.sampling.rules import different
from alignet.triplets.sampling.rules import find
from alignet.triplets.sampling.rules import integers
from alignet.triplets.sampling.rules import own_files
from alignet.triplets.sampling.rules import parse
from alignet.triplets.sampling.rules import skip
from alignet.triplets.sampling.rules import uniforms
from alignet.triplets.sampling.store import read
from alignet.triplets.sampling.store import write

__all__ = [
    "Groups",
    "Law",
    "NAMES",
    "Plan",
    "RULES",
    "Rule",
    "Strategy",
    "different",
    "find",
    "integers",
    "own_files",
    "parse",
    "plan",
    "read",
    "sample",
    "skip",
    "uniforms",
    "write",
]
