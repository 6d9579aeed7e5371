"""How far representations agree with observers on sets of trials."""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

from alignet.data import images as images_lib
from alignet.evals import in_training
from alignet.evals.scores.choices import odd_one_out
from alignet.human import trials as trials_lib
from alignet.triplets import similarity
import numpy as np


def agreement(
    features: np.ndarray,
    trials: trials_lib.Trials,
    kind: similarity.Kind = "cosine",
) -> dict[str, np.ndarray]:
  """Per-trial scores of representations.

  Args:
    features: (images, d), one row an image of the store the trials refer to.
    trials: the trials.
    kind: "cosine" or "dot".

  Returns:
    float64 arrays: "modal" (n,): 1 where the most similar pair is the
    observers' likeliest, ties shared; "expected" (n,): observers' probability
    of the pair chosen.

  Raises:
    AlignetError: a NaN or infinite similarity.
  """
  s = similarity.of_triplets(features, trials.indices, kind)
  return {
      "modal": odd_one_out.modal(s, trials.probabilities),
      "expected": odd_one_out.expected(s, trials.probabilities),
  }


class TrialsEvaluator(in_training.OnImages):
  """Agreement with observers along a training, one scalar a set of trials.

  Each image of the trials goes through the model once, then all sets are scored
  on pre_logits by cosine, or on what `tap` and `kind` say.

  Attributes:
    images: folder of the image store the trials refer to.
    trials: folder with one file a set.
    source: who the observers are, first part of the scalar's name:
      "simulated", "vice" or "human".
    kind: "cosine" or "dot".
  """

  images: str
  trials: str
  source: str
  kind: similarity.Kind = "cosine"

  @functools.cached_property
  def _data(self) -> tuple[np.ndarray, Mapping[str, trials_lib.Trials]]:
    """The images in use, and the sets renumbered to them."""
    store = images_lib.open_store(self.images)
    sets = trials_lib.read_folder(self.trials, image_names=store.filenames)
    used = np.unique(np.concatenate([t.indices for t in sets.values()]))
    renumbered = {
        name: dataclasses.replace(t, indices=np.searchsorted(used, t.indices))
        for name, t in sets.items()
    }
    return store[used], renumbered

  def evaluate(self, state: Any, step: int) -> None:
    """Writes `{source}/{set}` and returns nothing."""
    images, sets = self._data
    features = self._features(state, images)
    self.writer.write_scalars(
        step=step,
        scalars={
            f"{self.source}/{name}": float(
                agreement(features, trials, self.kind)["modal"].mean()
            )
            for name, trials in sets.items()
        },
    )
