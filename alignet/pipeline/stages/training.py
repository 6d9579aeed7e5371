"""Trainings: base, teacher, students, and what they make of images."""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet import transforms
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import files
from alignet.io import json_files
from alignet.pipeline.runner import stage
import numpy as np

Path = pathlib.Path


@stage(
    version=1,
    resumable=True,
    reads=lambda params: config_files.sources(params["config"]),
)
def train(out: Path, *, config: str, **fields: Any) -> None:
  """A Kauldron training; `fields` override those of the config.

  Writes the trainer's workdir: checkpoints, scalars, weights.safetensors.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.training import training_run
  from kauldron import kd

  cfg = config_files.load(config)
  cfg.workdir = str(out)
  override(cfg, fields, config)
  training_run.train(kd.konfig.resolve(cfg))


def override(cfg: Any, fields: Mapping[str, Any], where: str) -> None:
  """Sets fields of a nested config, in place; each must be there.

  Args:
    cfg: a config.
    fields: nested values; a path becomes text.
    where: name of the config, for the message.
  """
  for key, value in fields.items():
    if key not in cfg:
      raise AlignetError(f"the config {where} has no field {key!r}")
    if isinstance(value, Mapping):
      override(cfg[key], value, where)
    else:
      cfg[key] = str(value) if isinstance(value, pathlib.Path) else value


@stage(version=1, resumable=True)
def extract(
    out: Path,
    *,
    model: Path,
    layer: str = "",
    size: int = 0,
    pixel_range: str = "",
    pool: str = "",
    dtype: str = "float32",
    on_corrupt: str = "error",
    shard_size: int = 4096,
    **images: Path,
) -> None:
  """Representations by an ONNX file or weights of ours, a folder a source.

  Each of `images` is an image store, or a folder of image files. A setting that
  is empty or 0 is what the model says; see
  `alignet.models.encoders.encoders.open`.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.data import image_sources
  from alignet.models.encoders import encoders
  from alignet.representations import extract as extract_lib

  encoder = encoders.open(
      f"onnx:{model}" if model.suffix == ".onnx" else str(model),
      layer=layer or None,
      size=size or None,
      pixel_range=pixel_range or None,
      pool=pool or None,
  )
  for name, path in sorted(images.items()):
    kind = "images" if (path / "images.npy").is_file() else "folder"
    extract_lib.to_directory(
        image_sources.open(f"{kind}:{path}"),
        encoder,
        out / name,
        dtype=dtype,
        on_corrupt=on_corrupt,
        shard_size=shard_size,
    )


@stage(version=2)
def represent(out: Path, *, weights: Path, tap: str, **stores: Path) -> None:
  """Representations of image stores by a model, a folder each."""
  # pylint: disable=g-import-not-at-top
  from alignet.models.formats import checkpoints
  from alignet.representations import extract
  from alignet.representations import store as store_lib

  model, params = checkpoints.load(weights)
  for name, path in sorted(stores.items()):
    store = images_lib.open_store(path)
    store_lib.write(
        out / name,
        extract.extract(model, params, store.images, tap=tap),
        store.filenames,
        store.labels,
        {
            "layer": tap,
            "weights_sha256": files.sha256(weights),
            "source": dict(store.meta),
        },
    )


_TARGETS = ("soft_point", "hard", "posterior")


