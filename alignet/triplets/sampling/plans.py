"""From labels and a strategy's name to rows of triplets."""

import dataclasses
import functools
import operator
from typing import Any, get_args

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import parallel
from alignet.triplets.sampling import rules
import numpy as np

_ROWS = 65536


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
  """All that rows depend on but the seed.

  Attributes:
    strategy: what the strategy's name stands for.
    law: "groups" or "images"; the rule's own where it has but one.
    images: (m,) int32, numbers of the images that take part, by group.
    groups: (k,) label of each group that takes part, ascending.
    sizes: (k,) images of each.
    dropped: labels of the groups too small for the rule, ascending.
    n_labels: images that labels were given for.
    n_excluded: images left out on request: label -1, or in `exclude`.
    n_dropped: images left out because their group was dropped.
  """

  strategy: rules.Strategy
  law: rules.Law
  images: np.ndarray
  groups: np.ndarray
  sizes: np.ndarray
  dropped: np.ndarray
  n_labels: int
  n_excluded: int
  n_dropped: int

  def rows(
      self, seed: int, start: int, stop: int, *, workers: int | None = None
  ) -> np.ndarray:
    """Rows start to stop of the endless list of triplets of a seed.

    Args:
      seed: from 0 to 2^128 - 1.
      start: first row, from 0.
      stop: row after the last, at most 2^62.
      workers: threads, all available cores if None.

    Returns:
      (stop - start, 3) int32 image numbers, distinct in a row. Under border
      the two of one group come first.

    Raises:
      AlignetError: a seed or a range that cannot be; a rule of one's own drew
        a row that is not a triplet, or that it does not allow.
    """
    seed, start, stop = (operator.index(x) for x in (seed, start, stop))
    if not 0 <= seed < 2**128:
      raise AlignetError(
          f"seed: expected an integer from 0 to 2^128 - 1, found {seed}"
      )
    if not 0 <= start <= stop <= 2**62:
      raise AlignetError(
          "rows: expected 0 <= start <= stop <= 2^62, found"
          f" {start} and {stop}"
      )
    out = np.empty((stop - start, 3), np.int32)

    def fill(first: int) -> None:
      block = out[first : first + _ROWS]
      begin = start + first
      u = rules.uniforms(seed, begin, begin + len(block))
      positions = self.strategy.rule.draw(self._layout, self.law == "groups", u)
      if self.strategy.sha256 or self.strategy.rule.name not in rules.RULES:
        self._check(positions, block.shape)
      block[:] = self.images[positions]

    for _ in parallel.ordered_map(
        fill, range(0, len(out), _ROWS), workers=workers
    ):
      pass
    return out

  @functools.cached_property
  def _layout(self) -> rules.Groups:
    return rules.Groups(sizes=self.sizes.astype(np.int64))

  def _check(self, positions: np.ndarray, shape: tuple[int, ...]) -> None:
    """Fails where a rule of one's own drew what is not its own."""
    name = self.strategy.name
    positions = files.check_array(
        positions, f"what {name} drew", shape=shape, kinds="iu"
    )
    a, b, c = positions.T
    good = (a != b) & (a != c) & (b != c)
    good &= ((0 <= positions) & (positions < len(self.images))).all(axis=1)
    labels = self.groups[self._layout.of[np.where(good[:, None], positions, 0)]]
    good &= self.strategy.rule.obeyed(labels)
    if not good.all():
      row = positions[np.argmin(good)].tolist()
      raise AlignetError(
          f"strategy {name}: expected rows of three images that it allows, it"
          f" drew the positions {row}; mend its draw or its holds"
      )

  def meta(self) -> dict[str, Any]:
    """The plan as JSON: what it used, left out and why."""
    return {
        "strategy": self.strategy.name,
        "rule": self.strategy.rule.name,
        "law": self.law,
        "n_images": self.n_labels,
        "n_images_used": len(self.images),
        "n_images_excluded": self.n_excluded,
        "n_images_dropped": self.n_dropped,
        "n_groups_used": len(self.groups),
        "n_groups_dropped": len(self.dropped),
        "groups_dropped": self.dropped.tolist(),
        "min_images_a_group": self.strategy.rule.min_images,
        **({"rule_sha256": sha256} if (sha256 := self.strategy.sha256) else {}),
    }


