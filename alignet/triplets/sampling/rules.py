"""How the three images of a row share groups.

  random   three images, whatever their groups
  between  three images of three groups
  border   two images of one group, then one of another
  within   three images of one group

`alignet.triplets.sampling.kernel` draws such rows.
"""

from typing import Literal, get_args

from alignet.errors import AlignetError
import numpy as np

Rule = Literal["random", "between", "border", "within"]

Law = Literal["groups", "images"]
"""What is uniform: groups, then images in the group; or images, so that a
group is as likely as it is large among what the rule still allows."""

MIN_IMAGES: dict[Rule, int] = {
    "random": 1,
    "between": 1,
    "border": 2,
    "within": 3,
}
"""Images that a group needs to take part in a row, in any role."""

MIN_GROUPS: dict[Rule, int] = {
    "random": 1,
    "between": 3,
    "border": 2,
    "within": 1,
}
"""Groups that a rule needs."""


def obeys(rule: Rule, labels: np.ndarray) -> np.ndarray:
  """Whether rows of three labels fit a rule, in whatever order they stand.

  Args:
    rule: one of the four.
    labels: (n, 3) integers; a negative one, of an excluded image, fits none.

  Returns:
    (n,) bool.

  Raises:
    AlignetError: no such rule.
  """
  if rule not in get_args(Rule):
    raise AlignetError(
        f"rule: expected one of {', '.join(get_args(Rule))}, found {rule!r}"
    )
  i, j, k = np.asarray(labels).T
  equal = (i == j).astype(int) + (i == k) + (j == k)
  included = (i >= 0) & (j >= 0) & (k >= 0)
  if rule == "random":
    return included
  return included & (equal == {"between": 0, "border": 1, "within": 3}[rule])
