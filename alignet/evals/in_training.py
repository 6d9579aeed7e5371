"""Kauldron evaluators: people and classes along a training.

Each runs the model over images in memory maps and scores the representations by
`suite.evaluate`, as `alignet evaluate` does, so that both say the same. Names
of scalars begin with their source, as there.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

from alignet.data import images as images_lib
from alignet.evals import evaluation
from alignet.evals import suite as suite_lib
from alignet.evals import usefulness
from alignet.evals.model import Model
from alignet.human import levels as levels_lib
from alignet.human import trials as trials_lib
from alignet.representations import extract
from alignet.triplets import similarity
import jax
from kauldron import kd
import numpy as np


class OnImages(kd.evals.EvaluatorBase):
  """Runs the model in training over image stores.

  Attributes:
    tap: pre_logits, triplet_logits or class_logits.
    batch_size: images on the device at a time.
  """

  tap: str = "pre_logits"
  batch_size: int = 256

  @functools.cached_property
  def _stores(self) -> dict[str, images_lib.ImageStore]:
    """Role to images, opened once."""
    raise NotImplementedError

  def open(self) -> None:
    """Opens the files, so that what is wrong with them is an error now."""
    _ = self._stores

  def _features(self, state: Any, images: np.ndarray) -> np.ndarray:
    with jax.transfer_guard("allow"):
      return extract.extract(
          self.base_cfg.model,
          state.params,
          images,
          tap=self.tap,
          batch_size=self.batch_size,
      )


class _Scored(OnImages):
  """Scores by a suite; roles of stores are fields of `evaluation.Models`."""

  kind: similarity.Kind = "cosine"

  @property
  def _suite(self) -> suite_lib.Suite:
    raise NotImplementedError

  @property
  def _used(self) -> np.ndarray | None:
    """Rows of the model's images that are looked at; None for all."""
    return None

  def open(self) -> None:
    super().open()
    self._suite.check(made=("train_representations",))

  def evaluate(self, state: Any, step: int) -> None:
    """Writes the scores under their names and returns nothing."""
    self.open()
    models = {}
    for role, store in self._stores.items():
      if role != "model" or (used := self._used) is None:
        features = self._features(state, store.images)
      else:
        of_used = self._features(state, store.images[used])
        features = np.zeros((len(store), of_used.shape[1]), of_used.dtype)
        features[used] = of_used
      models[role] = Model(
          features=features,
          filenames=store.filenames,
          labels=store.labels,
          kind=self.kind,
      )
    found = suite_lib.evaluate(self._suite, evaluation.Models(**models))
    self.writer.write_scalars(step=step, scalars=self._scalars(found.scores))

  def _scalars(self, scores: Mapping[str, Any]) -> dict[str, float]:
    # A correlation is undefined for a model that sees no difference.
    means = {name: score["mean"] for name, score in scores.items()}
    return {name: mean for name, mean in means.items() if mean is not None}


class TrialsEvaluator(_Scored):
  """Agreement with observers; see `alignet.evals.trials`.

  Each image of the trials goes through the model once. Writes `{source}/{set}`,
  what the suite calls `{source}/{set}/modal`.

  Attributes:
    images: folder of the image store the trials refer to.
    trials: folder with one file a set.
    source: who the observers are: "simulated", "vice" or "human".
    kind: "cosine" or "dot".
  """

  images: str
  trials: str
  source: str

  @property
  def _suite(self):
    return suite_lib.Suite(trials={self.source: self.trials}, resamples=0)

  @functools.cached_property
  def _stores(self):
    return {"model": images_lib.open_store(self.images)}

  @functools.cached_property
  def _used(self):
    sets = trials_lib.read_folder(
        self.trials, image_names=self._stores["model"].filenames
    )
    return np.unique(np.concatenate([t.indices for t in sets.values()]))

  def _scalars(self, scores):
    return {
        name.removesuffix("/modal"): score["mean"]
        for name, score in scores.items()
        if name.endswith("/modal")
    }


class LevelsEvaluator(_Scored):
  """People at three levels of abstraction; see `alignet.human.levels`.

  Attributes:
    images: image store with Levels' images, joined by file name.
    levels: levels.npz.
    kind: "cosine", or "dot" as for triplet_logits.
  """

  images: str
  levels: str

  @property
  def _suite(self):
    return suite_lib.Suite(levels=self.levels, resamples=0)

  @functools.cached_property
  def _stores(self):
    return {"model": images_lib.open_store(self.images)}

  @functools.cached_property
  def _used(self):
    rows, _ = levels_lib.rows_of_images(
        levels_lib.read(self.levels), self._stores["model"].filenames
    )
    return np.sort(rows[rows >= 0])


class RdmEvaluator(_Scored):
  """People's dissimilarities; see `alignet.human.similarity_sets`.

  Attributes:
    images: image store.
    rdm: file with the RDMs.
    name_of_set: as in `similarity_sets.load`.
    rdm_kind: what a file of your own holds, where it does not prove it.
    rdm_images: file names in the order of the RDM, or one of `rdms.ORDERS`.
    kind: "cosine", or "dot" as for triplet_logits.
  """

  images: str
  rdm: str
  name_of_set: str
  rdm_kind: str = ""
  rdm_images: str | tuple[str, ...] = ()

  @property
  def _suite(self):
    name = self.name_of_set
    return suite_lib.Suite(
        rdm={name: self.rdm},
        rdm_kind={name: self.rdm_kind} if self.rdm_kind else (),
        rdm_images={name: _order(self.rdm_images)} if self.rdm_images else (),
        resamples=0,
    )

  @functools.cached_property
  def _stores(self):
    return {"model": images_lib.open_store(self.images)}


class ClassesEvaluator(_Scored):
  """What the representations are good for; see `alignet.evals.usefulness`.

  Attributes:
    train: image store to learn classes from.
    test: image store to be classified.
    level: of the labels.
    tasks: some of knn, probe, few_shot and retrieval.
    k: neighbours of k-NN.
    shots: images a class of few-shot classification.
    penalty: of the linear probe.
    mask: see `usefulness.common_classes`.
    breeds: benchmarks to score as well, such as living17; then the labels'
      names are WordNet ids.
    hierarchy: folder that `alignet fetch breeds` wrote, for these.
  """

  train: str
  test: str
  level: str = "subordinate"
  tasks: tuple[str, ...] = ("knn",)
  k: int = 10
  shots: tuple[int, ...] = (1, 5)
  penalty: float = 0.01
  mask: bool | tuple[str, ...] = False
  breeds: tuple[str, ...] = ()
  hierarchy: str = ""

  @property
  def _suite(self):
    return suite_lib.Suite(
        tasks=tuple(self.tasks),
        level=self.level,
        mask=self.mask,
        breeds=tuple(self.breeds),
        breeds_hierarchy=self.hierarchy or None,
        protocol=usefulness.Protocol(
            tasks=tuple(self.tasks),
            k=self.k,
            shots=tuple(self.shots),
            penalties=(self.penalty,),
        ),
        resamples=0,
    )

  @functools.cached_property
  def _stores(self):
    stores = {
        role: images_lib.open_store(path)
        for role, path in (("train", self.train), ("model", self.test))
    }
    for role, where in (("train", self.train), ("model", self.test)):
      usefulness.check_level(stores[role].labels, self.level, where)
    return stores


def _order(given: str | Sequence[str]) -> str | tuple[str, ...]:
  """The name of an order, or names as a tuple, as configs do not keep it."""
  return given if isinstance(given, str) else tuple(given)