def plan(
    labels: np.ndarray,
    strategy: str | rules.Rule,
    *,
    law: rules.Law = "groups",
    exclude: np.ndarray | None = None,
) -> Plan:
  """Prepares rows.

  Groups with fewer images than the rule needs (border 2, within 3) are dropped
  from every role, also from that of border's third image.

  Args:
    labels: (n,) integers, the group of each image; -1 excludes an image.
    strategy: one of `alignet.triplets.sampling.NAMES`, FILE.py:NAME, or a rule.
    law: "groups": groups are uniform, then images in the group; "images":
      images are uniform, so that a group is as likely as it is large among
      what the rule still allows.
    exclude: numbers of images to leave out.

  Returns:
    The plan.

  Raises:
    AlignetError: unknown strategy or law, labels that cannot be, or too few
      groups or images left.
  """
  found = rules.find(strategy)
  rule = found.rule
  errors.check_choice("law", law, get_args(rules.Law))
  labels = _check_labels(labels, found)
  used = labels >= 0
  if exclude is not None:
    used[_check_exclude(exclude, len(labels))] = False
  order = np.argsort(labels, kind="stable")
  order = order[used[order]]
  ids, group, sizes = np.unique(
      labels[order], return_inverse=True, return_counts=True
  )
  large = sizes >= rule.min_images
  images = order[large[group]]
  if large.sum() < rule.min_groups or len(images) < 3:
    raise AlignetError(
        f"strategy {found.name} needs at least {rule.min_groups} group(s) of"
        f" {rule.min_images} image(s) or more, and 3 images; found"
        f" {large.sum()} such group(s) among {used.sum()} images, and"
        f" {(~large).sum()} smaller one(s)"
    )
  return Plan(
      strategy=found,
      law=rule.law or law,
      images=images.astype(np.int32),
      groups=ids[large],
      sizes=sizes[large],
      dropped=ids[~large],
      n_labels=len(labels),
      n_excluded=len(labels) - len(order),
      n_dropped=len(order) - len(images),
  )


def sample(
    labels: np.ndarray,
    strategy: str | rules.Rule,
    n: int,
    *,
    seed: int,
    start: int = 0,
    law: rules.Law = "groups",
    exclude: np.ndarray | None = None,
) -> np.ndarray:
  """Draws n triplets: rows start to start + n of a seed.

  See `plan` for the arguments and errors, and `Plan.rows` for the result.

  Example:
    >>> labels = [0, 0, 0, 1, 1, 1]
    >>> sample(labels, "class_border", 2, seed=0).shape
    (2, 3)
  """
  prepared = plan(labels, strategy, law=law, exclude=exclude)
  return prepared.rows(seed, start, start + n)


def _check_labels(labels: np.ndarray, strategy: rules.Strategy) -> np.ndarray:
  labels = files.check_array(labels, "labels", shape=(None,), kinds="iu")
  if len(labels) > np.iinfo(np.int32).max:
    raise AlignetError(f"labels: {len(labels)} images do not fit int32 numbers")
  labels = labels.astype(np.int64)
  lowest, highest = (labels.min(), labels.max()) if len(labels) else (0, 0)
  if lowest < -1:
    raise AlignetError(
        "labels: expected group numbers from 0 on, or -1 for an image left"
        f" out, found {lowest}"
    )
  if strategy.clusters is not None and highest >= strategy.clusters:
    raise AlignetError(
        f"labels: strategy {strategy.name} promises {strategy.clusters}"
        f" clusters, found cluster {highest}; choose the strategy or the"
        " clusters that fit"
    )
  return labels


def _check_exclude(exclude: np.ndarray, n: int) -> np.ndarray:
  exclude = np.asarray(exclude)
  if not exclude.size:
    return np.zeros(0, np.int64)
  files.check_array(exclude, "exclude", shape=(None,), kinds="iu")
  outside = exclude[(exclude < 0) | (exclude >= n)]
  if outside.size:
    raise AlignetError(
        f"exclude: expected image numbers from 0 to {n - 1}, found {outside[0]}"
    )
  return exclude
