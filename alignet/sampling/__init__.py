"""Triplets of images drawn by a rule over any integer labels.

  plan = alignet.sampling.plan(labels, "class_border")
  triplets = plan.rows(seed=0, start=0, stop=10_000)

Rows are seeded by counter: row r depends on the labels, the strategy and
(seed, r) only, never on how many rows are drawn at a time.
"""

from alignet.sampling.names import NAMES
from alignet.sampling.names import Strategy
from alignet.sampling.names import parse
from alignet.sampling.plans import Plan
from alignet.sampling.plans import plan
from alignet.sampling.plans import sample
from alignet.sampling.rules import Law
from alignet.sampling.rules import Rule
from alignet.sampling.rules import obeys
from alignet.sampling.store import read
from alignet.sampling.store import write

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
