"""The demo pipeline, shrunk: all stages run, a second run does nothing."""

import dataclasses
import os

from alignet.cli import main
from alignet.data import images as images_lib
from alignet.data import labels as labels_lib
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import json_files
from alignet.pipeline import stages
from alignet.triplets import npz
import numpy as np
import pytest

_SMALL = (
    "stages.world.params.train_per_concept=4",
    "stages.world.params.test_per_concept=3",
    "stages.trials.params.n=60",
    "stages.triplets.params.n=300",
    "stages.triplets.params.strategy=cluster_border_10",
    "stages.clusters.params.k=10",
)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("demo")
  source = config_files.resolve("demo").read_text()
  # Fewer steps, which are no field of the demo's config.
  source = source.replace(
      'params=dict(config="base", seed=seed)',
      'params=dict(config="base", seed=seed, num_train_steps=20)',
  ).replace(
      'params=dict(config="student/small", seed=seed)',
      'params=dict(config="student/small", seed=seed, num_train_steps=20)',
  )
  assert source.count("num_train_steps=20") == 2
  config = folder / "small_demo.py"
  config.write_text(source)
  arguments = [f"--cfg.{item}" for item in _SMALL]
  # A relative folder, as people type it.
  out = os.path.relpath(folder / "out")
  arguments = ["run", str(config), f"--out={out}", *arguments]
  return arguments, main.main(arguments), folder / "out"


def test_results_hold_what_others_read(run_folder):
  _, _, out = run_folder
  results = json_files.read(out / "results.json")
  for model in ("base", "untransformed", "matched", "aligned"):
    for key in ("across", "border", "within", "class_accuracy"):
      assert 0 <= results[model][key] <= 1
  assert (out / "report.html").stat().st_size > 100_000


def test_a_demo_that_learned_nothing_fails(run_folder, capsys):
  arguments, code, _ = run_folder
  # Twenty steps teach nothing: the bounds must notice.
  assert code == 1
  assert main.main(arguments) == 1
  captured = capsys.readouterr()
  assert "aligned beats base by" in captured.err
  assert captured.out.count("done before") == 19


def test_responses_are_verified_and_entropies_matched(run_folder):
  _, _, out = run_folder
  results = json_files.read(out / "results.json")
  aligned, matched = (
      results["targets"][name]["mean_entropy_nats"]
      for name in ("aligned", "matched")
  )
  np.testing.assert_allclose(aligned, matched, atol=1e-5)
  (folder,) = (out / "stages").glob("responses_aligned-*")
  assert json_files.read(folder / "verify.json")["ok"]
  assert len(npz.open(folder / "alignet.npz")) == 300


def test_classes_of_other_names_are_not_classified(run_folder, tmp_path):
  _, _, out = run_folder
  (world,) = (out / "stages").glob("world-*")
  (base,) = (out / "stages").glob("base-*")
  (trials,) = (out / "stages").glob("trials-*")
  store = images_lib.open_store(world / "test")
  ids = store.labels["subordinate"].ids
  other = labels_lib.Labels(
      ids=ids, names=np.array([f"x{i}" for i in range(ids.max() + 1)])
  )
  images_lib.write(
      tmp_path / "other",
      dataclasses.replace(store, labels={"subordinate": other}),
  )
  with pytest.raises(AlignetError, match="have other classes at the level"):
    stages.evaluate(
        tmp_path,
        weights=base / "weights.safetensors",
        train=world / "train",
        test=world / "test",
        trials=trials,
        class_level="subordinate",
        class_test=tmp_path / "other",
    )
