"""Real images from extraction to a verified dataset, by commands alone."""

from alignet.cli import main
from alignet.representations import store
import numpy as np
import pytest


@pytest.mark.slow
def test_mini_imagenet(test_data, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  things = test_data / "things"
  commands = (
      (
          *("extract", "--source=tfds:imagenet2012:train"),
          f"--data_dir={test_data}/tfds",
          f"--concepts={things}/concepts.tsv",
          f"--model=onnx:{test_data}/models/efficientnet_lite0.onnx",
          *("--layer=feat", "--size=224", "--pixel_range=-0.9921875,1"),
          "--out=r",
      ),
      (
          *("teach", "--representations=r", "--steps=0", "--inner_folds=0"),
          f"--embedding={things}/vice_embedding.npy",
          "--embedding_order=things",
          *("--max_triplets=50000", "--out=t.npz"),
      ),
      ("cluster", "--representations=r", "--k=50", "--out=c.npz"),
      (
          *("sample", "--clusters=c.npz", "--strategy=cluster_border_50"),
          *("--n=100000", "--out=triplets.npz"),
      ),
      (
          *("respond", "--representations=r", "--triplets=triplets.npz"),
          *("--transform=t.npz", "--out=aligned.npz"),
      ),
      (
          *("verify", "aligned.npz", "--representations=r"),
          *("--transform=t.npz", "--clusters=c.npz"),
          "--strategy=cluster_border_50",
      ),
  )
  printed = {}
  for command in commands:
    assert main.main(command) == 0, capsys.readouterr().err
    printed[command[0]] = capsys.readouterr().out
  assert len(store.open("r")) == 1419
  # A few clusters of this small set cannot hold a pair: dropped and listed.
  assert "of fewer than two: " in printed["cluster"]
  assert "left out: " in printed["sample"]
  assert "fail" not in printed["verify"]
  assert "pass    sampling" in printed["verify"]
  similarities = np.load("aligned.npz")["similarities"]
  assert similarities.shape == (100_000, 3)
