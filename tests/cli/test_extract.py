"""`alignet extract`: what it prints, and one sentence for what goes wrong."""

import subprocess
import sys

from alignet.cli import main
from alignet.io import files
from alignet.representations import store
import cv2
import numpy as np
import pytest
from tests.models.encoders import test_encoders


@pytest.fixture
def setting(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  for i in range(10):
    path = tmp_path / "images" / f"class{i % 2}" / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 256, (9, 7, 3), np.uint8))
  test_encoders.network(tmp_path / "m.onnx")
  return tmp_path


def _extract(*changes):
  flags = {
      "source": "folder:images",
      "model": "onnx:m.onnx",
      "layer": "mean",
      "size": "8",
      "pixel_range": "-1,1",
      "out": "r",
  }
  flags |= dict(c.split("=", 1) for c in changes if "=" in c)
  switches = [f"--{c}" for c in changes if "=" not in c]
  return main.main(
      ["extract", *(f"--{k}={v}" for k, v in flags.items()), *switches]
  )


def test_folder_and_onnx_file(setting, capsys):
  assert _extract() == 0
  captured = capsys.readouterr()
  assert captured.out.splitlines() == [
      "r: representations of 10 images",
      "2 classes: class0, class1",
  ]
  assert "10 images in " in captured.err and "images/s" in captured.err
  assert store.open("r", verify=True).features.shape == (10, 3)
  assert _extract() == 0
  assert capsys.readouterr().err == ""  # Nothing was left to do.


def test_the_images_that_people_saw(setting, capsys):
  """THINGS' reference images: concepts by name, whatever the files' order."""
  rng = np.random.default_rng(1)
  for name in ("bee.png", "ape/ape_01b.png", "ape/ape_02s.png"):
    path = setting / "seen" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 256, (9, 7, 3), np.uint8))
  (setting / "names.txt").write_text("cat\nbee\nape\n")
  flags = ("source=things:seen", "concepts=names.txt", "out=s")
  assert _extract(*flags) == 0
  said = capsys.readouterr().out.splitlines()
  assert said == [
      "s: representations of 2 images",
      "concepts without an image: 1, first cat",
  ]
  reps = store.open("s")
  assert reps.filenames.tolist() == ["bee.png", "ape/ape_01b.png"]
  assert reps.labels["concept"].names.tolist() == ["cat", "bee", "ape"]
  assert reps.labels["concept"].ids.tolist() == [1, 2]
  assert reps.meta["missing"] == ["cat"]
  assert _extract(*flags) == 0  # Nothing was left to do.
  assert "images/s" not in capsys.readouterr().err
  assert _extract("source=things:seen", "out=t") == 2
  assert "needs --concepts=concepts.tsv" in capsys.readouterr().err


def test_shards_by_several_calls(setting, capsys):
  assert _extract("shard_size=4", "part=2/3") == 0
  assert "2 shards are missing" in capsys.readouterr().out
  assert _extract("shard_size=4", "merge") == 2
  assert "2 of 3 shards" in capsys.readouterr().err
  for i in (0, 1):
    assert _extract("shard_size=4", f"part={i}/3") == 0
  assert _extract("shard_size=4", "merge", "quiet") == 0
  assert len(store.open("r")) == 10


def test_images_left_out_are_listed(setting, capsys):
  (setting / "images" / "class0" / "bad.jpg").write_bytes(b"")
  assert _extract() == 2
  assert "class0/bad.jpg is empty" in capsys.readouterr().err
  assert _extract("on_corrupt=skip") == 0
  assert "class0/bad.jpg is empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change, message",
    [
        ("source=folder:nothing", "nothing is no folder"),
        ("source=folder:empty", "holds no images"),
        ("source=tfds:cifar100:train", "give data_dir"),
        ("model=onnx:none.onnx", "none.onnx does not exist"),
        ("layer=feat", "outputs mean, tokens, map"),
        ("pixel_range=0", "expected LOW,HIGH"),
        ("concepts=none.tsv", "none.tsv does not exist"),
        ("shard_size=0", "at least 1"),
    ],
)
def test_one_sentence(setting, capsys, change, message):
  (setting / "empty").mkdir()
  data_dir = () if "tfds" not in change else (f"data_dir={setting}",)
  assert _extract(change, *data_dir) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "Traceback" not in error
  if not data_dir:
    assert message in error
  else:
    assert "tfds build cifar100" in error
  assert not (setting / "r").exists()


def test_without_onnxruntime(setting):
  code = (
      "import sys; sys.modules['onnxruntime'] = None; from alignet.cli import"
      " main; sys.exit(main.main(sys.argv[1:]))"
  )
  done = subprocess.run(
      [
          *(sys.executable, "-c", code, "extract", "--source=folder:images"),
          *("--model=onnx:m.onnx", "--out=r"),
      ],
      capture_output=True,
      text=True,
      env={"PYTHONPATH": str(files.__file__).rsplit("/", 3)[0]},
  )
  assert done.returncode == 2
  assert "pip install 'alignet[onnx]'" in done.stderr
