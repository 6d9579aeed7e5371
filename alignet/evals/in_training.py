"""Kauldron evaluators: people and classes along a training.

Each runs the model over images in memory maps and scores frozen representations
with the functions that `alignet evaluate` uses, so that both say the same.
Names of scalars begin with their source, as there.
"""

import functools
from typing import Any

from alignet.data import breeds
from alignet.data import images as images_lib
from alignet.evals import levels as levels_scores
from alignet.evals import rdms
from alignet.evals import stored
from alignet.evals import usefulness
from alignet.human import levels as levels_lib
from alignet.human import similarity_sets
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
  def _data(self) -> Any:
    """What the files hold, opened once."""
    raise NotImplementedError

  def open(self) -> None:
    """Opens the files, so that what is wrong with them is an error now."""
    _ = self._data

  def _features(self, state: Any, images: np.ndarray) -> np.ndarray:
    with jax.transfer_guard("allow"):
      return extract.extract(
          self.base_cfg.model,
          state.params,
          images,
          tap=self.tap,
          batch_size=self.batch_size,
      )

  def _write(self, step: int, scores: dict[str, dict[str, Any]]) -> None:
    means = {name: score["mean"] for name, score in scores.items()}
    # A correlation is undefined for a model that sees no difference.
    defined = {name: mean for name, mean in means.items() if mean is not None}
    self.writer.write_scalars(step=step, scalars=defined)


class LevelsEvaluator(OnImages):
  """People at three levels of abstraction; see `alignet.human.levels`.

  Attributes:
    images: image store with Levels' images, joined by file name.
    levels: levels.npz.
    kind: "cosine", or "dot" as for triplet_logits.
  """

  images: str
  levels: str
  kind: similarity.Kind = "cosine"

  @functools.cached_property
  def _data(self):
    store = images_lib.open_store(self.images)
    levels = levels_lib.read(self.levels)
    rows, _ = levels_lib.rows_of_images(levels, store.filenames)
    used = np.sort(rows[rows >= 0])
    return images_lib.take(store, used), levels

  def evaluate(self, state: Any, step: int) -> None:
    """Writes `human/levels/{level}/{score}` and returns nothing."""
    store, levels = self._data
    found = levels_scores.evaluate(
        self._features(state, store.images),
        store.filenames,
        levels,
        kind=self.kind,
        resamples=0,
    )
    self._write(step, found["scores"])


class RdmEvaluator(OnImages):
  """People's dissimilarities; see `alignet.human.similarity_sets`.

  Attributes:
    images: image store.
    rdm: file with the RDMs.
    name_of_set: as in `similarity_sets.load`.
    similarities: as there.
    rdm_images: file names in the order of the RDM; none where the store's
      images, sorted by name, are those of the RDM.
    kind: "cosine", or "dot" as for triplet_logits.
  """

  images: str
  rdm: str
  name_of_set: str
  similarities: bool = False
  rdm_images: tuple[str, ...] = ()
  kind: similarity.Kind = "cosine"

  @functools.cached_property
  def _data(self):
    if not self.rdm_images:
      similarity_sets.check_order(self.name_of_set, self.rdm)
    return images_lib.open_store(self.images), similarity_sets.load(
        self.name_of_set, self.rdm, similarities=self.similarities
    )

  def evaluate(self, state: Any, step: int) -> None:
    """Writes `human/{name_of_set}/{score}` and returns nothing."""
    store, people = self._data
    model = stored.Model(
        features=self._features(state, store.images),
        filenames=store.filenames,
        labels=store.labels,
        kind=self.kind,
    )
    scores, _ = rdms.on_rdm(
        model,
        people,
        name=self.name_of_set,
        images=np.array(self.rdm_images) if self.rdm_images else None,
        resamples=0,
    )
    self._write(step, scores)


class ClassesEvaluator(OnImages):
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

  @functools.cached_property
  def _data(self):
    train, test = map(images_lib.open_store, (self.train, self.test))
    for store, where in ((train, self.train), (test, self.test)):
      usefulness.check_level(store.labels, self.level, where)
    hierarchy = breeds.Hierarchy(self.hierarchy) if self.breeds else None
    return train, test, [breeds.make(name, hierarchy) for name in self.breeds]

  def evaluate(self, state: Any, step: int) -> None:
    """Writes `classes/{score}` and `breeds/{name}/{half}/{score}`."""
    train, test, benchmarks = self._data
    labels = [store.labels[self.level] for store in (train, test)]
    protocol = usefulness.Protocol(
        tasks=tuple(self.tasks),
        k=self.k,
        shots=tuple(self.shots),
        penalties=(self.penalty,),
    )
    train_ids, test_ids, among = usefulness.common_classes(
        *labels, mask=self.mask
    )
    features = [self._features(state, store.images) for store in (train, test)]
    found = usefulness.scores(
        features[0],
        train_ids,
        {"": (features[1], test_ids)},
        protocol,
        among=among,
    )
    rows = {f"classes/{name}": values for name, values in found.items()}
    for name, benchmark in zip(self.breeds, benchmarks):
      found = usefulness.breeds_scores(
          *zip(features, labels), benchmark, protocol
      )
      rows |= {f"breeds/{name}/{score}": v for score, v in found.items()}
    self._write(step, usefulness.summarise(rows))
