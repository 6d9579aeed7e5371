"""A small release, made once."""

from alignet import transforms
from alignet.cli import main
from alignet.data import labels as labels_lib
from alignet.representations import store
import numpy as np
import pytest

CARD = {
    "provider": "Some <People> & friends",
    "provider_url": "https://example.org/us",
    "url": "https://example.org/data",
    "date": "2026-01-31",
}
_CONFIG = """
from alignet.pipeline import recipe

def get_config():
  made = recipe.config(
      k=4,
      samplings=("cluster_border_4", "within_class"),
      n_train=300,
      n_val=40,
  )
  made.card.images = "made-up pictures"
  made.card.images_licence = "There are none."
  return made
"""


def make_inputs(folder):
  """Writes representations/, transform.npz and config.py."""
  folder.mkdir(exist_ok=True)
  rng = np.random.default_rng(0)
  ids = (np.arange(60) % 5).astype(np.int32)
  names = np.array(list("abcde"))
  features = rng.standard_normal((60, 6)) + 2 * rng.standard_normal((5, 6))[ids]
  store.write(
      folder / "representations",
      features.astype(np.float32),
      np.array([f"picture,{i}.png" for i in range(60)]),
      {"subordinate": labels_lib.Labels(ids=ids, names=names)},
      {"model": "numbers", "layer": "none"},
  )
  transforms.save(
      folder / "transform.npz",
      transforms.Transform(
          weights=(rng.standard_normal((6, 4)) * 0.4).astype(np.float32),
          bias=np.full(4, 0.1, np.float32),
          meta={"columns": {"model": "numbers", "layer": "none"}},
      ),
  )
  (folder / "config.py").write_text(_CONFIG)


def command(inputs):
  """`alignet release`, without --out."""
  return [
      "release",
      f"--cfg={inputs / 'config.py'}",
      f"--cfg.paths.representations={inputs / 'representations'}",
      f"--cfg.paths.transform={inputs / 'transform.npz'}",
      *(f"--cfg.card.{key}={value}" for key, value in CARD.items()),
      "--cfg.csv_rows=100",
      "--quiet",
  ]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
  """Folder with what `make_inputs` writes."""
  folder = tmp_path_factory.mktemp("release_inputs")
  make_inputs(folder)
  return folder


@pytest.fixture(scope="session")
def arguments(inputs):
  """Flags of `alignet release` but --out."""
  return command(inputs)


@pytest.fixture(scope="session")
def released(arguments, tmp_path_factory):
  """The release; not to be changed."""
  out = tmp_path_factory.mktemp("released") / "r"
  assert main.main([*arguments, f"--out={out}"]) == 0
  return out