@stage(version=1)
def simulate_choices(
    out: Path, *, embedding: Path, held_out: Path, seed: int
) -> None:
  """A choice drawn from an embedding for each triplet of known concepts.

  The same that `teach` draws for its hard targets. Writes triplets.npy and
  report.json, as the stage `choices` does.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.human import judgments

  vectors = files.load_npy(embedding, what="embedding", shape=(None, None))
  hidden = files.load_npy(held_out, what="held-out concepts", shape=(None,))
  kept = np.flatnonzero(~hidden)
  drawn = judgments.sample_choices(
      judgments.from_embedding(vectors[kept], seed=seed), seed=seed
  )
  files.save_npy(out / "triplets.npy", kept[drawn.triplets])
  json_files.write(out / "report.json", {"concepts": len(vectors)})


@stage(version=2)
def teach(
    out: Path,
    *,
    representations: Path,
    embedding: Path,
    held_out: Path,
    level: str,
    seed: int,
    posterior: Path | None = None,
    samples: int = 50,
    per_concept: int = 0,
    shuffle: bool = False,
    targets: str = "soft_point",
    optimisation: Mapping[str, Any] | None = None,
    **settings: Any,
) -> None:
  """Uncertainty distillation on the images of the concepts not held out.

  Writes transform.npz. Targets are `soft_point`, the softmax of the embedding's
  dot products; `hard`, a choice drawn from it for each triplet: with these the
  fit sees no embedding, as where people's choices are all there is; or
  `posterior`, the mean of the softmax over `samples` draws of an embedding with
  its uncertainty, which is uncertainty distillation. `posterior` is its file,
  as `uncertainty_distillation.vice.save` writes it, a row a concept; given one,
  its mean stands in the place of the embedding for the other targets, too, and
  concepts it was not fitted to are left out.

  `per_concept` limits the images of a concept (0: all). `shuffle` gives each
  concept what was said of another: the shuffled-human control. `settings` are
  fields of `uncertainty_distillation.config.Config`, `optimisation` fields of
  its optimisation; with alpha above 0, glocal, the images are also those whose
  neighbourhoods are kept.
  """
  # pylint: disable=g-import-not-at-top
  from alignet.human import judgments
  from alignet.human import readers
  from alignet.representations import store as store_lib
  from uncertainty_distillation import fit
  from uncertainty_distillation import training_loop
  from uncertainty_distillation import vice

  if targets not in _TARGETS or (targets == "posterior" and not posterior):
    raise AlignetError(
        f"targets: expected one of {', '.join(_TARGETS)}, and a posterior for"
        f" the last one, found {targets!r} and {posterior}"
    )
  reps = store_lib.open(representations)
  hidden = files.load_npy(held_out, what="held-out concepts", shape=(None,))
  if posterior is not None:
    known = vice.load(posterior)
    vectors = readers.Posterior(mu=known.mu, sigma=known.sigma).mean
    files.check_array(vectors, f"mu in {posterior}", shape=(len(hidden), None))
    if "used" in known.meta:
      hidden = hidden | ~np.isin(np.arange(len(hidden)), known.meta["used"])
  else:
    vectors = files.load_npy(embedding, what="embedding", shape=(None, None))
  concepts = reps.labels[level].ids
  # The held-out concepts' rows never reach the fit, images or judgments.
  kept = ~hidden & np.isin(np.arange(len(hidden)), concepts)
  renumbered = np.cumsum(kept) - 1
  rows = np.flatnonzero((concepts >= 0) & kept[np.maximum(concepts, 0)])
  if per_concept:
    rows = _first_of_each(rows, concepts[rows], per_concept)
  order = np.flatnonzero(kept)
  if shuffle:
    order = order[np.random.default_rng(seed).permutation(len(order))]
  vectors = vectors[order]
  judged = judgments.from_embedding(vectors, seed=seed)
  if targets == "hard":
    judged, vectors = judgments.sample_choices(judged, seed=seed), None
  elif targets == "posterior":
    judged = vice.from_posterior(
        vice.Embedding(mu=known.mu[order], sigma=known.sigma[order]),
        judged.triplets,
        samples=samples,
        seed=seed,
    )
  if optimisation is not None:
    settings["optimisation"] = training_loop.Optimisation(**optimisation)
  config = fit.Config(seed=seed, **settings)
  features = np.asarray(reps.features[rows], np.float32)
  transform, report = fit.fit(
      features,
      renumbered[concepts[rows]],
      judged,
      config,
      embedding=vectors,
      local_images=features if config.optimisation.alpha else None,
  )
  transforms.save(
      out / "transform.npz",
      dataclasses.replace(transform, meta=report),
      columns=reps.columns,
  )


def _first_of_each(rows, concepts, most) -> np.ndarray:
  """At most so many rows of each concept, the first ones."""
  order = np.argsort(concepts, kind="stable")
  counts = np.unique(concepts[order], return_counts=True)[1]
  rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
  return np.sort(rows[order[rank < most]])
