"""The pipeline image_folder on drawn pictures, and the docs' commands."""

import pathlib
import re
import shlex

from alignet import transforms
from alignet.cli import main
from alignet.io import files
from alignet.representations import kmeans
from alignet.triplets import npz
import cv2
import numpy as np
import pytest
from tests.models.encoders import test_encoders

_DOCS = pathlib.Path(__file__).parents[2] / "docs" / "own_images.md"


@pytest.fixture
def setting(tmp_path, monkeypatch):
  """`images` of five colours, `network.onnx`, `transform.npz`."""
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  for i in range(60):
    path = tmp_path / "images" / f"class{i % 5}" / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    color = 50 * (i % 5) + rng.integers(0, 20, (12, 16, 3))
    cv2.imwrite(str(path), color.astype(np.uint8))
  test_encoders.network(tmp_path / "network.onnx")
  transform = transforms.Transform(
      weights=np.eye(3, dtype=np.float32),
      bias=np.zeros(3, np.float32),
  )
  transforms.save(tmp_path / "transform.npz", transform)
  return tmp_path


def test_folder_to_dataset(setting, capsys):
  (setting / "images" / "bad.png").write_bytes(b"")
  command = [
      *("run", "image_folder", "--out=out", "--cfg.paths.images=images"),
      *("--cfg.paths.model=network.onnx", "--cfg.layer=mean", "--cfg.size=8"),
      *("--cfg.paths.transform=transform.npz", "--cfg.pixel_range=0,1"),
      *("--cfg.k=5", "--cfg.n=200"),
  ]
  assert main.main([*command, "--cfg.on_corrupt=skip"]) == 2
  assert "does not say which network" in capsys.readouterr().err
  command.append("--cfg.columns=as_given")
  assert main.main(command) == 2
  assert "bad.png is empty" in capsys.readouterr().err
  assert main.main([*command, "--cfg.on_corrupt=skip"]) == 0
  for name in ("aligned", "untransformed", "matched"):
    found = npz.open(f"out/{name}.npz")
    assert len(found) == 200
    assert set(np.unique(found.filenames)) <= {
        f"class{i % 5}/{i}.png" for i in range(60)
    }
  assert len(kmeans.load("out/clusters.npz").assignments) == 60
  page = pathlib.Path("out/report.html").read_text()
  # Clusters, six triplets (nobody disagrees), matrices, entropies.
  assert "images left out" in page and page.count("<img") == 9
  before = files.sha256("out/aligned.npz")
  capsys.readouterr()
  assert main.main([*command, "--cfg.on_corrupt=skip"]) == 0
  assert capsys.readouterr().out.count("done before") == 7
  assert files.sha256("out/aligned.npz") == before


def test_commands_of_the_docs(setting, capsys):
  """Each command of the page runs as printed, with this folder and network."""
  blocks = re.findall(r"```sh\n(.*?)```", _DOCS.read_text(), re.DOTALL)
  commands = [
      shlex.split(line)
      for block in blocks
      for line in block.replace("\\\n", " ").splitlines()
      if line.strip()
  ]
  commands = [c for c in commands if c[0] == "alignet"]
  assert len(commands) >= 7
  for command in commands:
    if "--data_dir=TFDS_DIR" in command or "teach" in command:
      continue  # Needs ImageNet and THINGS.
    found = [
        a.replace("layer=feat", "layer=mean")
        .replace("cluster_border_50", "cluster_border_5")
        .replace("k=50", "k=5")
        .replace("k=10,20,50,100", "k=2,3,5")
        .replace("100000", "100")
        for a in command[1:]
    ]
    if any("transform" in a for a in found):  # It says of no network.
      cfg = "cfg." * (found[0] == "run")
      found.append(f"--{cfg}columns=as_given")
    assert main.main(found) == 0, (command, capsys.readouterr().err)
