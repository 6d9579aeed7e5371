"""Triplets of images drawn by a rule over any integer labels.

  plan = alignet.triplets.sampling.plan(labels, "class_border")
  triplets = plan.rows(seed=0, start=0, stop=10_000)

Rows are seeded by counter: row r depends on the labels, the strategy and
(seed, r) only, never on how many rows are drawn at a time.
"""

from alignet.triplets.sampling.names import NAMES
from alignet.triplets.sampling.names import Strategy
from alignet.triplets.sampling.names import parse
from alignet.triplets.sampling.plans import Plan
from alignet.triplets.sampling.plans import plan
from alignet.triplets.sampling.plans import sample
from alignet.triplets.sampling.rules import Law
from alignet.triplets.sampling.rules import Rule
from alignet.triplets.sampling.rules import obeys
from alignet.triplets.sampling.store import read
from alignet.triplets.sampling.store import write

__all__ = [
    "Law",
    "NAMES",
    "Plan",
    "Rule",
    "Strategy",
    "obeys",
    "parse",
    "plan",
    "read",
    "sample",
    "write",
]
