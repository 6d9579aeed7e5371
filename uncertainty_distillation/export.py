"""Scores on held-out concepts along a training, and the best transform so far.

gLocal kept the last epoch of the last fold; here `transform.npz` in the work
folder is the one with the smallest cross-entropy on held-out concepts. That
score chose the step, so it is stored as `selection` and is no estimate for new
concepts: `alignet teach --cross_validate` makes one.
"""

import dataclasses
import functools
import pathlib
from typing import Any

from alignet import transforms
from alignet.io import files
from alignet.triplets import similarity
import jax
from kauldron import kd
import numpy as np
from uncertainty_distillation import crossval
from uncertainty_distillation import fit
from uncertainty_distillation.data import TeacherData

FILE_NAME = "transform.npz"


class TransformEvaluator(kd.evals.EvaluatorBase):
  """Writes `{workdir}/transform.npz` when held-out cross-entropy is the best.

  With `folds=0` nothing is held out: each evaluation replaces the file.

  Attributes:
    data: the data of the training; its held-out concepts are scored, one
      random image a concept and triplet, the same at every step.
    most: triplets to score at most.
  """

  data: TeacherData
  most: int = 20_000

  @functools.cached_property
  def _trials(self) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, 3) of the features, and human probabilities (n, 3)."""
    judgments = self.data.validation
    rng = np.random.default_rng([self.data.seed, 0x6576616C])
    rows = rng.permutation(len(judgments))[: self.most]
    images = crossval.draw_images(
        self.data.inputs.concepts, judgments.triplets[rows], rng
    )
    return images, judgments.probabilities[rows]

  def evaluate(self, state: Any, step: int) -> None:
    """Writes the scores and, where they are the best, the transform."""
    with jax.transfer_guard("allow"):
      params = jax.device_get(state.params)
    mean, std = self.data.moments
    transform = transforms.fold(
        transforms.Transform(
            weights=np.asarray(params["weights"]),
            bias=np.asarray(params["bias"]),
            mean=mean,
            std=std,
            input_map=self.data.input_map,
        )
    )
    scores = {}
    if self.data.folds:
      images, probabilities = self._trials
      z = transform(self.data.inputs.features)
      s = similarity.of_triplets(z, images)
      scores = fit.score(s, probabilities)
      self.writer.write_scalars(
          step=step, scalars={f"selection/{k}": v for k, v in scores.items()}
      )
    if jax.process_index() == 0:
      self._keep_best(transform, scores, int(step))

  def _keep_best(self, transform, scores, step: int) -> None:
    path = pathlib.Path(self.base_cfg.workdir) / FILE_NAME
    if scores and path.exists():
      best = transforms.load(path).meta.get("selection", {})
      if best.get("cross_entropy", np.inf) <= scores["cross_entropy"]:
        return
    meta = {
        "step": step,
        "seed": self.base_cfg.seed,
        "selection": scores,
        "held_out_concepts": np.flatnonzero(self.data.held_out).tolist(),
        "triplets": len(self.data.training),
        "triplets_dropped": self.data.dropped,
        "inputs": self.data.sha256,
        "versions": files.versions(),
    }
    transforms.save(
        path, dataclasses.replace(transform, meta=meta), overwrite=True
    )
