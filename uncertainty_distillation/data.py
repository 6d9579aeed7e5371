"""Judged triplets and representations for the Kauldron trainer.

A step of this small model is cheaper than a per-element pipeline: pass the
source of whole batches to `kd.data.py.DataSource(batch_size=None,
shuffle=False, num_workers=0, shard_by_process=False)`. A batch holds 24 bytes a
triplet; the representations are on the device once.
"""

import dataclasses
import functools

from alignet import transforms
from alignet.data import linear_world as simulated
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.human.judgments import Judgments
from alignet.io import files
from alignet.training.input import batches
import grain.python as grain
import jax
import numpy as np
from uncertainty_distillation import initial_transform
from uncertainty_distillation import inputs
from uncertainty_distillation import training_loop


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherData:
  """Features, judgments and an object-disjoint fold of the concepts.

  Empty paths mean "not given"; without features a small simulated problem
  stands in, which needs no file.

  Attributes:
    features: npy (n, d).
    embedding: npy (concepts, k).
    posterior: npz of mu and sigma (concepts, k), in its place: targets are the
      posterior predictive, uncertainty distillation proper.
    samples: Monte-Carlo samples M of it.
    concept_list: names of the concepts.
    embedding_names: name of each row of the embedding or posterior.
    embedding_order: in its place "things"; see `inputs.load`.
    concepts: npy (n,).
    triplets: npy (m, 3), the odd one last.
    probabilities: npy (m, 3).
    local: npy (images, d), representations of any images for glocal; without
      it the training concepts' own rows take that place.
    start: transform.npz to go on from; empty for the model's own start.
    input_map: "none", "sqrt" or "l2".
    standardise: "scalar" or "per_dimension"; from rows of training concepts.
    folds: object-disjoint folds of the concepts; 0 trains on all of them.
    fold: the one held out.
    max_triplets: most triplets to take from an embedding or posterior.
    seed: of folds, of that draw and of the samples.
  """

  features: str = ""
  embedding: str = ""
  posterior: str = ""
  samples: int = 50
  concept_list: str = ""
  embedding_names: str = ""
  embedding_order: str = ""
  concepts: str = ""
  triplets: str = ""
  probabilities: str = ""
  local: str = ""
  start: str = ""
  input_map: transforms.InputMap = "none"
  standardise: initial_transform.Standardise = "scalar"
  folds: int = 4
  fold: int = 0
  max_triplets: int = 1_000_000
  seed: int = 0

  @functools.cached_property
  def inputs(self) -> inputs.Inputs:
    """The arrays, read and checked once."""
    options = {
        "samples": self.samples,
        "max_triplets": self.max_triplets,
        "seed": self.seed,
    }
    paths = {
        name: getattr(self, name)
        for name in (
            *("features", "embedding", "posterior", "concept_list"),
            *("embedding_names", "embedding_order"),
            *("concepts", "triplets", "probabilities"),
        )
        if getattr(self, name)
    }
    if paths and not self.features:
      raise AlignetError(
          f"{', '.join(paths)} given without features; pass"
          " --cfg.aux.features=F.npy"
      )
    if paths:
      return inputs.load(**paths, **options)
    features, concepts, embedding = simulated.make(seed=self.seed)
    return inputs.make(
        features=features, concepts=concepts, embedding=embedding, **options
    )

  @property
  def sha256(self) -> dict[str, str]:
    """Of each file read, by the name of its field."""
    more = {"local": self.local, "start": self.start}
    return self.inputs.sha256 | {
        name: files.sha256(path) for name, path in more.items() if path
    }

  @functools.cached_property
  def held_out(self) -> np.ndarray:
    """(n_concepts,) bool: concepts the transform must not see."""
    n = self.inputs.judgments.n_concepts
    held = np.zeros(n, bool)
    if self.folds:
      if not 0 <= self.fold < self.folds:
        raise AlignetError(
            f"fold: expected a number from 0 to {self.folds - 1}, found"
            f" {self.fold}"
        )
      concepts = np.unique(self.inputs.concepts)
      folds = judgments_lib.folds(concepts, self.folds, seed=self.seed)
      held[folds[self.fold]] = True
    return held

  @functools.cached_property
  def _split(self) -> tuple[Judgments, Judgments, int]:
    seen = np.zeros(self.inputs.judgments.n_concepts, bool)
    seen[self.inputs.concepts] = True
    usable = judgments_lib.within(self.inputs.judgments, seen)
    train, held, dropped = judgments_lib.split(usable, self.held_out)
    if not len(train) or (self.folds and not len(held)):
      raise AlignetError(
          f"of {len(usable)} judgments of concepts with images, {len(train)}"
          f" are among training concepts and {len(held)} among held-out ones;"
          " expected some of each: use fewer folds, or folds=0"
      )
    return train, held, dropped

  @property
  def training(self) -> Judgments:
    """Judgments of training concepts only."""
    return self._split[0]

  @property
  def validation(self) -> Judgments:
    """Judgments of held-out concepts only."""
    return self._split[1]

  @property
  def dropped(self) -> int:
    """Judgments that mix training and held-out concepts."""
    return self._split[2]

  @functools.cached_property
  def moments(self) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the training concepts' mapped features."""
    rows = ~self.held_out[self.inputs.concepts]
    return initial_transform.standardise(
        self.inputs.features[rows], self.input_map, self.standardise
    )[1:]

  @functools.cached_property
  def x(self) -> np.ndarray:
    """(n, d) float32 features, mapped and standardised."""
    mean, std = self.moments
    return (
        transforms.map_input(self.inputs.features, self.input_map) - mean
    ) / std

  @functools.cached_property
  def start_params(self) -> dict[str, np.ndarray] | None:
    """Weights (d, k) and bias (k,) of `start` for `x`; None without one."""
    if not self.start:
      return None
    d = self.inputs.features.shape[1]
    return initial_transform.given(self.start, d, self.input_map, self.moments)

  @functools.cached_property
  def local_images(self) -> np.ndarray:
    """(images, d) float32 local images, mapped, not standardised."""
    if self.local:
      images = files.load_npy(
          self.local,
          what="local images",
          shape=(None, self.inputs.features.shape[1]),
          kinds="f",
      )
      files.check_finite(images, f"local images in {self.local}")
    else:
      rows = ~self.held_out[self.inputs.concepts]
      images = self.inputs.features[rows]
    return transforms.map_input(images, self.input_map)

  @functools.cached_property
  def objects(self) -> training_loop.Objects:
    """The images of each concept, on the device."""
    n = self.inputs.judgments.n_concepts
    # Also where a function that is being traced asks first.
    with jax.ensure_compile_time_eval():
      return training_loop.make_objects(self.x, self.inputs.concepts, n)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherBatches(grain.RandomAccessDataSource):
  """Element k is a whole batch: of it, the part of this process.

  {"triplets": [b, 3] int32, "targets": [b, 3] float32}, with `local_batch` also
  {"original": [m, d], "local": [m, d]} float32: images as they are, whose
  neighbourhoods shall stay, and standardised, for the transform.

  Attributes:
    data: where judgments and features come from.
    batch_size: triplets a batch, of all processes together.
    local_batch: local images a batch; 0 for none.
    num_batches: length of the source.
    seed: batch k depends on it and k only.
    part: (i, n) gives part i of n of each batch; by default this process's.
  """

  data: TeacherData
  batch_size: int
  num_batches: int
  seed: int = 0
  local_batch: int = 0
  part: tuple[int, int] = dataclasses.field(
      default_factory=batches.this_process
  )

  def __len__(self) -> int:
    return self.num_batches

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([self.seed, int(index)])
    judgments = self.data.training
    rows = rng.integers(0, len(judgments), self.batch_size)
    rows = batches.share(rows, self.part)
    batch = {
        "triplets": judgments.triplets[rows],
        "targets": judgments.probabilities[rows],
    }
    if self.local_batch:
      images = self.data.local_images
      m = min(self.local_batch, len(images))
      rows = rng.choice(len(images), m, replace=False)
      batch["original"] = images[batches.share(rows, self.part)]
      mean, std = self.data.moments
      batch["local"] = (batch["original"] - mean) / std
    return batch
