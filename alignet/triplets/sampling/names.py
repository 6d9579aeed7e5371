"""The paper's names of sampling strategies and what they mean here."""

import dataclasses
import re
from typing import Literal

from alignet.errors import AlignetError
from alignet.triplets.sampling.rules import Rule

Labels = Literal["any", "class", "cluster"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy:
  """What a strategy's name stands for.

  Attributes:
    name: the name as it was given.
    rule: how the three images of a row share groups.
    labels: which labels make the groups: classes of the dataset, k-means
      clusters, or whatever labels are given.
    clusters: number of clusters that the name promises, None where it promises
      none.
  """

  name: str
  rule: Rule
  labels: Labels
  clusters: int | None = None


NAMES: dict[str, tuple[Rule, Labels]] = {
    "between_class": ("between", "class"),
    "class_border": ("border", "class"),
    "within_class": ("within", "class"),
    "cluster_border_k": ("border", "cluster"),
    "random": ("random", "any"),
    "between": ("between", "any"),
    "border": ("border", "any"),
    "within": ("within", "any"),
}
"""Name to rule and labels (Muttenthaler et al. 2025, and the AligNet release).

The paper's main set is cluster_border_500; k is any number of clusters. The
last three are the bare rules, for labels that are neither classes nor clusters.
"""


def parse(name: str) -> Strategy:
  """Looks up a strategy by name, such as "class_border".

  Raises:
    AlignetError: no such strategy; the message lists those there are.
  """
  clusters = re.fullmatch(r"cluster_border_([1-9][0-9]*)", name)
  key = "cluster_border_k" if clusters else name
  if key not in NAMES or key == "cluster_border_k" and not clusters:
    raise AlignetError(
        f"unknown sampling strategy {name!r}; expected one of"
        f" {', '.join(NAMES)} (k a number, as in cluster_border_500)"
    )
  rule, labels = NAMES[key]
  return Strategy(
      name=name,
      rule=rule,
      labels=labels,
      clusters=int(clusters[1]) if clusters else None,
  )
