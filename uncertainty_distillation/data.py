"""Judged triplets and representations for the Kauldron trainer.

A step of this small model is cheaper than a per-element pipeline: pass the
source of whole batches to `kd.data.py.DataSource(batch_size=None,
shuffle=False, num_workers=0, shard_by_process=False)`. A batch holds 28 bytes a
triplet; the representations are on the device once.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

from alignet.data import linear_world as simulated
from alignet.errors import AlignetError
from alignet.io import identities
from alignet.training.input import batches
import grain.python as grain
import jax
import numpy as np
from uncertainty_distillation import fit
from uncertainty_distillation import inputs
from uncertainty_distillation import training_loop
from uncertainty_distillation.config import Config


class Drawn(NamedTuple):
  """What the batches of a training are drawn from.

  Attributes:
    seed: of all draws.
    size: rows a batch.
    triplets: (n, 3) int32.
    targets: (n, 3) float32.
    local: images of glocal's local term, as they are and standardised, of which
      a batch holds `local_size` consecutive ones; None where there is no term.
    local_size: so many.
  """

  seed: int
  size: int
  triplets: np.ndarray
  targets: np.ndarray
  local: tuple[np.ndarray, np.ndarray] | None = None
  local_size: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherData:
  """What `alignet teach` reads, and all it settles before it trains.

  Empty paths mean "not given"; where none is given a small simulated problem
  stands in, which needs no file.

  Attributes:
    config: how the transform is fitted; its seed is that of the data too.
    features: as all that follow, see `inputs.load`.
  """

  config: Config
  features: str = ""
  representations: str = ""
  level: str = "concept"
  concepts: str = ""
  concept_list: str = ""
  choices: str = ""
  choices_format: str = "things_csv"
  choices_names: str = ""
  triplets: str = ""
  probabilities: str = ""
  embedding: str = ""
  posterior: str = ""
  embedding_names: str = ""
  embedding_order: str = ""
  local: str = ""
  blocks: str = ""
  odd: str = ""
  numbered_from: int | None = None
  rows: str = ""
  columns: str = ""
  on_impossible: str = "error"
  on_unknown: str = "error"
  samples: int = 50
  max_triplets: int = 1_000_000

  @functools.cached_property
  def inputs(self) -> inputs.Inputs:
    """The arrays, read and checked once."""
    values = {
        field.name: (getattr(self, field.name), field.default)
        for field in dataclasses.fields(self)
        if field.name != "config"
    }
    trust = identities.Trust(rows=self.rows, columns=self.columns)
    values = {k: v for k, v in values.items() if k not in ("rows", "columns")}
    given = {name: value for name, (value, _) in values.items() if value != ""}
    if paths := sorted(name for name in given if values[name][1] == ""):
      if not {*paths} & {"features", "representations"}:
        raise AlignetError(
            f"{', '.join(paths)} given without features; pass"
            " --cfg.aux.features=F.npy or --cfg.aux.representations=DIR"
        )
      return inputs.load(**given, trust=trust, seed=self.config.seed)
    features, concepts, embedding = simulated.make(seed=self.config.seed)
    return inputs.make(
        features=features,
        concepts=concepts,
        embedding=embedding,
        local=features if self.config.optimisation.alpha else None,
        max_triplets=self.max_triplets,
        seed=self.config.seed,
    )

  @functools.cached_property
  def prepared(self) -> fit.Prepared:
    """All that comes before the training."""
    data = self.inputs
    if self.config.start_file:
      data.transform(self.config.start)
    with jax.transfer_guard("allow"):
      return fit.prepare(
          *(data.features, data.concepts, data.judgments, self.config),
          embedding=data.embedding,
          blocks=data.blocks,
          local_images=data.local,
      )

  @functools.cached_property
  def drawn(self) -> Drawn:
    """On the host, what the loop has on the device."""
    prepared, optimisation = self.prepared, self.config.optimisation
    size = optimisation.local_batch
    local = training_loop.round_the_end(prepared.local, size)
    if local is None:
      local = 2 * [np.zeros((0, prepared.objects.x.shape[1]), np.float32)]
    return Drawn(
        seed=self.config.seed,
        size=optimisation.batch,
        triplets=np.asarray(prepared.pool.triplets),
        targets=np.asarray(prepared.pool.targets),
        local=tuple(map(np.asarray, local)),
        local_size=min(size, len(local[0])),
    )

  def plan(self) -> dict[str, Any]:
    """What the transform depends on."""
    config = dataclasses.asdict(self.config)
    return self.inputs.provenance() | {"config": config}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherBatches(grain.RandomAccessDataSource):
  """Element k is what step k of our own loops draws: this process's part.

  {"triplets": [b, 3] int32, "targets": [b, 3] float32, "number": [b] int32,
  which is k}, and for a teacher {"original": [m, d], "local": [m, d]} float32:
  images of glocal's local term (m is 0 without it) as they are, whose
  neighbourhoods shall stay, and standardised, for the transform.

  Attributes:
    data: has a field `drawn`.
    num_batches: length of the source.
    part: (i, n) gives part i of n of each batch; by default this process's.
  """

  data: Any
  num_batches: int
  part: tuple[int, int] = dataclasses.field(
      default_factory=batches.this_process
  )

  def __len__(self) -> int:
    return self.num_batches

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    with jax.transfer_guard("allow"):
      drawn = self.data.drawn
      with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return self._draw(drawn, int(index))

  def _draw(self, drawn: Drawn, index: int) -> dict[str, np.ndarray]:
    key = jax.random.key(drawn.seed)
    size = len(drawn.triplets)
    _, rows = training_loop.draw(key, index, drawn.size, size)
    rows = batches.share(np.asarray(rows), self.part)
    batch = {
        "triplets": drawn.triplets[rows],
        "targets": drawn.targets[rows],
        "number": np.full(len(rows), index, np.int32),
    }
    if drawn.local is not None:
      first, images = 0, len(drawn.local[0])
      if drawn.local_size < images:
        first = int(
            training_loop.first_local(key, index, images - drawn.local_size + 1)
        )
      rows = first + np.arange(drawn.local_size)
      rows = batches.share(rows, self.part)
      batch["original"], batch["local"] = (x[rows] for x in drawn.local)
    return batch
