"""Shared fixtures."""

import os
import pathlib
import sys

import pytest

_MAPS = pathlib.Path("/proc/self/maps")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs_do_not_pile_up():
  """One process may hold 65,530 memory maps on Linux, every program some.

  All tests together compile more than that, and XLA then ends the process
  (SIGABRT, or SIGSEGV where a program is written to the cache).
  """
  yield
  if "jax" in sys.modules and _MAPS.exists():
    if len(_MAPS.read_bytes().splitlines()) > 20_000:
      sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
  """Folder of real images, representations and human data, or a skip."""
  here = pathlib.Path(__file__).resolve().parent.parent
  path = pathlib.Path(
      os.environ.get("ALIGNET_TEST_DATA", here.parent / "shared" / "data")
  )
  if not path.is_dir():
    pytest.skip("real data not found: set ALIGNET_TEST_DATA to its folder")
  return path


@pytest.fixture(scope="session")
def needs_jax_dtype():
  """needs_jax_dtype(dtype): skips where XLA has no code for it.

  XLA compiles no float16 for processors without F16C, such as a plain SSE4.2.
  """

  def check(dtype) -> None:
    import jax  # pylint: disable=g-import-not-at-top
    import jax.numpy as jnp  # pylint: disable=g-import-not-at-top

    try:
      jax.jit(lambda x: x.astype(jnp.float32) + 1)(jnp.zeros(8, dtype))
    except jax.errors.JaxRuntimeError:
      pytest.skip(f"XLA compiles no {dtype} for this processor")

  return check


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory) -> dict[str, str]:
  """Paths of a few drawn pictures, triplets with answers, and trials.

  Keys: images, trial_images (image stores), triplets (AligNet npz), trials
  (folder of two sets), trials/a and trials/b (its files).
  """
  from alignet.data import images
  from alignet.data import shapes
  from alignet.triplets import npz
  from alignet.triplets import similarity
  import numpy as np  # pylint: disable=g-import-not-at-top

  folder = tmp_path_factory.mktemp("tiny_world")
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


@pytest.fixture(scope="session")
def shrunk(tiny_world):
  """shrunk(name, workdir, …): a training config made small, as a user would.

  The model has one block of width 8, the data are those of `tiny_world`.
  """

  def load(name, workdir, *, weights="", steps=8, overrides=()):
    from alignet.io import config_files  # pylint: disable=g-import-not-at-top

    small = {
        "workdir": workdir,
        "num_train_steps": steps,
        "log_metrics_every": 4,
        "checkpointer.save_interval_steps": 4,
        "train_ds.num_workers": 0,
        "aux.batch_size": 16,
        "aux.images": tiny_world["images"],
        "model.backbone.patch_size": 4,
        "model.backbone.width": 8,
        "model.backbone.depth": 1,
        "model.backbone.num_heads": 2,
        "model.backbone.mlp_dim": 8,
    }
    if name == "student/small":
      small |= {
          "aux.triplets": tiny_world["triplets"],
          "aux.weights": weights,
          "aux.trials": tiny_world["trials"],
          "aux.trial_images": tiny_world["trial_images"],
          "aux.eval_every": 4,
          "model.triplet_dim": 6,
      }
    changes = [f"{key}={value}" for key, value in small.items()]
    return config_files.load(name, [*changes, *overrides])

  return load
