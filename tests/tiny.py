"""A tiny world of drawn pictures, and trainings made small for it."""

from collections.abc import Mapping
import pathlib

from alignet.data import images
from alignet.data import shapes
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np

SCALE = """
from alignet.io import config_files

def get_config():
  config = config_files.load("scales/shapes")
  world = config.stages.world.params
  world.train_per_concept, world.test_per_concept = 4, 6
  config.stages.trials.params.n = 50
  config.stages.base.params.num_train_steps = 2
  config.settings.k, config.settings.triplets = 5, 200
  config.settings.distil.steps = 50
  config.settings.student.num_train_steps = 2
  return config
"""
"""The config of a sweep's scale, at the smallest size that runs."""


def make(folder: pathlib.Path) -> dict[str, str]:
  """Writes a few drawn pictures, triplets with answers, and trials.

  Returns:
    Paths: images, trial_images (image stores), triplets (AligNet npz), trials
    (folder of two sets), trials/a and trials/b (its files).
  """
  world = shapes.make_world(0)

  def write_images(name, n, seed):
    concepts = np.random.default_rng(seed).integers(0, len(world.names), n)
    store = images.ImageStore(
        images=shapes.render(world, concepts, seed=seed, size=8),
        filenames=np.array([f"{name}/{i}" for i in range(n)]),
        labels=shapes.levels(world, concepts),
        meta={},
    )
    images.write(folder / name, store)
    return store, world.embedding[concepts]

  def write_triplets(name, store, embedding, n, seed):
    rng = np.random.default_rng(seed)
    indices = np.stack([rng.permutation(len(store))[:3] for _ in range(n)])
    s = similarity.pair_similarities(embedding[indices])
    npz.write(folder / name, store.filenames, indices, s)

  write_triplets("t.npz", *write_images("images", 60, 1), 80, 1)
  trials = write_images("trial_images", 40, 2)
  write_triplets("trials/a.npz", *trials, 30, 2)
  write_triplets("trials/b.npz", *trials, 20, 3)
  names = {"images", "trial_images", "trials", "trials/a", "trials/b"}
  paths = {name: str(folder / name) for name in names}
  for name in ("trials/a", "trials/b"):
    paths[name] += ".npz"
  return {**paths, "triplets": str(folder / "t.npz")}


def changes(
    world: Mapping[str, str],
    name: str,
    workdir: pathlib.Path,
    *,
    weights: pathlib.Path | str = "",
    steps: int = 8,
) -> list[str]:
  """Overrides that make a training small, as a user would.

  The model has one block of width 8, the data are those of `make`.
  """
  small = {
      "workdir": workdir,
      "num_train_steps": steps,
      "log_metrics_every": 4,
      "checkpointer.save_interval_steps": 4,
      "train_ds.num_workers": 0,
      "aux.batch_size": 16,
      "aux.images": world["images"],
      "model.backbone.patch_size": 4,
      "model.backbone.width": 8,
      "model.backbone.depth": 1,
      "model.backbone.num_heads": 2,
      "model.backbone.mlp_dim": 8,
  }
  if name == "student/small":
    small |= {
        "aux.triplets": world["triplets"],
        "aux.weights": weights,
        "aux.trials": world["trials"],
        "aux.trial_images": world["trial_images"],
        "aux.eval_every": 4,
        "model.triplet_dim": 6,
    }
  return [f"{key}={value}" for key, value in small.items()]
