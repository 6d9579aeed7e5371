"""`alignet cluster`: one k, several k, what it says of small clusters."""

from alignet import transforms
from alignet.cli import main
from alignet.io import files
from alignet.io import json_files
from alignet.representations import kmeans
from alignet.representations import store
import numpy as np
import pytest


@pytest.fixture
def setting(tmp_path, monkeypatch):
  """Three blobs of 30 images and two outliers."""
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  centres = 20 * np.eye(4)[np.repeat([0, 1, 2], 30)]
  features = centres + rng.standard_normal((90, 4))
  features = np.concatenate([features, 1e3 * np.eye(4)[2:]])
  names = [f"{i}.png" for i in range(92)]
  store.write(
      tmp_path / "r", features.astype(np.float32), names, {}, {"model": "none"}
  )
  return features


def _cluster(*flags):
  return main.main(["cluster", "--representations=r", *flags])


def test_one_k(setting, capsys):
  assert _cluster("--k=5", "--out=c.npz", "--restarts=10") == 0
  out = capsys.readouterr().out
  assert "5 clusters of 1 to 30 images" in out
  assert "2 of fewer than two: " in out
  meta = kmeans.load("c.npz").meta
  assert meta["inputs_sha256"]["features"] == files.sha256("r/features.npy")
  before = files.sha256("c.npz")
  assert _cluster("--k=5", "--out=c.npz") == 2
  assert "already exists" in capsys.readouterr().err
  assert _cluster("--k=5", "--out=c.npz", "--restarts=10", "--overwrite") == 0
  assert files.sha256("c.npz") == before


def test_several_k_are_compared(setting, capsys):
  assert _cluster("--k=2,5,8", "--out=c", "--restarts=5") == 0
  curve = json_files.read("c/curve.json")
  assert curve["5"]["silhouette"] > 0.8 > 0.5 > curve["8"]["silhouette"]
  inertia = [curve[k]["inertia"] for k in ("2", "5", "8")]
  assert inertia == sorted(inertia, reverse=True)
  for k in (2, 5, 8):
    assert kmeans.load(f"c/clusters_{k}.npz").meta["k"] == k
  with open("c/curve.png", "rb") as f:
    assert f.read(4) == b"\x89PNG"


def test_transformed(setting):
  transform = transforms.Transform(
      weights=np.diag([1, 0, 0, 0]).astype(np.float32),
      bias=np.zeros(4, np.float32),
      meta={"columns": {"model": "none"}},
  )
  transforms.save("t.npz", transform)
  assert (
      _cluster("--k=2", "--out=c.npz", "--transform=t.npz", "--restarts=5") == 0
  )
  # Seen along the first axis alone, the first blob stands against all else.
  found = kmeans.load("c.npz").assignments
  assert len(set(found[:30])) == 1 and len(set(found[30:])) == 1


@pytest.mark.parametrize("k", ["", "a", "3,3", "3,"])
def test_no_number(setting, k, capsys):
  assert _cluster(f"--k={k}", "--out=c.npz") == 2
  assert "--k" in capsys.readouterr().err


def test_more_clusters_than_images(setting, capsys):
  assert _cluster("--k=93", "--out=c.npz") == 2
  assert "1 to the 92 images, found 93" in capsys.readouterr().err
