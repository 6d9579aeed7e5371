"""Which images' representations a training changes, by class."""

from collections.abc import Mapping
import functools
from typing import Any

from alignet.data import images as images_lib
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals import in_training
from alignet.training import optim
from alignet.triplets import similarity
import numpy as np


def change(
    before: np.ndarray, now: np.ndarray, labels: Mapping[str, Labels]
) -> dict[str, float]:
  """Mean cosine distance between an image's two representations, by class.

  Args:
    before: (n, d) representations.
    now: (n, d) of the same images.
    labels: level to the images' labels.

  Returns:
    {"all": …, "{level}/{class}": …}, from 0, the same direction, to 2, the
    opposite; classes without images are left out.

  Raises:
    AlignetError: different shapes.
  """
  if before.shape != now.shape or before.ndim != 2:
    raise AlignetError(
        f"change: expected (n, d) twice, found {before.shape} and {now.shape}"
    )
  a, b = (similarity.normalise(x.astype(np.float64)) for x in (before, now))
  distances = 1 - np.sum(a * b, axis=1)
  out = {"all": float(distances.mean())}
  for level, of_level in labels.items():
    for number in np.unique(of_level.ids[of_level.ids != UNLABELLED]):
      inside = of_level.ids == number
      name = f"{level}/{of_level.names[number]}"
      out[name] = float(distances[inside].mean())
  return out


class ChangeEvaluator(in_training.OnImages):
  """How far representations are from the initial ones; see `change`.

  The initial weights are those that `alignet.training.optim.decay_to_init`
  keeps, so that a resumed run compares with the same start; modules that it
  excludes, such as the head, are taken as they are now.

  Attributes:
    images: image store with labels.
    levels: of its labels; a level of many classes writes as many scalars.
  """

  images: str
  levels: tuple[str, ...] = ("superordinate",)

  @functools.cached_property
  def _stores(self):
    store = images_lib.open_store(self.images)
    if missing := [x for x in self.levels if x not in store.labels]:
      raise AlignetError(
          f"{self.images} has no labels of level {', '.join(missing)}; found"
          f" {', '.join(store.labels) or 'none'}"
      )
    return {"model": store}

  def evaluate(self, state: Any, step: int) -> None:
    """Writes `synthetic/change/{all, level/class}` and returns nothing."""
    store = self._stores["model"]
    initial = optim.initial(state.opt_state)
    if initial is None:
      raise AlignetError(
          "ChangeEvaluator needs the initial weights, which the optimizer keeps"
          " only with alignet.training.optim.decay_to_init; add it, with"
          " total=0 for no pull, or drop the evaluator"
      )
    start = state.params | {
        name: initial[name] for name in initial if _has_leaves(initial[name])
    }
    found = change(
        self._features(state.replace(params=start), store.images),
        self._features(state, store.images),
        {level: store.labels[level] for level in self.levels},
    )
    self.writer.write_scalars(
        step=step,
        scalars={f"synthetic/change/{k}": v for k, v in found.items()},
    )


def _has_leaves(module: Any) -> bool:
  """Whether a module has weights here; an excluded one has none."""
  return isinstance(module, Mapping) and bool(module)
