from alignet.cli import main
from alignet.data import images
import cv2
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "images").mkdir()
  for i in range(3):
    cv2.imwrite(f"images/{i}.png", np.full((9, 7, 3), i, np.uint8))


def test_a_folder(capsys):
  command = ["cache", "--source=folder:images", "--size=8", "--out=s"]
  assert main.main(command) == 0
  captured = capsys.readouterr()
  assert captured.out == "s: 3 images, 0.00 GB\n"
  assert "3 images in " in captured.err
  assert images.open_store("s").images.shape == (3, 8, 8, 3)
  assert main.main([*command, "--check"]) == 0
  captured = capsys.readouterr()
  assert "checksums hold" in captured.out and not captured.err
  data = bytearray(open("s/images.npy", "rb").read())
  data[-1] ^= 1
  open("s/images.npy", "wb").write(data)
  assert main.main([*command, "--check"]) == 2
  assert "images 0 to 2 are not as they were" in capsys.readouterr().err
  assert main.main([*command, "--size=4"]) == 2
  assert "--overwrite" in capsys.readouterr().err
